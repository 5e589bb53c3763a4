"""What a perturbation is: places in a text where one edit could be made.  Knows no perturbation and no table."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from audit.errors import UsageError

LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
HAN = "\u3400-\u4dbf\u4e00-\u9fff\u3007\U00020000-\U000323af"
MARKS = "\u0300-\u036f"
_ONE = f"[{LATIN}][{MARKS}]*"
_WORD = re.compile(
    # Addresses, mentions, hashtags and tags are matched first, without a name, so that no word is found inside them.
    r"https?://\S+|www\.\S+|[\w.+-]{1,64}@[\w-]{1,64}\.\w{2,16}|(?<!\w)[@#]\w+|<[^<>\s][^<>]{0,200}>"
    rf"|(?P<word>(?:{_ONE})+(?:['’](?:{_ONE})+)*)"
)
_HAN_RUN = re.compile(f"[{HAN}]+")
_GAP = re.compile(r"[ \t\u00a0]+(?=\w)")


class Edit(NamedTuple):
    """Replace `text[start:end]` by `new`; `twin` is a second edit that is made with this one or not at all."""

    start: int
    end: int
    new: str
    twin: Edit | None = None

    @property
    def parts(self) -> tuple[Edit, ...]:
        """This edit and its twin, without twins."""
        return (self,) if self.twin is None else (self._replace(twin=None), self.twin)


Sites = Callable[[str, Random], Iterable[Edit]]


@dataclass(frozen=True)
class Perturbation:
    """One way to change a text.

    `languages` holds "en", "zh", or "*" for any; `keeps_meaning` says whether a careful reader would still give the
    same label at a moderate strength; `unit` is what the strength is a share of; `title` is the name in en and zh.
    `sites(text, rng)` yields every edit that could be made, disjoint, whatever the strength.
    """

    name: str
    languages: frozenset[str]
    keeps_meaning: bool
    unit: str
    title: dict[str, str]
    doc: str
    sites: Sites

    def suits(self, language: str) -> bool:
        """Whether texts in this language (a tag such as en, en-GB, zh_Hant) may be perturbed so."""
        return "*" in self.languages or re.split("[-_]", language.lower())[0] in self.languages

    def edits(self, text: str, strength: float, rng: Random) -> list[Edit]:
        """The edits made at this strength (0 to 1), in the order of the text.

        Every site draws one number; the round(strength x sites) sites with the smallest draws are edited, and at least
        one if there is any.  So the share is exact, the edits at a lower strength are a subset of those at a higher one
        (same text, equal `rng`), and a short text cannot look robust because nothing was done to it.
        UsageError for a strength outside [0, 1].
        """
        check_strength(strength)
        if strength == 0:
            return []
        drawn = [(rng.random(), edit) for edit in self.sites(text, rng) if _changes(text, edit)]
        count = max(1, math.floor(strength * len(drawn) + 0.5))
        smallest = sorted(range(len(drawn)), key=lambda site: (drawn[site][0], site))[:count]
        made = [part for site in sorted(smallest) for part in drawn[site][1].parts]
        return sorted(made, key=lambda edit: (edit.start, edit.end))

    def run(self, text: str, strength: float, rng: Random) -> str:
        """The text after the edits; the text itself at strength 0 or where there is nothing to edit."""
        return rewrite(text, self.edits(text, strength, rng))


def perturbation(
    en: str, zh: str, *, languages: str, unit: str, keeps_meaning: bool = True
) -> Callable[[Sites], Perturbation]:
    """Make a perturbation of a function `(text, rng) -> edits that could be made`; `languages` separated by spaces."""

    def make(sites: Sites) -> Perturbation:
        name = getattr(sites, "__name__", "")
        doc = " ".join((sites.__doc__ or "").split())
        return Perturbation(name, frozenset(languages.split()), keeps_meaning, unit, {"en": en, "zh": zh}, doc, sites)

    return make


def check_strength(strength: float) -> None:
    """UsageError unless this is a number from 0 to 1."""
    if not (isinstance(strength, int | float) and 0 <= strength <= 1):
        raise UsageError(
            f"a perturbation's strength is a number from 0 (no change) to 1 (everywhere), not {strength!r}"
        )


def _changes(text: str, edit: Edit) -> bool:
    return text[edit.start : edit.end] != edit.new or (edit.twin is not None and _changes(text, edit.twin))


def rewrite(text: str, edits: Iterable[Edit]) -> str:
    """The text after disjoint edits in the order of the text."""
    out, done = [], 0
    for edit in edits:
        out += [text[done : edit.start], edit.new]
        done = edit.end
    return "".join([*out, text[done:]])


def words(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every word in Latin letters, apostrophes included; none inside addresses, mentions and tags."""
    return (match.span() for match in _WORD.finditer(text) if match["word"])


def letters(text: str) -> Iterator[int]:
    """The place of every Latin letter of every word, but those that carry a combining mark."""
    marked = not text.isascii()
    for start, end in words(text):
        yield from (i for i in range(start, end) if text[i].isalpha() and not (marked and has_mark(text, i)))


def has_mark(text: str, place: int) -> bool:
    """Whether the character here is followed by a combining mark, so that an edit between the two would tear it."""
    return place + 1 < len(text) and unicodedata.category(text[place + 1]) in ("Mn", "Mc", "Me")


def han_runs(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every unbroken run of Chinese characters."""
    return (match.span() for match in _HAN_RUN.finditer(text))


def han(text: str) -> Iterator[int]:
    """The place of every Chinese character."""
    for start, end in han_runs(text):
        yield from range(start, end)


def chunks(text: str, *, shortest: int = 1) -> list[tuple[int, int]]:
    """(start, end) of words, and of Chinese characters two by two, of at least `shortest` characters, in order."""
    pairs = [(i, min(i + 2, end)) for start, end in han_runs(text) for i in range(start, end, 2)]
    return sorted(span for span in [*words(text), *pairs] if span[1] - span[0] >= shortest)


def gaps(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of the white space between a word and the next word or number."""
    for _, end in words(text):
        if match := _GAP.match(text, end):
            yield match.span()


def is_chinese(text: str) -> bool:
    """Whether there are more Chinese characters than words in Latin letters."""
    return sum(1 for _ in han(text)) > sum(1 for _ in words(text))


def like(model: str, new: str) -> str:
    """`new` in the case of `model`: all capitals, a capital first, or as it is."""
    if len(model) > 1 and model.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if model[:1].isupper() else new


def pick(rng: Random, options: Sequence[str]) -> str:
    """One of the options.  One draw, whatever their number."""
    return options[int(rng.random() * len(options))]
