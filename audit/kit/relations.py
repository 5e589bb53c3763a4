"""Facts as (relation, subject, object) with several wordings of each relation, as in ParaRel.  Knows no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from audit.errors import NotRun
from audit.types import Example, Outcome

Key = tuple[str, str]  # relation, language


@dataclass(frozen=True)
class Book:
    """The wordings of each relation, with [X] and [Y], and the objects that are candidates for [Y]."""

    patterns: Mapping[Key, list[str]]
    objects: Mapping[Key, list[str]]


def book(patterns: Iterable[Mapping[str, str]], facts: Iterable[Mapping[str, str]]) -> Book:
    """Made of rows (relation, language, pattern) and rows (relation, object, object_zh)."""
    worded: dict[Key, list[str]] = {}
    objects: dict[Key, dict[str, None]] = {}
    for row in patterns:
        worded.setdefault((row["relation"], row["language"]), []).append(row["pattern"])
    for row in facts:
        for language, column in (("en", "object"), ("zh", "object_zh")):
            objects.setdefault((row["relation"], language), {})[row[column]] = None
    return Book(worded, {key: list(found) for key, found in objects.items()})


def statements(example: Example, known: Book) -> tuple[list[str], tuple[str, ...]]:
    """A fact's statements with `[Y]` for the object, and the candidates for it: the row's own, or the book's.

    NotRun where there are none.
    """
    key = (example.group, example.language)
    patterns = example.fields.get("patterns") or known.patterns.get(key)
    candidates = example.fields.get("candidates") or known.objects.get(key)
    if not patterns or not candidates or example.label is None:
        raise NotRun(
            f"relation {example.group!r} has no patterns here: give each row the lists 'patterns' (with [X] and [Y]) "
            "and 'candidates', and its object as label"
        )
    return [pattern.replace("[X]", example.text) for pattern in patterns], tuple(dict.fromkeys(candidates))


def recalled(example: Example, statement: str, said: str) -> Outcome:
    """The outcome of one fact asked in one way.  Values: relation, subject, prediction, gold."""
    values = {"relation": example.group, "subject": example.id, "prediction": said, "gold": example.label}
    return Outcome(said == example.label, values, {"note": statement, "predicted": said, "gold": str(example.label)})
