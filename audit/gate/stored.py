"""A run folder as the gate needs it: its findings, and for each the rows they were computed from.  Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from audit import cells, measures, store
from audit.cells import Cell
from audit.errors import UsageError
from audit.measures import Measure
from audit.suite import MeasureUse
from audit.types import Finding, Record

SCHEMA = 1


@dataclass(frozen=True)
class Table:
    """One cell under one measure: `key` of the measure's results, its records with an outcome, in one slice or all."""

    cell: Cell
    use: MeasureUse
    measure: Measure
    key: str
    group: str = ""

    @cached_property
    def records(self) -> list[Record]:
        """Those that are evidence, one for each item under each setting."""
        every = cells.part(self.cell, self.use, self.group) if self.group else self.cell.records
        return cells.readable(every)

    def frame(self, records: list[Record]) -> pd.DataFrame:
        """The rows of these records that have what the measure needs; column `_row` says which record each is."""
        every = cells.frame(records)
        if every.empty:
            return every
        every["_row"] = [row_key(record) for record in records]
        return cells.usable(every, self.measure)


def row_key(record: Record) -> str:
    """What makes two records of two runs the same question: the entry, its settings and the example."""
    settings = ",".join(f"{name}={value}" for name, value in sorted(record.params.items()))
    return "\x1f".join([record.entry, settings, record.language, record.group, record.example])


@dataclass(frozen=True)
class Stored:
    """A run as stored: run.json, its findings by id, and the folder where the records lie."""

    folder: Path
    about: Mapping[str, Any]
    findings: Mapping[str, Finding]

    @cached_property
    def records(self) -> list[Record]:
        """Every record of the run."""
        return list(store.Store(self.folder))

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The rows behind each finding, by finding id."""
        by_cell = cells.grouped(self.records)
        found: dict[str, Table] = {}
        for suite in self.about["suites"]:
            for cell, use in cells.of_suite(suite, by_cell):
                found |= _tables(cell, use)
        return found

    @cached_property
    def suites(self) -> dict[str, Mapping[str, Any]]:
        """What run.json says of each suite, by name."""
        return {suite["name"]: suite for suite in self.about["suites"]}

    @cached_property
    def noise(self) -> dict[str, float]:
        """By finding: how far the same model strays from itself, where `--noise-floor` measured it."""
        path = self.folder / "noise.json"
        return dict(store.read_json(path)["findings"]) if path.exists() else {}

    @property
    def model(self) -> str:
        """The model's name, with its revision where it has one."""
        model = self.about["model"]
        return str(model["name"]) + (f"@{model['revision'][:12]}" if model.get("revision") else "")


def _tables(cell: Cell, use: MeasureUse) -> dict[str, Table]:
    measure = measures.get(use.measure)
    key = use.key or measure.headline
    name = cells.base(cell, use, measure).id
    groups = {f"{name}@{group}": Table(cell, use, measure, key, group) for group in cells.slices(cell, use)}
    return {name: Table(cell, use, measure, key), **groups}


def read(folder: Path) -> Stored:
    """The run in this folder.  UsageError where it holds none, or one of another schema."""
    about = store.read_json(folder / "run.json")
    content = store.read_json(folder / "findings.json")
    for name, tree in (("run.json", about), ("findings.json", content)):
        if tree.get("schema") != SCHEMA:
            raise UsageError(f"{folder / name}: schema {tree.get('schema')!r}; this version reads schema {SCHEMA}.")
    known = {field.name for field in fields(Finding)}
    rows = [Finding(**{k: v for k, v in row.items() if k in known}) for row in content["findings"]]
    return Stored(folder, about, {finding.id: finding for finding in rows})
