"""The extractive question-answering head: which stretch of a context answers a question.  Knows no probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch

from audit.errors import CannotMeasure
from audit.models import LoadOptions
from audit.models.batches import padded
from audit.models.rows import NOT_FINITE, counted, each, embed, pad_id
from audit.models.source import Source
from audit.models.tokens import clean
from audit.models.weights import open_weights
from audit.types import Answer, Embed, Failed, Request, Span, SpanAnswer, Tokens

LONGEST = 30  # tokens of an answer
OVERLAP = 128  # tokens that neighbouring windows share (as in SQuAD's own scripts)


class Window(NamedTuple):
    """One stretch of context with the question: its tokens, and where the context's tokens stand in the text."""

    ids: list[int]
    types: list[int]
    spans: list[tuple[int, int] | None]


class QA:
    """Answers `Span` and `Embed`.  A long context is read in overlapping windows, so nothing is cut off.

    The answer is the best span over all windows; "" where "no answer" (the first position, its least score over the
    windows) scores higher.  `score` is the difference of the two in logits.
    """

    answers: frozenset[type[Request]] = frozenset({Span, Embed, Tokens})

    def __init__(self, source: Source, options: LoadOptions) -> None:
        self.weights = open_weights(source, "AutoModelForQuestionAnswering", options)
        self.about = self.weights.about
        if not self.weights.encoder.fast:
            raise CannotMeasure(
                f"the tokenizer of {source.folder} is a slow one, which does not say where its tokens stand in a "
                "text, so answers cannot be found in it: add a tokenizer.json (most tokenizers can be converted)"
            )

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; the batch holds one kind."""
        if batch and isinstance(batch[0], Span):
            return self.spans(cast(list[Span], batch))
        if batch and isinstance(batch[0], Tokens):
            return counted(self.weights.encoder.whole([r.text for r in cast(list[Tokens], batch)]))
        rows = self.weights.encoder.encode([r.text for r in cast(list[Embed], batch)])
        return each(self.weights, rows, lambda part: embed(self.weights, part)) if rows else []

    def spans(self, batch: list[Span]) -> list[Answer]:
        """The best span of each request's context."""
        plans = [self.windows(clean(r.question), clean(r.context)) for r in batch]
        flat = [(i, window) for i, plan in enumerate(plans) for window in plan]
        shares = self.weights.encoder.encode([r.context for r in batch])
        best: list[tuple[float, int, int] | None] = [None] * len(batch)
        none = [float("inf")] * len(batch)

        def work(part: list[int]) -> list[Answer]:
            for n, (null, found) in zip(part, self.score([flat[n][1] for n in part]), strict=True):
                owner = flat[n][0]
                none[owner] = min(none[owner], null)
                held = best[owner]
                if held is None or found[0] > held[0]:
                    best[owner] = found
            return [SpanAnswer("")] * len(part)

        done = self.weights.batcher.run([len(window.ids) for _, window in flat], work)
        failed = {owner: answer for (owner, _), answer in zip(flat, done, strict=True) if isinstance(answer, Failed)}
        answers: list[Answer] = []
        for i, request in enumerate(batch):
            found = best[i]
            if i in failed:
                answers.append(failed[i])
            elif found is None:
                answers.append(Failed("the question leaves no room for the context, or the context has no token"))
            else:
                score, start, end = found
                score -= none[i]
                text = request.context[start:end] if score >= 0 else ""
                place = (start, end) if score >= 0 else (0, 0)
                answers.append(SpanAnswer(text, *place, score, unknown=shares[i].unknown))
        return answers

    def windows(self, question: str, context: str) -> list[Window]:
        """The context in windows that fit the model together with the question; none where nothing fits."""
        encoder = self.weights.encoder
        backend = encoder.tokenizer.backend_tokenizer
        whole = backend.encode(question, context)
        own = [n for n, part in enumerate(whole.sequence_ids) if part == 1]
        if not own:
            return []
        room = encoder.context - (len(whole.ids) - len(own)) if encoder.context else len(own)
        if room < 1:
            return []
        step = max(room - OVERLAP, (room + 1) // 2)
        starts = [0]
        while starts[-1] + room < len(own):
            starts.append(starts[-1] + step)
        made = []
        for start in starts:
            kept = set(own[start : start + room])
            at = [n for n in range(len(whole.ids)) if n in kept or whole.sequence_ids[n] != 1]
            spans = [whole.offsets[n] if n in kept and whole.offsets[n][1] > whole.offsets[n][0] else None for n in at]
            made.append(Window([whole.ids[n] for n in at], [whole.type_ids[n] for n in at], spans))
        return made

    def score(self, windows: Sequence[Window]) -> list[tuple[float, tuple[float, int, int]]]:
        """For each window the score of no answer, and the best (score, start, end) in characters.

        ValueError where a score is not finite.
        """
        weights = self.weights
        ids = [window.ids for window in windows]
        tokens, mask = padded(ids, pad_id(weights, ids), weights.device)
        made = {"input_ids": tokens}
        if mask is not None:
            made["attention_mask"] = mask
        if weights.encoder.segments:
            made["token_type_ids"] = padded([w.types for w in windows], 0, weights.device)[0]
        with torch.inference_mode():
            out = weights.model(**made)
            starts, ends = out.start_logits.float().cpu(), out.end_logits.float().cpu()
        found = []
        for window, start, end in zip(windows, starts, ends, strict=True):
            start, end = start[: len(window.ids)], end[: len(window.ids)]
            if not (torch.isfinite(start).all() and torch.isfinite(end).all()):
                raise ValueError(f"the model's logits {NOT_FINITE}")
            inside = torch.tensor([span is not None for span in window.spans])
            allowed = band(len(window.ids)) & inside[:, None] & inside[None, :]
            pairs = (start[:, None] + end[None, :]).masked_fill(~allowed, -torch.inf)
            at = int(pairs.argmax())
            first, last = window.spans[at // len(window.ids)], window.spans[at % len(window.ids)]
            if first is None or last is None:
                raise ValueError("the context has no token in this window")
            found.append((float(start[0] + end[0]), (float(pairs.max()), first[0], last[1])))
        return found


def band(size: int) -> torch.Tensor:
    """True where a span from row to column is at least one and at most LONGEST tokens long."""
    return torch.ones(size, size, dtype=torch.bool).triu().tril(LONGEST - 1)
