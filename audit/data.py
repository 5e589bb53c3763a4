"""A `data:` block into Examples, from a file or through Hugging Face datasets.  Knows no probes and no models."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from audit import templates
from audit.errors import UsageError, nearest
from audit.types import Example

FILES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".yaml")
HAN = ("\u3400", "\u9fff")


@dataclass(frozen=True)
class Source:
    """Where rows come from and which columns hold what; "auto" lets the script of each text decide its language.

    `inside` names the in-distribution group.  `domain` is the group of all rows, whatever their columns say, and part
    of their ids.  `instead` names the blocks of the suite whose place these rows take.
    """

    load: str
    name: str = "data"
    subset: str | None = None
    split: str | None = None
    revision: str | None = None
    text: str = "text"
    pair: str | None = None
    label: str | None = "label"
    group: str | None = None
    id: str | None = "id"
    language: str = "auto"
    limit: int | None = None
    inside: str | None = None
    domain: str = ""
    instead: tuple[str, ...] = ()
    folder: Path = Path()


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
    columns, rows, names = _rows(source)
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


def _rows(source: Source) -> tuple[list[str], list[tuple[str, Any]], list[str]]:
    """Column names, rows with their places, and the names of the label classes where the source has them."""
    path = next((p for p in (source.folder / source.load, Path(source.load)) if p.is_file()), None)
    if path is None:
        if source.load.endswith(FILES):
            raise UsageError(f"{source.load}: there is no such data file.")
        return _dataset(source)
    readers = {".jsonl": _jsonl, ".json": _json, ".csv": _table, ".tsv": _table, ".parquet": _table,
               ".yaml": templates.rows}  # fmt: skip
    if path.suffix not in readers:
        raise UsageError(f"{path}: data files end in {', '.join(FILES)}, not {path.suffix or 'nothing'}.")
    rows = list(readers[path.suffix](path))
    columns = list(dict.fromkeys(key for _, row in rows if isinstance(row, dict) for key in row))
    return columns, rows, []


def _jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_read(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}:{number}: not a line of JSON: {error}.") from None


def _json(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        rows = json.loads(_read(path))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}.") from None
    if not isinstance(rows, list):
        raise UsageError(f"{path}: must hold a list of rows, not {type(rows).__name__}.")
    yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text at byte {error.start}; convert it first (iconv -t utf-8).") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None


def _table(path: Path) -> Iterator[tuple[str, Any]]:
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            frame = pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        raise UsageError(f"{path}: there are no rows in it.") from None
    except (ValueError, OSError, ImportError) as error:
        raise UsageError(f"{path}: cannot be read as {path.suffix[1:]}: {str(error).strip()}.") from None
    columns = [str(column) for column in frame.columns]
    for number, cells in enumerate(frame.astype(object).itertuples(index=False, name=None), 2):
        yield f"line {number}", dict(zip(columns, cells, strict=True))


def _dataset(source: Source) -> tuple[list[str], list[tuple[str, Any]], list[str]]:
    """Rows of a data set by hub name or folder, by Hugging Face datasets."""
    import datasets

    local = next((str(p) for p in (source.folder / source.load, Path(source.load)) if p.is_dir()), source.load)
    try:
        found = datasets.load_dataset(local, source.subset, split=source.split, revision=source.revision)
    except Exception as error:
        raise UsageError(_unreachable(source, error)) from None
    if isinstance(found, dict):
        splits = sorted(found)
        if len(splits) > 1:
            raise UsageError(f"{source.load}: say which split with --split; it has {', '.join(splits)}.")
        found = found[splits[0]]
    feature = found.features.get(source.label) if source.label else None
    names = list(getattr(feature, "names", None) or [])
    classes = {
        column: f.names for column, f in found.features.items() if hasattr(f, "names") and column != source.label
    }
    rows = [(f"row {i}", _named(row, classes)) for i, row in enumerate(found, 1)]
    return list(found.column_names), rows, names


def _named(row: Mapping[str, Any], classes: Mapping[str, list[str]]) -> dict[str, Any]:
    """A row whose numbered classes stand by their names."""
    return {k: classes[k][v] if k in classes and isinstance(v, int) and v >= 0 else v for k, v in row.items()}


def _unreachable(source: Source, error: Exception) -> str:
    why = " ".join(str(error).split())[:300]
    if isinstance(error, ValueError) and ("split" in why or "BuilderConfig" in why):
        return f"{source.load}: {why}"
    return (
        f"{source.load}: neither a file here nor a data set that can be loaded ({type(error).__name__}: {why}). "
        f"Where the hub cannot be reached, download the data set elsewhere and give its folder, or set HF_HOME to a "
        f"cache that holds it."
    )
