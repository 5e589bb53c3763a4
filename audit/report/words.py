"""The page's own words in each language, by key.  Knows no findings and no HTML."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

from audit.errors import UsageError, nearest

FILE = Path(__file__).with_name("messages.yaml")


@cache
def messages() -> dict[str, dict[str, str]]:
    """Every message: key -> {language: text}."""
    tree = YAML(typ="safe", pure=True).load(FILE.read_text("utf-8"))
    return {str(key): dict(said) for key, said in tree.items()}


class Words:
    """The messages of one language: `words("gap.sample", {"limit": 60})`."""

    def __init__(self, language: str) -> None:
        """UsageError for a language that has no column in messages.yaml."""
        known = messages()["lang"]
        if language not in known:
            raise UsageError(f"no report language {language!r}: {nearest(language, known)}")
        self.language = language

    def __call__(self, key: str, holes: Mapping[str, object] | None = None) -> str:
        """The message with its holes filled.  KeyError for an unknown key or an unfilled hole."""
        return messages()[key][self.language].format_map(holes or {})

    def name(self, family: str, key: str) -> str:
        """The name of a measure, a verdict, a limitation; an unknown one as it is, with spaces for underscores."""
        said = messages().get(f"{family}.{key}")
        return said[self.language] if said else key.replace("_", " ")

    def pick(self, said: object, fallback: str = "") -> str:
        """One language of a text given as {en, zh}, or as one string."""
        if isinstance(said, Mapping):
            said = said.get(self.language) or said.get("en") or next(iter(said.values()), "")
        return str(said) if said else fallback

    def list(self, items: list[str]) -> str:
        """`a, b, c`, with this language's comma."""
        return self("comma").join(items)
