"""The word and character tables of this folder's perturbations, read when first asked for.  Knows nothing of edits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources


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
    """The pieces of text of one kind: filler, distractor (en, zh), url, mention, emoji, markup (*)."""
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
def homophones() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """(reading with tone -> characters, reading without tone -> characters), the most used characters only.

    The characters are level 1 of GB 2312 (3,755), which Python's codec lists; where one of the few hundred in
    common_characters.txt has the reading, only those are kept, because people write the common one by mistake.
    """
    from pypinyin import Style, pinyin

    common = frozenset(rows("common_characters.txt")[0][0])
    cells = (
        bytes([row, cell]) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF) if (row, cell) < (0xD7, 0xFA)
    )
    by_tone: dict[str, list[str]] = {}
    by_sound: dict[str, list[str]] = {}
    for character in (cell.decode("gb2312") for cell in cells):
        reading = pinyin(character, style=Style.TONE3)[0][0]
        by_tone.setdefault(reading, []).append(character)
        by_sound.setdefault(reading.rstrip("12345"), []).append(character)

    def usual(known: dict[str, list[str]]) -> dict[str, str]:
        best = {sound: [c for c in characters if c in common] for sound, characters in known.items()}
        # A reading with one common character needs the rarer ones: a character is not its own homophone.
        return {sound: "".join(best[sound] if len(best[sound]) > 1 else known[sound]) for sound in known}

    return usual(by_tone), usual(by_sound)
