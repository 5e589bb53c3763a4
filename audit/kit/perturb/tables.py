"""The word and character tables of this folder's perturbations, read when first asked for.  Knows nothing of edits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def rows(name: str) -> tuple[tuple[str, ...], ...]:
    """The tab-separated rows of audit/kit/data/NAME, without its comment lines."""
    text = resources.files("audit.kit").joinpath("data", name).read_text(encoding="utf-8")
    return tuple(tuple(line.split("\t")) for line in text.splitlines() if line and not line.startswith("#"))


@cache
def misspellings() -> Mapping[str, tuple[str, ...]]:
    """English word -> its common misspellings."""
    return {word: tuple(wrong) for word, *wrong in rows("misspellings.tsv")}


@cache
def spellings() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """(British -> American, American -> British) words."""
    to_american: dict[str, str] = {}
    to_british: dict[str, str] = {}
    for british, american, endings, *one_way in rows("spellings.tsv"):
        for ending in endings.split(","):
            tail = "" if ending == "-" else ending
            to_american[british + tail] = american + tail
            if not one_way:
                to_british[american + tail] = british + tail
    return to_american, to_british


@cache
def phrases(kind: str, language: str = "*") -> tuple[str, ...]:
    """The pieces of text of one kind: filler, distractor (en, zh, zh-Hant), url, mention, emoji, markup (*)."""
    if language == "zh-Hant":
        return tuple(converted(text, "s2tw") for text in phrases(kind, "zh"))
    found = tuple(text for what, of, text in rows("phrases.tsv") if (what, of) == (kind, language))
    if not found:
        raise LookupError(f"no phrases of kind {kind!r} for language {language!r} in audit/kit/data/phrases.tsv")
    return found


@cache
def lookalikes() -> Mapping[str, str]:
    """Chinese character -> the characters that it is easily taken for."""
    return {row[0]: row[1] for row in rows("lookalikes.tsv")}


@cache
def components() -> Mapping[str, str]:
    """Chinese character -> its parts."""
    return {row[0]: row[1] for row in rows("components.tsv")}


@cache
def _sounds() -> Mapping[str, str]:
    """Reading, with its tone (hao3) and without (hao) -> the characters of level 1 of GB 2312, the 3,755 most used.

    Python's codec lists them, so that no table of them is needed here.
    """
    from pypinyin import Style, pinyin

    cells = (
        bytes([row, cell]) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF) if (row, cell) < (0xD7, 0xFA)
    )
    # Three particles, each listed under another reading, are mixed up most of all.
    sounds = {"de5": "的地得"}
    for character in (cell.decode("gb2312") for cell in cells):
        reading = pinyin(character, style=Style.TONE3, neutral_tone_with_five=True)[0][0]
        for sound in (reading, reading[:-1]):
            sounds[sound] = sounds.get(sound, "") + character
    return sounds


@cache
def same_sound(character: str, reading: str) -> str:
    """Other characters of this reading (hao3; a neutral tone is 5), those that people write for it by mistake.

    Of the common characters the same tone first, then any tone, as an input method offers them; then the rarer ones.
    """
    common = frozenset(rows("common_characters.txt")[0][0])
    exact, loose = (_sounds().get(sound, "").replace(character, "") for sound in (reading, reading[:-1]))
    tries = ("".join(c for c in exact if c in common), "".join(c for c in loose if c in common), exact, loose)
    return next(filter(None, tries), "")


@cache
def _converter(name: str) -> Any:
    from opencc import OpenCC

    return OpenCC(name)


def converted(text: str, name: str) -> str:
    """Chinese `text` in another script by OpenCC ("s2tw", "t2s"), always of the same length."""
    convert = _converter(name).convert
    new = str(convert(text))
    # OpenCC knows phrases; one that changes the length is converted character by character, or not at all.
    return new if len(new) == len(text) else "".join(n if len(n := convert(c)) == 1 else c for c in text)


def is_traditional(text: str) -> bool:
    """Whether Chinese text has characters that are written otherwise in simplified Chinese."""
    return converted(text, "t2s") != text
