"""A run folder's files into plain values.  Knows the files' shapes, nothing of pages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from audit.errors import UsageError
from audit.types import Finding, Outcome, Record

TRIAL = re.compile(r'"trial":\s*"([^"\\]+)"')
SCHEMA = 1


@dataclass(frozen=True)
class Run:
    """What the report is made of: run.json, the findings in their order, and a hash of findings.json."""

    folder: Path
    about: Mapping[str, Any]
    findings: tuple[Finding, ...]
    digest: str


def read(folder: Path) -> Run:
    """The run in this folder.  UsageError where a file is missing, not JSON, of another schema or another shape."""
    about = _tree(folder / "run.json")
    raw = _bytes(folder / "findings.json")
    tree = _json(folder / "findings.json", raw)
    schema = tree.get("schema")
    if schema != SCHEMA:
        raise UsageError(f"{folder / 'findings.json'}: schema {schema!r}; this version of audit reads schema {SCHEMA}.")
    rows = tree.get("findings")
    if not isinstance(rows, list):
        raise UsageError(
            f"{folder / 'findings.json'}: 'findings' must be a list; `audit report RUN` makes the file anew."
        )
    findings = tuple(_finding(folder, at, row) for at, row in enumerate(rows))
    return Run(folder, about, findings, hashlib.sha256(raw).hexdigest())


def beside(run: Run, name: str) -> tuple[Mapping[str, Any] | None, str]:
    """gate.json or noise.json of this run; else None and why: "json", "schema", "stale", "noise", or "".

    stale: made of other findings.  noise: judged before the noise floor was measured, or by another one.
    """
    path = run.folder / name
    if not path.is_file():
        return None, ""
    try:
        tree = _tree(path)
    except UsageError:
        return None, "json"
    if tree.get("schema") != SCHEMA:
        return None, "schema"
    about = tree.get("run")
    told = about if isinstance(about, Mapping) else {"id": about}
    same = told.get("id") == run.about.get("id") and told.get("findings", run.digest) == run.digest
    if not same:
        return None, "stale"
    return (None, "noise") if name == "gate.json" and told.get("noise") != _digest(run.folder) else (tree, "")


def _digest(folder: Path) -> str | None:
    """A hash of the run's noise floor; None where none was measured."""
    path = folder / "noise.json"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def records(folder: Path, trials: Collection[str]) -> dict[str, Record]:
    """The records of these trials, by trial id; a missing file or a torn line gives no record and no error."""
    found: dict[str, Record] = {}
    path = folder / "records.jsonl"
    if not trials or not path.is_file():
        return found
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name = TRIAL.search(line)
            if name and name[1] in trials:
                record = _record(line)
                if record:
                    found[record.trial] = record
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; name the folder of a finished run.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None


def _json(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(raw)
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}.") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{path} must hold a JSON object, not {type(tree).__name__}.")
    return tree


def _tree(path: Path) -> dict[str, Any]:
    return _json(path, _bytes(path))


def _finding(folder: Path, at: int, row: object) -> Finding:
    known = {field.name for field in fields(Finding)}
    try:
        assert isinstance(row, dict)
        return Finding(**{name: value for name, value in row.items() if name in known})
    except (AssertionError, TypeError) as error:
        raise UsageError(f"{folder / 'findings.json'}: findings[{at}] is not a finding: {error}.") from None


def _record(line: str) -> Record | None:
    known = {field.name for field in fields(Record)}
    try:
        row = json.loads(line)
        outcome = row.pop("outcome", None)
        row["outcome"] = Outcome(**outcome) if outcome else None
        return Record(**{name: value for name, value in row.items() if name in known})
    except (ValueError, TypeError, AttributeError):
        return None
