"""`audit score`: published measures on predictions that somebody already has.  Knows files and measures, no model."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pandas as pd

from audit import measures
from audit.commands.show import one_line
from audit.errors import UsageError, nearest
from audit.measures import Measure
from audit.measures.columns import Column, label, refuse

KINDS = (".jsonl", ".csv", ".parquet")


@click.command()
@click.argument("measure", required=False)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--by", multiple=True, metavar="COLUMN", help="Also score each value of this column; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--rows", is_flag=True, help="Also the verdict on each row, where the measure has one.")
@click.option("--threshold", type=float, help="For effective_length: the score that counts as working.")
@click.option("--intervals/--no-intervals", default=None, help="95% intervals (default: yes, but not with --json).")
@click.option("--list", "listing", is_flag=True, help="List the measures, or show the card of MEASURE.")
def score(
    measure: str | None, file: Path | None, by: Sequence[str], as_json: bool, rows: bool,
    threshold: float | None, intervals: bool | None, listing: bool,
) -> None:  # fmt: skip
    """Score the predictions in FILE (.jsonl, .csv or .parquet) by MEASURE.

    The columns each measure needs are on its card: audit score --list MEASURE.  Other columns are ignored.
    """
    if listing:
        click.echo(_listed(measure, as_json))
        return
    if measure is None or file is None:
        raise UsageError("score needs MEASURE and FILE, or --list: audit score MEASURE FILE(.jsonl|.csv|.parquet)")
    chosen = measures.get(measure)
    options = _options(chosen, threshold)
    frame = read(file, chosen, by)
    result = _scored(chosen, frame, list(by), options)
    if rows:
        result["rows"] = _rows(chosen, frame)
    if intervals or (intervals is None and not as_json):
        result["intervals"] = _intervals(chosen, frame, options)
    click.echo(json.dumps(result, ensure_ascii=False, allow_nan=False) if as_json else "\n".join(_table(result)))


def _options(measure: Measure, threshold: float | None) -> dict[str, Any]:
    if threshold is None:
        return {}
    if "threshold" not in measure.options:
        raise UsageError(f"measure {measure.name!r} has no --threshold; effective_length has")
    if not math.isfinite(threshold):
        raise UsageError(f"--threshold {threshold} is not allowed; allowed values: a finite number")
    return {"threshold": threshold}


def _scored(measure: Measure, frame: pd.DataFrame, by: list[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """{"measure", "overall", "by": {column: {value: results}}}; a measure's own slices come without being asked for."""
    overall = measure.run(frame, **options)
    sliced: dict[str, dict[str, Any]] = {}
    for column in dict.fromkeys([*(c for c in measure.by if c in frame), *by]):
        names = _slices(frame, column)
        sliced[column] = {}
        for name in sorted(set(names), key=_order):
            part = frame[[found == name for found in names]].reset_index(drop=True)
            try:
                sliced[column][name] = measure.run(part, **options)
            except UsageError as error:
                raise UsageError(f"in the slice {column} = {one_line(name)!r}: {error}") from error
    return {"measure": measure.name, "overall": overall, "by": sliced}


def _slices(frame: pd.DataFrame, column: str) -> list[str]:
    if column not in frame:
        raise UsageError(f"no column {column!r} to slice by: {nearest(column, frame.columns)}")
    missing, found = frame[column].isna(), []
    for row, value in enumerate(frame[column]):
        word, kind = ("", "") if missing.iloc[row] else label(value)  # rows without a value are a slice too
        if kind == "other":
            refuse(frame[column], column, Column("label", blank=True), row)
        found.append(word)
    return found


def _order(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return math.inf, name


def _rows(measure: Measure, frame: pd.DataFrame) -> list[dict[str, Any]]:
    if measure.rows is None:
        has = [name for name in measures.names() if measures.get(name).rows is not None]
        raise UsageError(f"measure {measure.name!r} has no verdict on single rows; these have: {', '.join(has)}")
    verdicts = measure.rows(measure.check(frame)).to_dict("records")
    return [{"row": number, **{str(k): v for k, v in verdict.items()}} for number, verdict in enumerate(verdicts, 1)]


def _intervals(measure: Measure, frame: pd.DataFrame, options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, result in measure.results.items():
        if not result.none and not options:
            estimate, _ = measures.estimate(measure, frame, key)
            found[key] = {name: getattr(estimate, name) for name in ("low", "high", "n", "clusters", "method")}
    return found


# --- reading ------------------------------------------------------------------------------------------------------


def read(path: Path, measure: Measure, by: Sequence[str] = ()) -> pd.DataFrame:
    """The file's rows, typed: a CSV's words become what the measure's columns promise.  UsageError names the place."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise UsageError(f"{path}: not a kind of file this reads; allowed: {', '.join(KINDS)}")
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(f"{path}: no such file: {nearest(path.name, near)}")
    try:
        frame = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}[kind](path)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text at byte {error.start}: save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    if frame.empty:
        raise UsageError(f"{path}: no rows; measure {measure.name!r} needs columns {', '.join(measure.columns)}")
    return _typed(frame, measure) if kind == ".csv" else frame


def _jsonl(path: Path) -> pd.DataFrame:
    found: list[dict[str, Any]] = []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UsageError(f"{path}, line {number}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise UsageError(f"{path}, line {number}: a {type(row).__name__}; each line is one object of columns")
            found.append(row)
    # One object column each: pandas must not turn a row without a value, or true, into a number.
    columns = dict.fromkeys(name for row in found for name in row)
    return pd.DataFrame({c: pd.Series([row.get(c) for row in found], dtype=object) for c in columns})


def _csv(path: Path) -> pd.DataFrame:
    allowed = csv.field_size_limit(2**31 - 1)  # a long context in one field is no mistake
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = [row for row in csv.reader(lines, strict=True) if row]
    except csv.Error as error:
        raise UsageError(f"{path}: not a table: {error}") from error
    finally:
        csv.field_size_limit(allowed)
    names = rows[0] if rows else []
    for number, row in enumerate(rows[1:], 1):
        if len(row) != len(names):
            raise UsageError(f"{path}, row {number}: {len(row)} fields, and the header names {len(names)} columns")
    return pd.DataFrame(rows[1:], columns=names, dtype=object)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow raises its own kinds; whatever it says, the file is at fault
        raise UsageError(f"{path}: not a Parquet file: {' '.join(str(error).split())[:200]}") from error


def _typed(frame: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    columns = {**measure.columns, **measure.optional}
    columns |= {c.alias: c for c in columns.values() if c.alias}
    for name, column in columns.items():
        if name in frame:
            values = [_from_word(word, column, f"column {name!r}, row {n}") for n, word in enumerate(frame[name], 1)]
            frame[name] = pd.Series(values, dtype=object, index=frame.index)
    return frame


def _from_word(word: Any, column: Column, where: str) -> Any:
    """A CSV's word as the kind of value that its column holds; as it is where it is none, to be refused with it."""
    if not isinstance(word, str) or (word == "" and (column.null or column.kind in ("binary", "number"))):
        return None
    if column.kind == "binary" and word.strip().lower() in ("true", "false"):
        return word.strip().lower() == "true"
    if column.kind in ("binary", "number"):
        try:
            return float(word)
        except ValueError:
            return word
    if column.kind == "texts" and word.lstrip().startswith("["):
        try:
            return json.loads(word)
        except ValueError as error:
            raise UsageError(f"{where}: starts like a JSON list and is none: {error}") from error
    return word


# --- showing ------------------------------------------------------------------------------------------------------


def _listed(name: str | None, as_json: bool) -> str:
    chosen = [measures.get(name)] if name else [measures.get(n) for n in measures.names()]
    if as_json:
        return json.dumps({m.name: _card(m) for m in chosen}, ensure_ascii=False)
    if name is None:
        width = max(len(m.name) for m in chosen)
        return "\n".join(f"{m.name:<{width}}  {m.summary}" for m in chosen)
    lines = [f"{name} (card {chosen[0].card_hash})", "", chosen[0].card, "", "Columns:"]
    lines += [f"  {c}: {column['values']}{column['note']}" for c, column in _card(chosen[0])["columns"].items()]
    return "\n".join([*lines, "Results: " + ", ".join(chosen[0].results)])


def _card(measure: Measure) -> dict[str, Any]:
    columns = [(n, c, "") for n, c in measure.columns.items()] + [
        (n, c, "; optional") for n, c in measure.optional.items()
    ]
    results = {k: {"direction": r.direction, "ideal": r.ideal, "unit": r.unit} for k, r in measure.results.items()}
    return {
        "summary": measure.summary,
        "card": measure.card,
        "card_hash": measure.card_hash,
        "columns": {n: {"values": c.says, "note": note} for n, c, note in columns},
        "results": results,
    }


def _table(result: Mapping[str, Any]) -> Iterable[str]:
    yield f"{result['measure']}, all rows"
    yield from _lines(result["overall"], result.get("intervals", {}))
    for column, slices in result["by"].items():
        for name, values in slices.items():
            yield f"{one_line(column)} = {one_line(name)}"
            yield from _lines(values, {})
    for row in result.get("rows", []):
        yield json.dumps(row)


def _lines(values: Mapping[str, Any], intervals: Mapping[str, Any]) -> Iterable[str]:
    reasons = values.get("reasons", {})
    for key, value in values.items():
        if key == "reasons":
            continue
        shown = f"{value:.6g}" if isinstance(value, float) else one_line(str(value))
        if value is None:
            shown = f"undefined: {reasons.get(key, 'no reason given')}"
        found = intervals.get(key)
        if found and found["low"] is not None:
            shown += f"  [95% CI {found['low']:.4g} to {found['high']:.4g}, {found['method']}]"
        yield f"  {key}: {shown}"
