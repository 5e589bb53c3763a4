"""Text that other programs will parse, made harmless: XML, Markdown, and a CI runner's standard output."""

from __future__ import annotations

import re
import unicodedata

# XML 1.0 allows tab, newline, return, and the planes without surrogates and U+FFFE, U+FFFF.
ILLEGAL = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&$])")


def xml(text: str) -> str:
    """Without the characters that XML cannot hold, and with invisible ones replaced; the writer escapes the rest."""
    return "".join(_visible(c) for c in ILLEGAL.sub("\ufffd", text))


def line(text: str) -> str:
    """One line without control and format characters; where it would begin `::`, a command to a runner, it is moved."""
    flat = " ".join("".join(_visible(c) for c in text).split())
    return re.sub(r"^(?=::|##\[)", "· ", flat)


def markdown(text: str) -> str:
    """One line in which nothing is markup, a mention, a link or a command."""
    return (
        SPECIAL.sub(r"\\\1", line(text))
        .replace("@", "&#64;")
        .replace("://", ":&#47;/")
        .replace("\\<", "&lt;")
        .replace("\\>", "&gt;")
    )


def shown(text: str) -> str:
    """With every invisible character as its code point, `[U+200B]`: otherwise the attack is invisible."""
    return "".join(c if c in "\t\n" or _visible(c) == c else f"[U+{ord(c):04X}]" for c in text)


def _visible(c: str) -> str:
    """Controls, formats (bidi among them), surrogates, unassigned and line separators become a space."""
    if c in "\t\n\r":
        return c
    return " " if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c
