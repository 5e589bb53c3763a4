"""A `data:` block into Examples, from a file or through Hugging Face datasets.  Knows no probes and no models."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from audit.errors import UsageError, nearest
from audit.rows import Source, read
from audit.types import Example

HAN = ("\u3400", "\u9fff")


@dataclass(frozen=True)
class Loaded:
    """The examples of one source, the rows that were unusable (place, why), and what the report says of both."""

    source: Source
    examples: tuple[Example, ...]
    malformed: tuple[tuple[str, str], ...] = ()
    rows: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> dict[str, Any]:
        """A JSON-able summary; the hash covers every example's content."""
        languages = Counter(example.language for example in self.examples)
        return {
            "name": self.source.name,
            "source": self.source.load,
            "language": ", ".join(sorted(languages)) or self.source.language,
            "hash": content_hash(self.examples),
            "rows": self.rows,
            "used": len(self.examples),
            "labelled": sum(example.label is not None for example in self.examples),
            "groups": dict(sorted(Counter(example.group for example in self.examples).items())),
            "malformed": len(self.malformed),
            "instead": list(self.source.instead),
        }


def load(source: Source, seed: int = 0) -> Loaded:
    """Read a source; where it has a limit, keep that many rows drawn by the seed.

    UsageError naming file, line or column and the nearest right answer; a single unusable row is kept apart.
    """
    columns, rows, names = read(source)
    if not rows:
        raise UsageError(f"{source.load}: there are no rows in it.")
    _check_columns(source, columns)
    examples, malformed = _examples(source, rows, names)
    if not examples:
        place, why = malformed[0]
        raise UsageError(f"{source.load}: none of its {len(rows)} rows can be used; the first, {place}: {why}.")
    seen = Counter(example.id for example in examples)
    twice = next((name for name, count in seen.items() if count > 1), None)
    if twice is not None:
        raise UsageError(
            f"{source.load}: the id {twice!r} stands {seen[twice]} times in column {source.id!r}; ids are unique."
        )
    return Loaded(source, tuple(sample(examples, source.limit, seed)), tuple(malformed), len(rows))


def sample(examples: list[Example], limit: int | None, seed: int) -> list[Example]:
    """At most `limit` of the examples, drawn by the seed, in their order; a smaller draw is part of every larger one.

    Rows that share a `set_id` are drawn together or not at all (the first set drawn is kept whole, whatever its size).
    """
    if limit is None or limit >= len(examples):
        return examples
    sets: dict[str, list[int]] = {}
    for at, example in enumerate(examples):
        sets.setdefault(str(example.fields.get("set_id", example.id)), []).append(at)
    drawn: list[int] = []
    for name in sorted(sets, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest()):
        if drawn and len(drawn) + len(sets[name]) > limit:
            break
        drawn += sets[name]
    return [examples[at] for at in sorted(drawn)]


def content_hash(examples: tuple[Example, ...]) -> str:
    """A hash of what the examples say, whatever file they came from."""
    digest = hashlib.sha256()
    for e in examples:
        row = [e.id, e.text, e.pair, e.label, e.group, e.language, dict(e.fields)]
        digest.update(json.dumps(row, ensure_ascii=True, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()[:16]


def language_of(text: str) -> str:
    """`zh` where at least three in ten letters are Han characters, otherwise `en`."""
    letters = [c for c in text if c.isalpha()]
    han = sum(HAN[0] <= c <= HAN[1] for c in letters)
    return "zh" if letters and han >= 0.3 * len(letters) else "en"


def align(examples: tuple[Example, ...], names: list[str], where: str) -> tuple[tuple[Example, ...], dict[str, str]]:
    """Examples whose labels are the model's names, and how each was matched.

    A label matches by name, by name in another case, as the only name it begins, or, where all are whole numbers, by
    index.  UsageError with the --labels that would help.
    """
    found = sorted({example.label for example in examples if example.label is not None})
    matched = {label: _match(label, names, found) for label in found}
    if any(name is None for name in matched.values()):
        tail = ",".join(f"{label}={name}" for label, name in zip(found, names, strict=False))
        raise UsageError(
            f"{where}: its labels ({', '.join(found[:8])}) are not the model's ({', '.join(names[:8])}). "
            f"Say which is which, for example --labels {tail}; several model labels may share one name."
        )
    known = {label: name for label, name in matched.items() if name is not None}
    return tuple(e if e.label is None else replace(e, label=known[e.label]) for e in examples), known


def _match(label: str, names: list[str], found: list[str]) -> str | None:
    folded = label.casefold()
    same = [name for name in names if name.casefold() == folded]
    if same:
        return same[0]
    begun = [name for name in names if name.casefold().startswith(folded)]
    if len(begun) == 1 and len(folded) >= 3:
        return begun[0]
    if all(other.isdigit() for other in found) and int(label) < len(names):
        return names[int(label)]
    return None


def _check_columns(source: Source, columns: list[str]) -> None:
    wanted = {"text": source.text, "pair": source.pair, "group": source.group}
    if source.label is not None and source.label != "label":
        wanted["label"] = source.label
    for role, column in wanted.items():
        if column is not None and column not in columns:
            flag = f" (--{role} names it)" if role in {"text", "label", "pair"} else ""
            raise UsageError(f"{source.load}: no column {column!r} for the {role}{flag}; {nearest(column, columns)}")


def _examples(
    source: Source, rows: list[tuple[str, Any]], names: list[str]
) -> tuple[list[Example], list[tuple[str, str]]]:
    examples, malformed = [], []
    labelled = source.label is not None and any(
        isinstance(r, dict) and r.get(source.label) is not None for _, r in rows
    )
    for number, (place, row) in enumerate(rows):
        try:
            examples.append(_example(source, row, number, names, labelled))
        except ValueError as error:
            malformed.append((place, str(error)))
    return examples, malformed


def _example(source: Source, row: Any, number: int, names: list[str], labelled: bool) -> Example:
    if not isinstance(row, dict):
        raise ValueError(f"is no row of columns but {row!r:.60}")
    text = _text(row, source.text)
    pair = _text(row, source.pair) if source.pair else ""
    label = row.get(source.label) if source.label else None
    if labelled and _missing(label):
        raise ValueError(f"column {source.label!r} is empty, while other rows have a label")
    key = row.get(source.id) if source.id else None
    used = {source.text, source.pair, source.label, source.group, source.id}
    name = str(number) if _missing(key) else str(key)
    return Example(
        id=f"{source.domain}:{name}" if source.domain else name,
        text=text,
        pair=pair,
        label=_label(label, names) if labelled else None,
        group=source.domain or (str(row.get(source.group) or "") if source.group else ""),
        language=language_of(text) if source.language == "auto" else source.language,
        fields={name: value for name, value in row.items() if name not in used},
    )


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if _missing(value):
        raise ValueError(f"column {column!r} is empty")
    if not isinstance(value, str):
        raise ValueError(f"column {column!r} holds {type(value).__name__} {value!r:.40}, not text")
    if not value.strip():
        raise ValueError(f"column {column!r} is blank")
    return value


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and value != value)


def _label(value: Any, names: list[str]) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else str(value)
    if not isinstance(value, str):
        raise ValueError(f"its label {value!r:.40} is neither a text nor a number")
    return value
