"""Capitals, punctuation and spaces: what a text looks like, not what it says.  Knows nothing of words' meanings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from audit.kit.perturb.edits import Edit, gaps, han_runs, has_mark, is_chinese, letters, perturbation, pick, words

# Signs that carry a value (% $ # @ & / + =) are no punctuation here.
_PUNCTUATION = re.compile("[.,;:!?…\"“”„«»‘’'()\\[\\]{}–—，。、；：！？（）《》〈〉【】「」『』〔〕·¡¿-]")
_SPACES = ("  ", "   ", "    ", " \t", "\u00a0 ")


@perturbation("Capitals", "全部大写", languages="en", unit="share of words")
def upper_case(text: str, rng: Random) -> Iterator[Edit]:
    """Words in capitals: "great" becomes "GREAT"."""
    yield from (Edit(start, end, text[start:end].upper()) for start, end in words(text))


@perturbation("Small letters", "全部小写", languages="en", unit="share of words with a capital")
def lower_case(text: str, rng: Random) -> Iterator[Edit]:
    """Words in small letters: "London" becomes "london"."""
    yield from (Edit(start, end, text[start:end].lower()) for start, end in words(text))


@perturbation("Capital initials", "首字母大写", languages="en", unit="share of words that start small")
def title_case(text: str, rng: Random) -> Iterator[Edit]:
    """Words with a capital first letter: "great film" becomes "Great Film"."""
    yield from (Edit(start, start + 1, text[start].upper()) for start, _ in words(text))


@perturbation("Mixed capitals", "大小写混杂", languages="en", unit="share of words")
def mixed_case(text: str, rng: Random) -> Iterator[Edit]:
    """Words in capitals and small letters at random: "great" becomes "gReAT"."""
    for start, end in words(text):
        word = text[start:end]
        mixed = "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in word)
        # By chance the word may come out as it was: then every letter changes its case.
        yield Edit(start, end, mixed if mixed != word else word.swapcase())


def _inside(text: str, at: int) -> bool:
    """Between two characters of one word or number: don't, well-known, 3.5, 10:30."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return before.isascii() and after.isascii() and before.isalnum() and after.isalnum()


@perturbation("Punctuation left out", "缺少标点", languages="*", unit="share of punctuation marks")
def punctuation_drop(text: str, rng: Random) -> Iterator[Edit]:
    """Punctuation marks deleted, but those inside words and numbers: "Good, cheap." becomes "Good cheap"."""
    for match in _PUNCTUATION.finditer(text):
        if not _inside(text, match.start()) and not has_mark(text, match.start()):
            yield Edit(*match.span(), "")


@perturbation("Stray punctuation", "多余标点", languages="en zh", unit="share of places between words")
def punctuation_add(text: str, rng: Random) -> Iterator[Edit]:
    """Commas, full stops and dashes where none belong: "a good film" becomes "a, good film"."""
    for start, _ in gaps(text):
        yield Edit(start, start, pick(rng, (",", ".", ";", "...", " -")))
    for start, end in han_runs(text):
        for place in range(start + 1, end):
            yield Edit(place, place, pick(rng, ("，", "、", "。", "…", "；")))


@perturbation(
    "Extra spaces", "多余空格", languages="*", unit="share of spaces, or of places between characters in Chinese"
)
def extra_spaces(text: str, rng: Random) -> Iterator[Edit]:
    """Wider spaces between words; spaces between characters in Chinese: "好看" becomes "好 看"."""
    for match in re.finditer(r"(?<=\S)[ \u00a0]+(?=\S)", text):
        yield Edit(match.end(), match.end(), pick(rng, _SPACES))
    if is_chinese(text):
        for start, end in han_runs(text):
            yield from (Edit(place, place, pick(rng, (" ", "  ", "\u3000"))) for place in range(start + 1, end))


@perturbation("Merged words", "单词粘连", languages="en", unit="share of spaces between words")
def merged_words(text: str, rng: Random) -> Iterator[Edit]:
    """Spaces between words left out: "a good film" becomes "a goodfilm"."""
    yield from (Edit(start, end, "") for start, end in gaps(text))


@perturbation("Split words", "单词断开", languages="en", unit="share of words of four letters or more")
def split_words(text: str, rng: Random) -> Iterator[Edit]:
    """A space inside a word, at least two letters from its ends: "wonderful" becomes "won derful"."""
    places = set(letters(text))
    for start, end in words(text):
        inner = [i for i in range(start + 2, end - 1) if i in places and i - 1 in places]
        at = rng.random()
        if inner:
            place = inner[int(at * len(inner))]
            yield Edit(place, place, " ")
