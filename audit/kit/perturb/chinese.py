"""What goes wrong in Chinese text: input methods, scanners, scripts, widths.  Knows nothing of English."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from audit.kit.perturb import tables
from audit.kit.perturb.edits import Edit, han, han_runs, has_mark, perturbation, pick

_WIDE = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
_NARROW = {wide: narrow for narrow, wide in _WIDE.items()} | {
    "。": ".",
    "、": ",",
    "《": "<",
    "》": ">",
    "【": "[",
    "】": "]",
}


def _readings(text: str) -> Iterator[tuple[int, str]]:
    """(place, reading with the tone as a digit) of every Chinese character, as it is read in its phrase."""
    from pypinyin import Style, pinyin

    for start, end in han_runs(text):
        run = text[start:end]
        heard = pinyin(run, style=Style.TONE3, neutral_tone_with_five=True)
        if len(heard) != len(run):  # a character of which no reading is known took its neighbours with it
            heard = [pinyin(character, style=Style.TONE3, neutral_tone_with_five=True)[0] for character in run]
        for place, (reading, *_) in zip(range(start, end), heard, strict=True):
            if reading.isascii() and reading[-1:].isdigit():
                yield place, reading


@perturbation("Homophones", "同音字", languages="zh", unit="share of characters with a homophone")
def homophone(text: str, rng: Random) -> Iterator[Edit]:
    """Characters replaced by others of the same sound, as a pinyin input method offers them: 在 becomes 再."""
    plain = tables.converted(text, "t2s")
    for place, reading in _readings(text):
        at = rng.random()
        others = tables.same_sound(plain[place], reading)
        if others:
            other = others[int(at * len(others))]
            yield Edit(place, place + 1, other if plain == text else tables.converted(other, "s2tw"))


@perturbation("Lookalike characters", "形近字", languages="zh", unit="share of characters with a lookalike")
def lookalike_character(text: str, rng: Random) -> Iterator[Edit]:
    """Characters replaced by others that look nearly the same: 己 becomes 已."""
    known = tables.lookalikes()
    for place in han(text):
        if text[place] in known:
            yield Edit(place, place + 1, pick(rng, known[text[place]]))


@perturbation("Split characters", "拆字", languages="zh", unit="share of characters with two parts")
def character_split(text: str, rng: Random) -> Iterator[Edit]:
    """Characters written as their parts, as on the web to slip past filters: 好 becomes 女子."""
    known = tables.components()
    for place in han(text):
        if text[place] in known:
            yield Edit(place, place + 1, known[text[place]])


def _converted(text: str, name: str) -> Iterator[Edit]:
    for start, end in han_runs(text):
        for place, new in enumerate(tables.converted(text[start:end], name), start):
            yield Edit(place, place + 1, new)


@perturbation("Traditional characters", "繁体字", languages="zh", unit="share of characters with a traditional form")
def traditional(text: str, rng: Random) -> Iterator[Edit]:
    """Simplified characters made traditional, with regard to the phrase: 头发 becomes 頭髮."""
    return _converted(text, "s2tw")


@perturbation("Simplified characters", "简体字", languages="zh", unit="share of characters with a simplified form")
def simplified(text: str, rng: Random) -> Iterator[Edit]:
    """Traditional characters made simplified: 頭髮 becomes 头发."""
    return _converted(text, "t2s")


@perturbation("Swapped characters", "汉字换位", languages="zh", unit="share of character pairs")
def character_swap(text: str, rng: Random) -> Iterator[Edit]:
    """Neighbouring characters exchanged, in pairs that do not overlap: 非常好看 becomes 常非好看."""
    for start, end in han_runs(text):
        for i in range(start + int(rng.random() * 2), end - 1, 2):
            yield Edit(i, i + 2, text[i + 1] + text[i])


@perturbation("Missing characters", "漏字", languages="zh", unit="share of characters but the first of each run")
def character_delete(text: str, rng: Random) -> Iterator[Edit]:
    """Characters left out; the first after a mark or a space stays."""
    for start, end in han_runs(text):
        yield from (Edit(i, i + 1, "") for i in range(start + 1, end))


@perturbation("Repeated characters", "叠字", languages="zh", unit="share of characters")
def character_repeat(text: str, rng: Random) -> Iterator[Edit]:
    """Characters typed twice: 好看 becomes 好好看."""
    yield from (Edit(i + 1, i + 1, text[i]) for i in han(text))


@perturbation(
    "Full and half width", "全角与半角", languages="en zh", unit="share of letters, digits and marks of two widths"
)
def width(text: str, rng: Random) -> Iterator[Edit]:
    """Half-width letters, digits and marks made full width and the reverse: "3D，" becomes "３Ｄ,"."""
    for i, character in enumerate(text):
        other = _WIDE.get(character) or _NARROW.get(character)
        if other and not has_mark(text, i):
            yield Edit(i, i + 1, other)


@perturbation("Pinyin", "拼音代字", languages="zh", unit="share of characters")
def pinyin_spelling(text: str, rng: Random) -> Iterator[Edit]:
    """Characters written in pinyin without tones: 好看 becomes "haokan"."""
    yield from (Edit(place, place + 1, reading[:-1]) for place, reading in _readings(text))
