"""A `data:` block's rows with their places: from a file, or from Hugging Face datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import templates
from audit.errors import UsageError

FILES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".yaml")


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


def read(source: Source) -> tuple[list[str], list[tuple[str, Any]], list[str]]:
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
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}:{number}: not a line of JSON: {error}.") from None


def _json(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        rows = json.loads(_text(path))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}.") from None
    if not isinstance(rows, list):
        raise UsageError(f"{path}: must hold a list of rows, not {type(rows).__name__}.")
    yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))


def _text(path: Path) -> str:
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
