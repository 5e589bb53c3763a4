"""Make invisible and look-alike characters visible.  Knows nothing of HTML, findings or files."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Controls (tab and newline excepted), soft hyphen, bidi marks, zero-width, separators, tags, surrogates, noncharacters.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Letters of other scripts that a reader takes for a Latin one.
CYRILLIC = dict(
    zip("абвегдикмнорстухьѕіјһԁԛԝѵәАВЕКМНОРСТУХЅІЈԌҮ", "a6bergukmhopctyxbsijhdqwveABEKMHOPCTYXSIJGY", strict=True)
)
GREEK = dict(zip("αβγεικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aByeiKvoptuxwABEZHIKMNOPTYX", strict=True))
OTHERS = dict(zip("ɑɡɩɪʀʏıȷſոսօԼᎪᎬᏀᎻᎫᏞᎷᏢᏙᏔᏃ", "agiiRyijsnuoLAEGHJLMPVWZ", strict=True))
LOOK_ALIKE = {**CYRILLIC, **GREEK, **OTHERS}
WIDE_SPACES = {"Zs"} | {"Zl", "Zp"}
CONTROL_NAMES = {
    0x00: "NULL", 0x07: "BELL", 0x08: "BACKSPACE", 0x09: "TAB", 0x0B: "VERTICAL TAB", 0x0C: "FORM FEED",
    0x0D: "CARRIAGE RETURN", 0x1B: "ESCAPE", 0x7F: "DELETE", 0x85: "NEXT LINE",
}  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """A stretch of text; with `code` it is one suspicious character: `text` is then what may safely be shown of it."""

    text: str
    code: str = ""
    name: str = ""
    changed: bool = False


def clean(text: str) -> str:
    """The text with every hidden character written out as `[U+200B]`; ordinary text comes back unchanged."""
    return HIDDEN.sub(lambda found: f"[{code_point(found[0])}]", text)


def code_point(char: str) -> str:
    """`U+200B`."""
    return f"U+{ord(char):04X}"


def char_name(char: str) -> str:
    """The Unicode name, or a word for characters that have none."""
    return unicodedata.name(char, "") or CONTROL_NAMES.get(ord(char), "CONTROL CHARACTER")


def mostly_latin(text: str) -> bool:
    """True where plain Latin letters outnumber all others: only there does a Cyrillic letter pretend to be Latin."""
    latin = sum(char.isascii() for char in text if char.isalpha())
    return latin * 2 > sum(map(str.isalpha, text))


def stands_for(char: str) -> str:
    """The ASCII letter or digit that this character is easily mistaken for, or ""."""
    if char.isascii() or "\uff00" <= char <= "\uffef":
        return ""  # full-width letters are seen to be wide
    if char in LOOK_ALIKE:
        return LOOK_ALIKE[char]
    plain = unicodedata.normalize("NFKC", char)
    return plain if len(plain) == 1 and plain.isascii() and plain.isalnum() else ""


def suspicious(char: str, before: str, latin: bool) -> bool:
    """Whether a reader needs to be told that this character is here."""
    if char.isascii():
        return char != "\n" and not char.isprintable()
    if char == "\ufe0f" and before and unicodedata.category(before) == "So":
        return False  # the usual colour selector after an emoji
    category = unicodedata.category(char)
    if char == "\u3000":
        return latin
    if (
        category in {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}
        or HIDDEN.match(char)
        or "\ufe00" <= char <= "\ufe0f"
    ):
        return True
    return latin and bool(stands_for(char))


def marks(text: str, latin: bool | None = None, changed: bool = False) -> tuple[Mark, ...]:
    """Split a text into plain stretches and single suspicious characters.

    `latin` says whether look-alike letters are suspicious here (default: where the text is mostly Latin).
    """
    latin = mostly_latin(text) if latin is None else latin
    found: list[Mark] = []
    start = 0
    for at, char in enumerate(text):
        if not suspicious(char, text[at - 1] if at else "", latin):
            continue
        if at > start:
            found.append(Mark(text[start:at], changed=changed))
        shown = char if char.isprintable() and stands_for(char) else ""
        found.append(Mark(shown, code_point(char), char_name(char), changed))
        start = at + 1
    if start < len(text):
        found.append(Mark(text[start:], changed=changed))
    return tuple(found)
