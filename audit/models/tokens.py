"""Text to token ids and back, for fast and slow tokenizers alike: nothing is cut or lost without being counted.

Knows tokenizers; knows no model, no request and no tensor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

MARKS = ("##", "▁", "Ġ", "</w>", "@@")


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded text (or pair): ids, segment ids (None where all are 0), tokens cut off, share of text unknown."""

    ids: list[int]
    types: list[int] | None = None
    dropped: int = 0
    unknown: float = 0.0

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for rows that no model can tell apart."""
        return (self.dropped, self.unknown, sum(self.types or ()), tuple(self.ids))


class Encoder:
    """A tokenizer with one contract: `context` is the longest row it may make (0: no limit)."""

    def __init__(self, tokenizer: Any, context: int, segments: bool) -> None:
        self.tokenizer = tokenizer
        self.context = context
        self.segments = segments
        self.fast = bool(tokenizer.is_fast)
        self.unk: int | None = tokenizer.unk_token_id if tokenizer.unk_token is not None else None
        self.specials = frozenset(tokenizer.all_special_ids)
        if self.fast:
            # A tokenizer.json may carry the truncation and padding of its training.
            tokenizer.backend_tokenizer.no_truncation()
            tokenizer.backend_tokenizer.no_padding()

    def encode(self, texts: list[str], pairs: list[str] | None = None) -> list[Row]:
        """One row a text, with special tokens.  An empty string among `pairs` means: no pair."""
        if pairs is not None and not any(pairs):
            pairs = None
        if pairs is None or all(pairs):
            return self._encode(texts, pairs)
        rows: list[Row | None] = [None] * len(texts)
        for paired in (False, True):
            at = [i for i, pair in enumerate(pairs) if bool(pair) is paired]
            some = self._encode([texts[i] for i in at], [pairs[i] for i in at] if paired else None)
            for i, row in zip(at, some, strict=True):
                rows[i] = row
        return [row for row in rows if row is not None]

    def whole(self, texts: list[str], special: bool = True) -> list[Row]:
        """One row a text, however long, with or without special tokens."""
        return self._encode(texts, None, special, cut=False)

    def spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids and character ranges of one text (fast tokenizers only); (0, 0) for what is no part of the text."""
        made = self.tokenizer.backend_tokenizer.encode(clean(text))
        ranges = []
        for (start, end), special in zip(made.offsets, made.special_tokens_mask, strict=True):
            piece = text[start:end]
            start += len(piece) - len(piece.lstrip())
            ranges.append((0, 0) if special or start >= end else (start, start + len(piece.strip())))
        return made.ids, ranges

    def _encode(self, texts: list[str], pairs: list[str] | None, special: bool = True, cut: bool = True) -> list[Row]:
        texts, pairs = [clean(t) for t in texts], pairs and [clean(p) for p in pairs]
        all_ids, all_types = self._ids(texts, pairs, special)
        least = self._added[pairs is not None] if special else 0
        rows = []
        for i, ids in enumerate(all_ids):
            types = all_types[i] if all_types is not None else None
            text, pair = texts[i], pairs[i] if pairs else ""
            unknown = 0.0
            if self.unk is not None and self.unk in ids:
                unknown = self._unknown(text, pair, ids)
            elif len(ids) <= least and (text + pair).strip():
                unknown = 1.0
            dropped = 0
            if cut and self.context and len(ids) > self.context:
                whole = len(ids)
                ids, types = self._cut(text, pair)
                dropped = whole - len(ids)
            rows.append(Row(ids, types, dropped, unknown))
        return rows

    def _ids(
        self, texts: list[str], pairs: list[str] | None, special: bool
    ) -> tuple[list[list[int]], list[list[int]] | None]:
        if self.fast:
            backend = self.tokenizer.backend_tokenizer
            asked = texts if pairs is None else list(zip(texts, pairs, strict=True))
            made = backend.encode_batch_fast(asked, add_special_tokens=special)
            return [e.ids for e in made], [e.type_ids for e in made] if self.segments else None
        found = self.tokenizer(texts, pairs, add_special_tokens=special, truncation=False, verbose=False)
        return found["input_ids"], found.get("token_type_ids") if self.segments else None

    def _cut(self, text: str, pair: str) -> tuple[list[int], list[int] | None]:
        found = self.tokenizer(text, pair or None, truncation="longest_first", max_length=self.context, verbose=False)
        if self.fast:
            self.tokenizer.backend_tokenizer.no_truncation()
        return found["input_ids"], found.get("token_type_ids") if self.segments else None

    @cached_property
    def _added(self) -> tuple[int, int]:
        add = self.tokenizer.num_special_tokens_to_add
        return add(pair=False), add(pair=True)

    def _unknown(self, text: str, pair: str, ids: list[int]) -> float:
        """Characters under unknown tokens over all that are not white space (SentencePiece fuses unknown runs)."""
        size = solid(text) + solid(pair)
        if not size:
            return 0.0
        if not self.fast:
            known = self._known_characters(text) + (self._known_characters(pair) if pair else 0)
            return min(max(1 - known / size, 0.0), 1.0)
        made = self.tokenizer.backend_tokenizer.encode(text, pair or None)
        lost = 0
        for token, (start, end), part in zip(made.ids, made.offsets, made.sequence_ids, strict=True):
            if token == self.unk and part is not None:
                lost += solid((pair if part else text)[start:end])
        return min(lost / size, 1.0)

    def _known_characters(self, text: str) -> int:
        """For slow tokenizers, which keep no offsets: the length of the pieces that are in the vocabulary."""
        known = 0
        for piece in self.tokenizer.tokenize(text):
            if self.tokenizer.convert_tokens_to_ids(piece) != self.unk:
                for mark in MARKS:
                    piece = piece.replace(mark, "")
                known += len(piece)
        return known


def solid(text: str) -> int:
    """How many characters are not white space."""
    return sum(map(len, text.split()))


def clean(text: str) -> str:
    """The text with lone surrogates, which no tokenizer takes, as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text
