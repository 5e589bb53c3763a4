"""What changed between two texts: Latin words and single CJK characters.  Knows nothing of HTML, findings or files."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from rapidfuzz.distance import Levenshtein

from audit.report.marks import Mark, marks, mostly_latin

Kind = Literal["same", "del", "ins", "gap"]
LONGEST = 20_000  # characters of each text that are compared
KEEP = 12  # tokens kept at either side of a change


@dataclass(frozen=True)
class Piece:
    """A stretch that is the same, deleted or inserted; a `gap` stands for `count` unchanged characters left out."""

    kind: Kind
    marks: tuple[Mark, ...] = ()
    count: int = 0

    @property
    def size(self) -> int:
        """Characters shown."""
        return sum(len(mark.text or mark.code) for mark in self.marks)


def tokens(text: str) -> list[str]:
    """Words (with the hidden characters in them), single CJK characters, runs of blanks, single other characters."""
    found: list[str] = []
    for kind, run in groupby(text, _kind):
        chars = "".join(run)
        found += [chars] if kind in ("word", "blank") else list(chars)
    return found


def diff(before: str, after: str, limit: int = 600) -> tuple[Piece, ...]:
    """The pieces that turn `before` into `after`, long unchanged stretches left out, at most about `limit` characters.

    Without a `gap` among them, the `same` and `del` pieces join to `before`, the `same` and `ins` pieces to `after`.
    """
    latin, whole = mostly_latin(before + after), len(before) + len(after) <= limit
    old, new = tokens(before[:LONGEST]), tokens(after[:LONGEST])
    found: list[Piece] = []
    for op in Levenshtein.opcodes(old, new):
        gone, come = old[op.src_start : op.src_end], new[op.dest_start : op.dest_end]
        if op.tag == "equal" and whole:
            found.append(_piece("same", "".join(gone), latin))
        elif op.tag == "equal":
            found += _unchanged(gone, latin, first=op.src_start == 0, last=op.src_end == len(old))
        elif op.tag == "replace":
            found += _replaced("".join(gone), "".join(come), latin)
        else:
            found.append(_piece("del" if gone else "ins", "".join(gone or come), latin))
    if len(before) > LONGEST or len(after) > LONGEST:
        found.append(Piece("gap", count=max(len(before), len(after)) - LONGEST))
    return _bounded(found, limit)


def excerpt(text: str, limit: int = 600) -> tuple[Piece, ...]:
    """One text as pieces: whole, or its head and tail with a gap between them."""
    latin = mostly_latin(text)
    if len(text) <= limit:
        return (_piece("same", text, latin),)
    head, tail = text[: limit * 2 // 3], text[-limit // 3 :]
    return (
        _piece("same", head, latin),
        Piece("gap", count=len(text) - len(head) - len(tail)),
        _piece("same", tail, latin),
    )


def _kind(char: str) -> str:
    if char.isspace():
        return "blank"
    if _is_cjk(char):
        return "cjk"
    if char.isalnum() or char in "'’_-" or unicodedata.category(char)[0] in "MC":
        return "word"
    return "other"


def _is_cjk(char: str) -> bool:
    return (
        "\u2e80" <= char <= "\u9fff"
        or "\uac00" <= char <= "\ud7a3"
        or "\uf900" <= char <= "\ufaff"
        or char >= "\U00020000"
    )


def _piece(kind: Kind, text: str, latin: bool) -> Piece:
    return Piece(kind, marks(text, latin))


def _unchanged(words: Sequence[str], latin: bool, *, first: bool, last: bool) -> list[Piece]:
    head, tail = (0 if first else KEEP * 2), (0 if last else KEEP * 2)  # blanks are tokens too
    if len(words) <= head + tail + KEEP:
        return [_piece("same", "".join(words), latin)]
    left_out = len("".join(words[head : len(words) - tail]))
    pieces = [Piece("gap", count=left_out)]
    if head:
        pieces.insert(0, _piece("same", "".join(words[:head]), latin))
    if tail:
        pieces.append(_piece("same", "".join(words[-tail:]), latin))
    return pieces


def _replaced(gone: str, come: str, latin: bool) -> list[Piece]:
    """A deletion and an insertion, with the characters that differ marked where the two are alike."""
    if max(len(gone), len(come)) > 200 or Levenshtein.normalized_similarity(gone, come) < 0.4:
        return [_piece("del", gone, latin), _piece("ins", come, latin)]
    ops = list(Levenshtein.opcodes(gone, come))
    left = [(gone[op.src_start : op.src_end], op.tag != "equal") for op in ops]
    right = [(come[op.dest_start : op.dest_end], op.tag != "equal") for op in ops]
    return [Piece("del", tuple(_flagged(left, latin))), Piece("ins", tuple(_flagged(right, latin)))]


def _flagged(parts: Sequence[tuple[str, bool]], latin: bool) -> Iterator[Mark]:
    for text, changed in parts:
        yield from marks(text, latin, changed)


def _bounded(pieces: Sequence[Piece], limit: int) -> tuple[Piece, ...]:
    """Stop once about `limit` characters are shown; what is left becomes one gap."""
    kept: list[Piece] = []
    room = limit
    for at, piece in enumerate(pieces):
        if room <= 0:
            return (*kept, Piece("gap", count=sum(p.size + p.count for p in pieces[at:])))
        if piece.size > max(room, 80):
            shown = tuple(_first(piece.marks, max(room, 80)))
            cut = Piece(piece.kind, shown)
            rest = piece.size - cut.size + sum(p.size + p.count for p in pieces[at + 1 :])
            return (*kept, cut, Piece("gap", count=rest))
        kept.append(piece)
        room -= piece.size
    return tuple(kept)


def _first(found: Sequence[Mark], limit: int) -> Iterator[Mark]:
    """As many marks as fit `limit` characters; the last plain one is cut."""
    for mark in found:
        if limit <= 0:
            return
        yield mark if mark.code else replace(mark, text=mark.text[:limit])
        limit -= len(mark.text or mark.code)
