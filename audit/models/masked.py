"""The masked-language-model head: choices in place of a mask, and pseudo-log-likelihoods.  Knows no probe."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import torch

from audit.errors import CannotMeasure
from audit.models import LoadOptions
from audit.models.picked import at_lanes, scores
from audit.models.rows import NOT_FINITE, counted, each, embed, inputs, overlong
from audit.models.source import Source
from audit.models.tokens import Row
from audit.models.weights import open_weights
from audit.types import Answer, Choices, Embed, Failed, Fill, Number, PseudoLogProb, Request, Tokens

MASK = "[MASK]"


class Hole(NamedTuple):
    """One masked position and the token whose probability there is wanted."""

    row: Row
    at: int
    target: int


class Masked:
    """Answers `Fill`, `PseudoLogProb` and `Embed` (mean of the last hidden states)."""

    answers: frozenset[type[Request]] = frozenset({Fill, PseudoLogProb, Embed, Tokens})

    def __init__(self, source: Source, options: LoadOptions) -> None:
        self.weights = open_weights(source, "AutoModelForMaskedLM", options)
        self.about = self.weights.about
        token = self.weights.encoder.tokenizer.mask_token_id
        if token is None:
            raise CannotMeasure(f"the tokenizer of {source.folder} has no mask token, so no word can be masked")
        self.mask: int = token

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; the batch holds one kind."""
        first = batch[0] if batch else None
        if isinstance(first, Fill):
            return self.fill(cast(list[Fill], batch))
        if isinstance(first, PseudoLogProb):
            return self.pseudo(cast(list[PseudoLogProb], batch))
        if isinstance(first, Tokens):
            return counted(self.weights.encoder.whole([r.text for r in cast(list[Tokens], batch)]))
        rows = self.weights.encoder.encode([r.text for r in cast(list[Embed], batch)])
        return each(self.weights, rows, lambda part: embed(self.weights, part)) if rows else []

    def fill(self, batch: list[Fill]) -> list[Answer]:
        """Log-probability of each choice in place of the mask.

        A choice of k tokens fills k masks from left to right: the sum of log p of each token with the choice's earlier
        tokens shown and its later ones masked (so choices of one length share one distribution).
        """
        plans = [self.plan(request) for request in batch]
        holes = [hole for plan in plans if not isinstance(plan, Failed) for choice in plan for hole in choice]
        found = dict(zip(map(id, holes), self.fill_holes(holes), strict=True))
        answers: list[Answer] = []
        for plan in plans:
            if isinstance(plan, Failed):
                answers.append(plan)
                continue
            parts = [[found[id(hole)] for hole in choice] for choice in plan]
            failed = next((p for choice in parts for p in choice if isinstance(p, Failed)), None)
            unknown = max((hole.row.unknown for choice in plan for hole in choice), default=0.0)
            sums = tuple(sum(p for p in choice if isinstance(p, float)) for choice in parts)
            tokens = tuple(tuple(p for p in choice if isinstance(p, float)) for choice in parts)
            answers.append(failed or Choices(sums, tokens, unknown=unknown))
        return answers

    def plan(self, request: Fill) -> list[list[Hole]] | Failed:
        """For each choice its holes, in the order in which they are filled."""
        encoder, own = self.weights.encoder, self.weights.encoder.tokenizer.mask_token
        if request.text.count(MASK) != 1:
            return Failed(f"the text must hold {MASK} once, and holds it {request.text.count(MASK)} times")
        if not request.choices or not all(choice.strip() for choice in request.choices):
            return Failed("every choice must have a character that is not white space")
        masked, *full = encoder.encode(
            [request.text.replace(MASK, own), *(request.text.replace(MASK, choice) for choice in request.choices)]
        )
        if cut := next((row for row in (masked, *full) if row.dropped), None):
            return overlong(self.weights, cut)
        at = masked.ids.index(self.mask) if masked.ids.count(self.mask) == 1 else -1
        if at < 0:
            return Failed("the text holds the tokenizer's own mask token beside the one asked")
        plans = []
        for row in full:
            start, stop = middle(row.ids, masked.ids, at)
            if start >= stop:
                return Failed("the tokenizer makes no token of one of the choices")
            plans.append([self.hole(row, range(n, stop), row.ids[n]) for n in range(start, stop)])
        return plans

    def hole(self, row: Row, hidden: range, target: int) -> Hole:
        """A row whose `hidden` positions are masked, asked for `target` at the first of them."""
        ids = list(row.ids)
        for i in hidden:
            ids[i] = self.mask
        return Hole(replace(row, ids=ids), hidden[0], target)

    def pseudo(self, batch: list[PseudoLogProb]) -> list[Answer]:
        """Sum of log p of the shared tokens, each masked in turn (CrowS-Pairs' pseudo-log-likelihood)."""
        encoder = self.weights.encoder
        rows = encoder.encode([r.text for r in batch])
        others = encoder.encode([r.shared or r.text for r in batch])
        holes: list[Hole] = []
        owner: list[int] = []
        for i, (row, other) in enumerate(zip(rows, others, strict=True)):
            if not row.dropped:
                kept = [n for n in shared(row.ids, other.ids) if row.ids[n] not in self.unasked]
                holes += [self.hole(row, range(n, n + 1), row.ids[n]) for n in kept]
                owner += [i] * len(kept)
        parts: list[list[float | Failed]] = [[] for _ in batch]
        for i, value in zip(owner, self.fill_holes(holes), strict=True):
            parts[i].append(value)
        return [self.total(row, values) for row, values in zip(rows, parts, strict=True)]

    def total(self, row: Row, values: Sequence[float | Failed]) -> Answer:
        """The sum over one text's masked tokens."""
        if row.dropped:
            return overlong(self.weights, row)
        if failed := next((v for v in values if isinstance(v, Failed)), None):
            return failed
        if not values:
            return Failed("no token of the text is shared, so there is nothing to sum")
        return Number(sum(v for v in values if isinstance(v, float)), len(values), unknown=row.unknown)

    @property
    def unasked(self) -> frozenset[int]:
        """Special tokens, which are never masked (an unknown token is: its probability is the model's too)."""
        return self.weights.encoder.specials - {self.weights.encoder.unk}

    def fill_holes(self, holes: Sequence[Hole]) -> list[float | Failed]:
        """Log-probability of each hole's target; holes that show the model the same text are computed once."""
        distinct: dict[tuple[object, ...], int] = {}
        place = [distinct.setdefault((h.at, h.row.key), len(distinct)) for h in holes]
        first: list[Hole] = list(dict(zip(place, holes, strict=True)).values())
        asked: list[list[int]] = [[] for _ in first]
        for i, p in enumerate(place):
            asked[p].append(i)
        values: list[float | Failed] = [0.0] * len(holes)

        def work(part: list[int]) -> list[Answer]:
            some = [first[i] for i in part]
            made = inputs(self.weights, [hole.row for hole in some], self.weights.left)
            width = made["input_ids"].shape[1]
            shift = [width - len(h.row.ids) if self.weights.left else 0 for h in some]
            at = torch.tensor([[h.at + s] for h, s in zip(some, shift, strict=True)])
            lanes = [(n, i) for n, p in enumerate(part) for i in asked[p]]
            with torch.inference_mode():
                logits = scores(self.weights.model, made, at)
                found = at_lanes(logits, [n for n, _ in lanes], [(holes[i].target,) for _, i in lanes])
            for (_, i), value in zip(lanes, found, strict=True):
                values[i] = value if math.isfinite(value) else Failed(f"the model's logits {NOT_FINITE}")
            return [Number(0.0)] * len(part)

        done = self.weights.batcher.run([len(hole.row.ids) for hole in first], work)
        return [cast(Failed, done[p]) if isinstance(done[p], Failed) else v for p, v in zip(place, values, strict=True)]


def middle(full: list[int], masked: list[int], at: int) -> tuple[int, int]:
    """The range of `full` that stands where `masked` has its mask at `at`: what neither end shares."""
    start = 0
    while start < min(at, len(full)) and full[start] == masked[start]:
        start += 1
    end, most = 0, min(len(masked) - at - 1, len(full) - start)
    while end < most and full[-1 - end] == masked[-1 - end]:
        end += 1
    return start, len(full) - end


def shared(ids: list[int], other: list[int]) -> list[int]:
    """Positions of `ids` in spans that `other` has too, as difflib finds them (on strings, as CrowS-Pairs does)."""
    matcher = difflib.SequenceMatcher(None, [str(i) for i in ids], [str(i) for i in other])
    return [n for tag, start, stop, _, _ in matcher.get_opcodes() if tag == "equal" for n in range(start, stop)]
