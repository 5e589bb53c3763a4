"""Other spellings and numbers, and words that go missing or change places.  Knows English and Chinese numerals only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from random import Random

from audit.kit.perturb import tables
from audit.kit.perturb.edits import Edit, like, perturbation, pick, words

_NUMBER = re.compile(r"(?<![A-Za-z0-9_@#])[0-9]+(?![A-Za-z0-9_])")
# "one" and 一 are left alone: most of them count nothing.
_COUNTS = (
    ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
    ("hundred", "thousand", "million", "billion"),
)
_CHINESE = "二两三四五六七八九"
_CHINESE_COUNT = re.compile(
    rf"(?<![一{_CHINESE}十百千万第])[{_CHINESE}]"
    "(?=[个位次天年月号块元斤件本岁层楼星折倍遍杯盘间张条家份]|分钟|小时|公里|米)"
)


def _respelt(text: str, table: Mapping[str, str]) -> Iterator[Edit]:
    for start, end in words(text):
        new = table.get(text[start:end].lower())
        if new:
            yield Edit(start, end, like(text[start:end], new))


@perturbation("British spelling", "英式拼写", languages="en", unit="share of words with a British spelling")
def british_spelling(text: str, rng: Random) -> Iterator[Edit]:
    """American spellings made British: "color" becomes "colour"."""
    return _respelt(text, tables.spellings()[1])


@perturbation("American spelling", "美式拼写", languages="en", unit="share of words with an American spelling")
def american_spelling(text: str, rng: Random) -> Iterator[Edit]:
    """British spellings made American: "colour" becomes "color"."""
    return _respelt(text, tables.spellings()[0])


@perturbation("Changed numbers", "数字改变", languages="en zh", unit="share of numbers", keeps_meaning=False)
def number_swap(text: str, rng: Random) -> Iterator[Edit]:
    """Numbers replaced by others of their size, which changes what is said: "3 nights" becomes "7 nights"."""
    for match in _NUMBER.finditer(text):
        yield Edit(*match.span(), _other_number(match[0], rng))
    for start, end in words(text):
        same = next((group for group in _COUNTS if text[start:end].lower() in group), ())
        if same:
            others = [word for word in same if word != text[start:end].lower()]
            yield Edit(start, end, like(text[start:end], pick(rng, others)))
    for match in _CHINESE_COUNT.finditer(text):
        # 二 and 两 are both two: neither may stand for the other.
        others = [c for c in _CHINESE[1:] if c != match[0] and {c, match[0]} != {"二", "两"}]
        yield Edit(*match.span(), pick(rng, others))


def _other_number(digits: str, rng: Random) -> str:
    # A year stays in its century, so that it is still read as one.
    kept = digits[:2] if len(digits) == 4 and digits[:2] in ("19", "20") else ""
    rest = digits[len(kept) :]
    first = "0123456789" if kept or rest[0] == "0" else "123456789"
    new = pick(rng, first) + "".join(pick(rng, "0123456789") for _ in rest[1:])
    return kept + (new if new != rest else pick(rng, first.replace(rest[0], "")) + rest[1:])


@perturbation("Missing words", "缺词", languages="en", unit="share of words but one", keeps_meaning=False)
def word_drop(text: str, rng: Random) -> Iterator[Edit]:
    """Words left out, with the space after them; one word, drawn at random, always stays."""
    spans = list(words(text))
    kept = int(rng.random() * len(spans))
    for at, (start, end) in enumerate(spans):
        if at != kept:
            space = re.compile(r"[ \t\u00a0]*").match(text, end)
            yield Edit(start, space.end() if space else end, "")


@perturbation("Shuffled words", "词序打乱", languages="en", unit="share of words", keeps_meaning=False)
def word_shuffle(text: str, rng: Random) -> Iterator[Edit]:
    """Pairs of words, anywhere in the text, change places; at strength 1 every word (of an even number) has moved."""
    spans = list(words(text))
    rng.shuffle(spans)
    for one, other in zip(spans[::2], spans[1::2], strict=False):
        (a, b), (c, d) = sorted((one, other))
        yield Edit(a, b, text[c:d], Edit(c, d, text[a:b]))
