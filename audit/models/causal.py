"""The causal-language-model head: log-probabilities of continuations, and text.  Knows no probe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from audit.errors import CannotMeasure, RequestFailed
from audit.models import LoadOptions
from audit.models.batches import padded
from audit.models.cached import Lane, Line, Reuse
from audit.models.chat import Chat
from audit.models.generate import generate, plain_settings
from audit.models.prefix import Group, group
from audit.models.rows import NOT_FINITE, counted, each, embed, pad_id
from audit.models.source import Source
from audit.models.tokens import Row
from audit.models.weights import open_weights
from audit.types import Answer, Embed, Failed, Generate, LogProb, Number, Request, Tokens

# transformers 4.57 continues wrongly from the state of a prompt that is shorter than a state-space model's convolution.
SHORT = 8


class Causal:
    """Answers `LogProb`, `Generate`, `Embed` (mean of the last hidden states) and `Tokens` (chat template included)."""

    answers: frozenset[type[Request]] = frozenset({LogProb, Generate, Embed, Tokens})

    def __init__(self, source: Source, options: LoadOptions) -> None:
        self.weights = weights = open_weights(source, "AutoModelForCausalLM", options)
        self.about = weights.about
        tokenizer = weights.encoder.tokenizer
        self.chat = Chat(tokenizer, options.chat, source.reference)
        self.about["chat_template"] = self.chat.hash
        self.about["notes"] += plain_settings(weights.model, tokenizer)
        self.overlong = options.overlong or "error"
        first = weights.encoder.whole([""])[0].ids
        # The token that stands before an empty prefix; a tokenizer that ends texts must not end prompts.
        self.begin = first[:1] or [t for t in (tokenizer.bos_token_id, tokenizer.eos_token_id) if t is not None][:1]
        sample = weights.encoder.whole(["a"])[0].ids
        self.closing = int(bool(sample) and sample[-1] == tokenizer.eos_token_id)
        self.reuse = Reuse(weights.model, weights.device, pad_id(weights, [[]]))
        why = self.reuse.reason
        window = f", for texts up to the sliding window of {self.reuse.window} tokens" if self.reuse.window else ""
        self.about["prefix_reuse"] = f"off: {why}" if why else f"on{window}"
        if not self.reuse.causal():
            raise CannotMeasure(
                f"{source.folder} ({source.architecture}) is not causal: what it says of a token depends on the tokens "
                "after it, so it has no probability of a text; if it is a masked model, use --head masked"
            )
        self.recurrent = "recurrent" in why or "LinearAttention" in why

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; the batch holds one kind."""
        first = batch[0] if batch else None
        if isinstance(first, LogProb):
            return self.log_probs(cast(list[LogProb], batch))
        if isinstance(first, Generate):
            return self.texts(cast(list[Generate], batch))
        if isinstance(first, Tokens):
            texts, fails = self.rendered([r.text for r in cast(list[Tokens], batch)])
            rows = self.tokens([text for text, _ in texts], [add for _, add in texts])
            return [fail or count for fail, count in zip(fails, counted(rows), strict=True)]
        rows = self.weights.encoder.encode([r.text for r in cast(list[Embed], batch)])
        return each(self.weights, rows, lambda part: embed(self.weights, part)) if rows else []

    def log_probs(self, batch: list[LogProb]) -> list[Answer]:
        """Log-probability of each text after its prefix; equal beginnings are computed once."""
        plans = self.plans(batch)
        lines: dict[Line, int] = {}
        lanes: list[Lane] = []
        for plan in plans:
            if not isinstance(plan, Failed):
                (ids, _), targets = plan
                lanes.append(Lane(lines.setdefault(Line(tuple(ids[0]), ids[1]), len(lines)), targets))
        values = iter(self.lanes(list(lines), lanes))
        return [
            plan if isinstance(plan, Failed) else self.number(next(values), len(plan[1]), plan[0][1]) for plan in plans
        ]

    def number(self, value: float | Failed, tokens: int, row: Row) -> Answer:
        """One sum as an answer; a number that is none is `Failed`."""
        if isinstance(value, Failed):
            return value
        if not math.isfinite(value):
            return Failed(f"the model's logits {NOT_FINITE}")
        return Number(value, tokens, dropped=row.dropped, unknown=row.unknown)

    def plans(self, batch: Sequence[LogProb]) -> list[Any]:
        """For each request ((ids to run, first asked position), row) and targets, or why it cannot be asked."""
        texts, fails = self.rendered([r.prefix for r in batch])
        # A prefix's last spaces belong to the text's first token (as in lm-evaluation-harness).
        stripped = [text.rstrip() for text, _ in texts]
        ends = [text[len(kept) :] + r.text for (text, _), kept, r in zip(texts, stripped, batch, strict=True)]
        special = [add for _, add in texts]
        before = self.tokens(stripped, special)
        whole = self.tokens([a + b for a, b in zip(stripped, ends, strict=True)], special)
        return [
            fail or self.plan(request, kept, one, both)
            for request, kept, one, both, fail in zip(batch, stripped, before, whole, fails, strict=True)
        ]

    def plan(self, request: LogProb, prefix: str, before: Row, whole: Row) -> Any:
        """One request's tokens: what stands before is what the prefix alone makes, the rest is asked for."""
        if not request.text:
            return Failed("the text is empty, so it has no probability")
        ids, start = whole.ids, len(before.ids)
        if not prefix and ids[: len(self.begin)] != self.begin:
            ids = self.begin + ids
        if not prefix:
            start = len(self.begin)
        if not start:
            return Failed("nothing stands before the text, and the tokenizer has no token to begin with")
        if start >= len(ids):
            return Failed("the tokenizer makes no token of the text's own")
        limit = self.weights.encoder.context
        dropped = max(len(ids) - 1 - limit, 0) if limit else 0
        if dropped and (self.overlong != "truncate" or len(ids) - start > limit):
            why = f"{len(ids)} tokens are more than the model's {limit}"
            return Failed(why, self.overlong == "skip", dropped=dropped)
        ids, start = ids[dropped:], start - dropped
        row = replace(whole, dropped=dropped)
        return ((ids[:-1], start - 1), row), tuple(ids[start:])

    def tokens(self, texts: list[str], special: list[bool]) -> list[Row]:
        """Rows of any length, without the token that ends a text; equal texts are tokenised once."""
        made: dict[tuple[str, bool], Row] = {}
        for add in (True, False):
            some = list(dict.fromkeys(text for text, s in zip(texts, special, strict=True) if s is add))
            for text, row in zip(some, self.weights.encoder.whole(some, add) if some else [], strict=True):
                made[text, add] = (
                    replace(row, ids=row.ids[: len(row.ids) - self.closing]) if add and self.closing else row
                )
        return [made[key] for key in zip(texts, special, strict=True)]

    def rendered(
        self, prompts: list[str], messages: list[tuple[tuple[str, str], ...]] | None = None
    ) -> tuple[list[tuple[str, bool]], list[Failed | None]]:
        """Each prompt as the model is to see it, and what the chat template refused."""
        texts: list[tuple[str, bool]] = []
        fails: list[Failed | None] = []
        for i, prompt in enumerate(prompts):
            try:
                texts.append(self.chat.text(prompt, messages[i] if messages else ()))
                fails.append(None)
            except RequestFailed as error:
                texts.append(("", True))
                fails.append(Failed(str(error)))
        return texts, fails

    def lanes(self, lines: list[Line], lanes: list[Lane]) -> list[float | Failed]:
        """One sum for each lane, in order."""
        by_line: dict[int, list[int]] = {}
        for n, lane in enumerate(lanes):
            by_line.setdefault(lane.line, []).append(n)
        found: list[float | Failed] = [0.0] * len(lanes)
        groups = [Group(0, (i,)) for i in range(len(lines))]
        if not self.reuse.reason:
            groups = group([line.ids for line in lines], [line.start for line in lines])
            groups = [g if self.fits(g, lines) else Group(0, g.rows) for g in groups]
        alone = [Group(0, (i,)) for g in groups if not g.shared for i in g.rows]
        for kind in ([g for g in groups if g.shared], alone):
            lengths = [max(g.shared, len(g.rows) * max(len(lines[i].ids) - g.shared for i in g.rows)) for g in kind]

            def work(part: list[int], kind: list[Group] = kind) -> list[Answer]:
                some = [kind[n] for n in part]
                order = [i for g in some for i in g.rows]
                place = {i: n for n, i in enumerate(order)}
                own = [(place[i], n) for i in order for n in by_line[i]]
                asked = [Lane(line, lanes[n].targets) for line, n in own]
                with torch.inference_mode():
                    if some[0].shared:
                        moved = [Group(g.shared, tuple(place[i] for i in g.rows)) for g in some]
                        values = self.reuse.shared(moved, [lines[i] for i in order], asked)
                    else:
                        values = self.reuse.plain([lines[i] for i in order], asked)
                for (_, n), value in zip(own, values, strict=True):
                    found[n] = value
                return [Number(0.0)] * len(part)

            for g, done in zip(kind, self.weights.batcher.run(lengths, work), strict=True):
                if isinstance(done, Failed):
                    for n in (n for i in g.rows for n in by_line[i]):
                        found[n] = done
        return found

    def fits(self, found: Group, lines: Sequence[Line]) -> bool:
        """False where a sliding window would hide part of the prefix from what comes after it."""
        return not self.reuse.window or max(len(lines[i].ids) for i in found.rows) <= self.reuse.window

    def texts(self, batch: list[Generate]) -> list[Answer]:
        """Text after each prompt; rows are padded on the left, or batched by equal length where state is recurrent."""
        texts, fails = self.rendered([r.prompt for r in batch], [r.messages for r in batch])
        rows = self.tokens([text for text, _ in texts], [add for _, add in texts])
        limit = self.weights.encoder.context
        answers: list[Answer | None] = []
        for i, (request, fail) in enumerate(zip(batch, fails, strict=True)):
            ids = rows[i].ids or self.begin
            over = max(len(ids) + request.limit - limit, 0) if limit else 0
            if over and self.overlong == "truncate" and over < len(ids):
                ids = ids[over:]
            elif over:
                why = f"{len(ids)} tokens and {request.limit} to write are more than the model's {limit}"
                fail = fail or Failed(why, self.overlong == "skip", dropped=over)
            rows[i] = replace(rows[i], ids=ids, dropped=over)
            answers.append(fail or (None if ids else Failed("the prompt is empty")))
        open_ = [i for i, answer in enumerate(answers) if answer is None]
        buckets: dict[int, list[int]] = {}
        for i in open_:
            buckets.setdefault(len(rows[i].ids) if self.recurrent else 0, []).append(i)
        for members in buckets.values():
            lengths = [len(rows[i].ids) + batch[i].limit for i in members]

            def work(part: list[int], members: list[int] = members) -> list[Answer]:
                return self.write(batch, rows, [members[n] for n in part])

            done = self.weights.batcher.run(lengths, work)
            for i, answer in zip(members, done, strict=True):
                answers[i] = replace(answer, dropped=rows[i].dropped, unknown=rows[i].unknown)
        return [answer for answer in answers if answer is not None]

    def write(self, batch: Sequence[Generate], rows: Sequence[Row], part: list[int]) -> list[Answer]:
        """One micro-batch of generation."""
        fill = self.reuse.fill
        ids, mask = padded([rows[i].ids for i in part], fill, self.weights.device, left=True)
        made: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids) if mask is None else mask}
        if self.recurrent and ids.shape[1] < SHORT:
            made["use_cache"] = False
        return generate(self.weights.model, self.weights.encoder.tokenizer, [batch[i] for i in part], made, fill)
