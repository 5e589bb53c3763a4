"""The token-classification head: one tag a word, and the entities that tags spell.  Knows no probe."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch

from audit.errors import CannotMeasure
from audit.models import LoadOptions
from audit.models.labels import label_map
from audit.models.rows import NOT_FINITE, counted, each, embed, inputs, overlong
from audit.models.source import Source
from audit.models.tokens import Row, clean
from audit.models.weights import open_weights
from audit.types import Answer, Embed, Failed, Request, Tag, Tags, Tokens


class Entity(NamedTuple):
    """Words [start, stop) that tags call one entity of this kind."""

    kind: str
    start: int
    stop: int


class Tagger:
    """Answers `Tag` (each word gets the tag of its first token) and `Embed` (mean of the last hidden states)."""

    answers: frozenset[type[Request]] = frozenset({Tag, Embed, Tokens})

    def __init__(self, source: Source, options: LoadOptions) -> None:
        self.weights = weights = open_weights(source, "AutoModelForTokenClassification", options)
        self.about = weights.about
        if not weights.encoder.fast:
            raise CannotMeasure(
                f"the tokenizer of {source.folder} is a slow one, which does not say where its tokens stand in a "
                "text, so words cannot be tagged: add a tokenizer.json (most tokenizers can be converted)"
            )
        config = weights.config
        own = [str(config.id2label[i]) for i in range(config.num_labels)]
        self.labels = label_map(own, options.labels, source.reference)
        self.about["labels"] = list(self.labels.names)
        self.outside = "O" if "O" in self.labels.names else ""

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; the batch holds one kind."""
        if batch and isinstance(batch[0], Tag):
            return self.tags(cast(list[Tag], batch))
        if batch and isinstance(batch[0], Tokens):
            return counted(self.weights.encoder.whole([r.text for r in cast(list[Tokens], batch)]))
        rows = self.weights.encoder.encode([r.text for r in cast(list[Embed], batch)])
        return each(self.weights, rows, lambda part: embed(self.weights, part)) if rows else []

    def tags(self, batch: list[Tag]) -> list[Answer]:
        """Tags of each row of words, which the model reads as a text with one space between words."""
        texts = [" ".join(map(clean, request.words)) for request in batch]
        rows = self.weights.encoder.encode(texts)

        def work(part: list[int]) -> list[Answer]:
            made = inputs(self.weights, [rows[i] for i in part], self.weights.left)
            with torch.inference_mode():
                logits = self.weights.model(**made).logits.float()
                probs = logits.softmax(-1)
                if not self.labels.plain:
                    probs = torch.stack([probs[..., list(c)].sum(-1) for c in self.labels.columns], -1)
                best = probs.max(-1)
            width = made["input_ids"].shape[1]
            shifts = [width - len(rows[i].ids) if self.weights.left else 0 for i in part]
            return [
                self.read(batch[i].words, texts[i], rows[i], values[s:], picks[s:])
                for i, s, values, picks in zip(part, shifts, best.values.tolist(), best.indices.tolist(), strict=True)
            ]

        return self.weights.batcher.run([len(row.ids) for row in rows], work)

    def read(self, words: Sequence[str], text: str, row: Row, probs: list[float], picks: list[int]) -> Answer:
        """One answer from the best tag of every token; a word that has no token is outside every entity."""
        if row.dropped:
            return overlong(self.weights, row)
        starts = [0]
        for word in words[:-1]:
            starts.append(starts[-1] + len(word) + 1)
        first: dict[int, int] = {}
        for n, (start, end) in enumerate(self.weights.encoder.spans(text)[1]):
            if end > start:
                first.setdefault(bisect_right(starts, start) - 1, n)
        if any(probs[n] != probs[n] for n in first.values()):
            return Failed(f"the model's logits {NOT_FINITE}")
        names = tuple(self.labels.names[picks[first[i]]] if i in first else self.outside for i in range(len(words)))
        shares = tuple(probs[first[i]] if i in first else 0.0 for i in range(len(words)))
        return Tags(names, shares, unknown=row.unknown)


def entities(tags: Sequence[str]) -> list[Entity]:
    """Entities in BIO, BIOES, BILOU or plain tags; an I- that continues nothing begins an entity (as in CoNLL)."""
    found: list[Entity] = []
    kind, start = "", 0
    for at, tag in enumerate([*tags, "O"]):
        mark, _, name = tag.partition("-") if tag[1:2] == "-" else ("O" if tag in ("O", "") else "I", "", tag)
        name = "" if mark == "O" else name
        if kind and (name != kind or mark in "BSU"):
            found.append(Entity(kind, start, at))
            kind = ""
        if name and not kind:
            kind, start = name, at
        if kind and mark in "ESLU":
            found.append(Entity(kind, start, at + 1))
            kind = ""
    return found
