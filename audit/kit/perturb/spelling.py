"""Slips of the hand, the eye and the memory in words written in Latin letters.  Knows nothing of meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from random import Random
from string import ascii_lowercase

from audit.kit.perturb import tables
from audit.kit.perturb.edits import Edit, has_mark, letters, like, perturbation, pick, words

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# What a scanner reads for what is printed; digits are left alone, because another number is another meaning.
_SCANNED = {
    "rn": "m", "cl": "d", "vv": "w", "li": "h", "m": "rn", "d": "cl", "w": "vv", "h": "b", "b": "h 6", "l": "1 I",
    "I": "l 1", "i": "1 l", "o": "0 c", "O": "0 Q", "S": "5", "s": "5", "B": "8", "e": "c", "c": "e", "n": "u",
    "u": "n", "g": "9 q", "q": "g", "t": "f", "f": "t", "Z": "2", "z": "2", "a": "o", "y": "v", "v": "y", "D": "O",
    "E": "F", "P": "F",
}  # fmt: skip
_SCANNER = re.compile("|".join(sorted(map(re.escape, _SCANNED), key=len, reverse=True)))
# (letters, how they are written by ear), applied to lower-case words.
_BY_EAR = (
    ("ph", "f"), ("tion", "shun"), ("sion", "zhun"), ("ight", "ite"), ("ough$", "uff"), ("ould", "ood"), ("^kn", "n"),
    ("^wr", "r"), ("mb$", "m"), ("ck", "k"), ("(?<!s)c(?=[eiy])", "s"), ("(?<![sc])c(?=[aoulr])", "k"), ("qu", "kw"),
    ("x(?=.)", "ks"), ("(?<!e)ea(?=[a-z]{3})", "ee"), ("ai", "ay"), ("ie(?=[a-z]{2})", "ee"), ("ei", "ee"),
    ("que$", "k"), ("wh", "w"), ("le$", "el"), ("(?<=[a-z]{2})er$", "ur"), ("or$", "er"), ("ous$", "us"),
    ("ce$", "se"), ("dge", "j"), ("sc(?=[ei])", "s"), ("gh(?=t)", ""), ("tch", "ch"), ("(?<=[^aeiou])y$", "ee"),
    ("([bdfglmnprst])\\1", "\\1"), ("^psy", "sy"), ("eau", "ew"), ("ture$", "cher"), ("sure$", "zher"),
    ("ible$", "uble"), ("able$", "uble"), ("ent$", "unt"), ("ant$", "unt"), ("(?<=[aeiou])s(?=[aeiou])", "z"),
    ("o(?=me$)", "u"), ("^gu(?=[eia])", "g"), ("ew$", "oo"), ("ow$", "oe"), ("(?<=[a-z]{2})ing$", "in"),
    ("(?<=[kpsx])ed$", "t"), ("(?<=[cs]h)ed$", "t"), ("ve$", "v"), ("(?<=o)re$", "r"), ("ie$", "ee"), ("ause$", "uz"),
    ("eople", "eepul"), ("ate$", "ait"), ("ful$", "full"), ("ey$", "y"),
)  # fmt: skip


@cache
def _neighbours() -> Mapping[str, str]:
    near: dict[str, str] = {}
    for row, keys in enumerate(_KEYBOARD):
        for at, key in enumerate(keys):
            # The rows are shifted: a key touches two keys of the row above (at, at + 1) and two below (at - 1, at).
            places = [(row, at - 1), (row, at + 1), (row - 1, at), (row - 1, at + 1), (row + 1, at - 1), (row + 1, at)]
            near[key] = "".join(_KEYBOARD[r][c] for r, c in places if 0 <= r < 3 and 0 <= c < len(_KEYBOARD[r]))
    return near


@cache
def _by_ear() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), new) for pattern, new in _BY_EAR)


@perturbation("Keyboard typos", "键盘误击", languages="en", unit="share of letters")
def typos(text: str, rng: Random) -> Iterator[Edit]:
    """Letters replaced by a key beside them on a QWERTY keyboard: "great" becomes "grest"."""
    near = _neighbours()
    for i in letters(text):
        if text[i].lower() in near:
            yield Edit(i, i + 1, like(text[i], pick(rng, near[text[i].lower()])))


@perturbation("Swapped letters", "字母换位", languages="en", unit="share of letter pairs")
def letter_swap(text: str, rng: Random) -> Iterator[Edit]:
    """Neighbouring letters of a word exchanged, in pairs that do not overlap: "great" becomes "graet"."""
    for start, end in words(text):
        for i in range(start + int(rng.random() * 2), end - 1, 2):
            if text[i : i + 2].isalpha() and not has_mark(text, i + 1):
                first, second = text[i], text[i + 1]
                # The capital stays where it was: hands that hurry press shift at the right moment.
                yield Edit(i, i + 2, _cased(first, second) + _cased(second, first))


def _cased(place: str, letter: str) -> str:
    new = letter.upper() if place.isupper() else letter.lower() if place.islower() else letter
    return new if len(new) == 1 else letter


@perturbation("Deleted letters", "字母缺失", languages="en", unit="share of letters but the first of each word")
def letter_delete(text: str, rng: Random) -> Iterator[Edit]:
    """Letters left out; the first letter of a word stays: "great" becomes "grat"."""
    starts = {start for start, _ in words(text)}
    yield from (Edit(i, i + 1, "") for i in letters(text) if i not in starts)


@perturbation("Inserted letters", "多余字母", languages="en", unit="share of letters")
def letter_insert(text: str, rng: Random) -> Iterator[Edit]:
    """A neighbouring key hit as well, after the letter: "great" becomes "greast"."""
    near = _neighbours()
    for i in letters(text):
        yield Edit(i + 1, i + 1, pick(rng, near.get(text[i].lower(), ascii_lowercase)))


@perturbation("Repeated letters", "字母重复", languages="en", unit="share of letters")
def letter_repeat(text: str, rng: Random) -> Iterator[Edit]:
    """Letters written two or three times: "great" becomes "greaat"."""
    for i in letters(text):
        yield Edit(i + 1, i + 1, text[i] * (1 + int(rng.random() * 2)))


@perturbation("Scanning errors", "OCR 识别错误", languages="en", unit="share of confusable letters")
def ocr_errors(text: str, rng: Random) -> Iterator[Edit]:
    """Letters read wrongly by a scanner, two for one among them: "modern" becomes "modem", "film" becomes "fi1m"."""
    for start, end in words(text):
        for match in _SCANNER.finditer(text, start, end):
            new = pick(rng, _SCANNED[match[0]].split())
            if not has_mark(text, match.end() - 1):
                yield Edit(*match.span(), new)


@perturbation("Spelling by ear", "按发音误拼", languages="en", unit="share of words that can be spelt by ear")
def phonetic_misspelling(text: str, rng: Random) -> Iterator[Edit]:
    """Words written as they sound, by one rule of English spelling a word: "phone" becomes "fone"."""
    for start, end in words(text):
        word = text[start:end].lower()
        # A changed length means a letter whose small form is two characters: places in the word would not fit.
        if not 4 <= len(word) <= 40 or len(word) != end - start or not word.isascii():
            continue
        found = [(match, new) for pattern, new in _by_ear() for match in pattern.finditer(word)]
        at = rng.random()
        if found:
            match, new = found[int(at * len(found))]
            changed = word[: match.start()] + match.expand(new) + word[match.end() :]
            yield Edit(start, end, like(text[start:end], changed))


@perturbation("Common misspellings", "常见拼写错误", languages="en", unit="share of words with a common misspelling")
def common_misspelling(text: str, rng: Random) -> Iterator[Edit]:
    """Words written as English writers often misspell them: "definitely" becomes "definately"."""
    known = tables.misspellings()
    for start, end in words(text):
        wrong = known.get(text[start:end].lower().replace("’", "'"))
        if wrong:
            yield Edit(start, end, like(text[start:end], pick(rng, wrong)))
