"""Other code points that look like the text, and code points that do not show at all.  Knows nothing of spelling."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from random import Random
from string import ascii_lowercase

from audit.kit.perturb.edits import Edit, chunks, han, han_runs, has_mark, letters, perturbation, pick
from audit.kit.perturb.homoglyphs import HOMOGLYPHS

_ACCENTS = {
    "a": "\u0301\u0300\u0302\u0308\u0303\u030a", "c": "\u0327\u0301\u030c", "d": "\u030c",
    "e": "\u0301\u0300\u0302\u0308", "g": "\u0306\u0302", "h": "\u0302", "i": "\u0301\u0300\u0302\u0308",
    "j": "\u0302", "k": "\u0327", "l": "\u0301\u0327", "n": "\u0303\u0301\u030c",
    "o": "\u0301\u0300\u0302\u0308\u0303", "r": "\u0301\u030c", "s": "\u0301\u0327\u030c", "t": "\u0327\u030c",
    "u": "\u0301\u0300\u0302\u0308\u030a", "w": "\u0302", "y": "\u0301\u0308", "z": "\u0301\u0307\u030c",
}  # fmt: skip
_LEET = {
    "a": ("4", "@"), "b": ("8",), "e": ("3",), "g": ("9", "6"), "i": ("1", "!"), "l": ("1", "|"), "o": ("0",),
    "s": ("5", "$"), "t": ("7", "+"), "z": ("2",),
}  # fmt: skip
# Space, joiners and marks of no width.  The two joiners that shape letters (200C, 200D) are for Latin letters only.
_UNSEEN = ("\u200b", "\u2060", "\ufeff")
_UNSEEN_LATIN = (*_UNSEEN, "\u200c", "\u200d")
_DELETIONS = ("\u0008", "\u007f")
_OVERRIDE, _POP, _ISOLATE, _POP_ISOLATE = "\u202e", "\u202c", "\u2066", "\u2069"


@perturbation("Accents", "变音符号", languages="en", unit="share of letters that can carry an accent")
def diacritics(text: str, rng: Random) -> Iterator[Edit]:
    """Accents put on plain letters and taken from accented ones: "resume" becomes "résumé", "café" becomes "cafe"."""
    for i in letters(text):
        plain = unicodedata.normalize("NFD", text[i])[0]
        marks = _ACCENTS.get(plain.lower(), "")
        if marks:
            accented = unicodedata.normalize("NFC", text[i] + pick(rng, marks))
            yield Edit(i, i + 1, accented if plain == text[i] else plain)


@perturbation("Leetspeak", "黑客语", languages="en", unit="share of letters with a leetspeak sign")
def leetspeak(text: str, rng: Random) -> Iterator[Edit]:
    """Digits and signs that recall letters: "elite" becomes "3l173"."""
    for i in letters(text):
        if text[i].lower() in _LEET:
            yield Edit(i, i + 1, pick(rng, _LEET[text[i].lower()]))


@perturbation("Lookalike letters", "形近字母", languages="en", unit="share of letters with a lookalike")
def homoglyphs(text: str, rng: Random) -> Iterator[Edit]:
    """Letters of other scripts that look the same, such as Cyrillic for Latin: a reader sees no difference."""
    for i in letters(text):
        if text[i] in HOMOGLYPHS:
            yield Edit(i, i + 1, pick(rng, HOMOGLYPHS[text[i]]))


@perturbation("Zero-width characters", "零宽字符", languages="en zh", unit="share of places inside words")
def zero_width(text: str, rng: Random) -> Iterator[Edit]:
    """Characters of no width between letters: a reader sees no difference."""
    for i in letters(text):
        if i + 1 < len(text) and text[i + 1].isalpha():
            yield Edit(i + 1, i + 1, pick(rng, _UNSEEN_LATIN))
    for start, end in han_runs(text):
        yield from (Edit(place, place, pick(rng, _UNSEEN)) for place in range(start + 1, end))


@perturbation(
    "Reordered by control characters", "双向控制符", languages="en zh", unit="share of words of two letters or more"
)
def bidi_control(text: str, rng: Random) -> Iterator[Edit]:
    """Words stored backwards between controls that make them show forwards: a reader sees no difference.

    The reordering of Boucher et al., Bad Characters (2022): isolate, right-to-left override, the word reversed.
    """
    for start, end in chunks(text, shortest=2):
        if text[start:end].isalpha() and not has_mark(text, end - 1):
            turned = text[start:end][::-1]
            yield Edit(start, end, f"{_ISOLATE}{_OVERRIDE}{turned}{_POP}{_POP_ISOLATE}")


@perturbation("Deleted on display", "隐形删除", languages="en zh", unit="share of letters")
def invisible_deletion(text: str, rng: Random) -> Iterator[Edit]:
    """A wrong letter and the backspace or delete control that removes it again: a reader sees no difference.

    The deletions of Boucher et al., Bad Characters (2022).
    """
    for i in letters(text):
        yield Edit(i + 1, i + 1, pick(rng, ascii_lowercase) + pick(rng, _DELETIONS))
    for i in han(text):
        yield Edit(i + 1, i + 1, pick(rng, "的了是在人有我") + pick(rng, _DELETIONS))
