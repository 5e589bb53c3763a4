"""One run, one folder: run.json, append-only records.jsonl, findings.json.  Safe to kill at any moment.

Knows nothing of models, suites or statistics.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audit.errors import UsageError
from audit.types import Outcome, Record, Trial


class Store:
    """The records of one run folder.  UsageError where the folder cannot be written or a record cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "records.jsonl"

    def __iter__(self) -> Iterator[Record]:
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith(b"\n"):
                    yield self._parse(line, number)

    def _parse(self, line: bytes, number: int) -> Record:
        try:
            row = json.loads(line)
            if row["outcome"] is not None:
                row["outcome"] = Outcome(**row["outcome"])
            return Record(**row)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{self.path}:{number}: not a record of this version ({type(error).__name__}: {error}). "
                f"Nothing was changed. Delete that one line to measure its trial again, or start anew with --fresh."
            ) from None

    def pending(self, trials: Iterable[Trial]) -> list[Trial]:
        """The trials that have no record yet, in their order."""
        done = {record.trial for record in self}
        return [trial for trial in trials if trial.id not in done]

    def append(self, records: Iterable[Record]) -> Iterator[Record]:
        """Write each record as one line, in one system call, and pass it on.  The only writer holds a lock."""
        with self._locked() as out:
            for record in records:
                os.write(out, _line(record))
                yield record

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            out = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}. Choose another folder with --out.") from None
        try:
            try:
                fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(
                    f"{self.folder} is being written by another run. Wait for it, or choose another --out."
                ) from None
            _repair(out)
            yield out
        finally:
            os.close(out)


def _line(record: Record) -> bytes:
    """A record as one line of JSON; its fields are flat, so no deep copy is made."""
    row = {**vars(record), "params": dict(record.params)}
    if (outcome := record.outcome) is not None:
        row["outcome"] = {**vars(outcome), "values": dict(outcome.values), "evidence": dict(outcome.evidence)}
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"


def _repair(out: int) -> None:
    """Drop a torn last line, left by a process that died while writing it."""
    size = os.fstat(out).st_size
    keep, step = size, 1 << 16
    while keep:
        start = max(0, keep - step)
        chunk = os.pread(out, keep - start, start)
        at = chunk.rfind(b"\n")
        if at >= 0:
            keep = start + at + 1
            break
        keep = start
    if keep < size:
        os.ftruncate(out, keep)


def create(folder: Path) -> None:
    """Make a run folder.  UsageError where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}. Choose another folder with --out.") from None


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step, so that a reader never sees half of it."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace a UTF-8 text file in one step; lone surrogates become '?'."""
    aside = path.with_name(path.name + ".part")
    try:
        aside.write_bytes(text.encode("utf-8", "replace"))
        aside.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}. Choose another folder with --out.") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a run folder.  UsageError naming file and place."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path.parent} is not a run folder: it has no {path.name}.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}: must hold one JSON object, not {type(value).__name__}.")
    return value
