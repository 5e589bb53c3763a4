"""The records of a run as tables: one cell is one entry under one setting, and what is measured on it.

Knows run.json and the measures' columns; judges nothing, needs no model and no suite's code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from audit.errors import UsageError
from audit.measures import Measure
from audit.numbers import setting_text
from audit.schedule import LOST
from audit.suite import Across, Entry, MeasureUse, Sheet
from audit.suite import cells as settings
from audit.types import Finding, Record, Scalar

Params = tuple[tuple[str, Scalar], ...]
Grouped = Mapping[tuple[str, str, Params], list[Record]]


@dataclass(frozen=True)
class Cell:
    """The records of one entry under one setting (or, for a measure across settings, under all of them)."""

    suite: str
    sheet: Sheet
    entry: Entry | Across
    params: Params
    swept: tuple[str, ...]
    records: list[Record]
    planned: int
    reason: Mapping[str, str] | None
    sampled: int | None
    labelled: bool

    @property
    def name(self) -> str:
        return self.entry.label if isinstance(self.entry, Entry) else self.entry.name

    @property
    def title(self) -> Mapping[str, str]:
        plain = self.name.replace("_", " ")
        return self.entry.title.model_dump() if self.entry.title else {"en": plain, "zh": plain}


def grouped(records: Iterable[Record]) -> Grouped:
    """Records by (suite, entry, settings), each in the order of trial ids, whatever order they came in."""
    found: dict[tuple[str, str, Params], list[Record]] = defaultdict(list)
    for record in records:
        found[record.suite, record.entry, tuple(sorted(record.params.items()))].append(record)
    for rows in found.values():
        rows.sort(key=lambda r: r.trial)
    return found


def slices(cell: Cell, use: MeasureUse) -> list[str]:
    """The groups that a measure is reported for, where the suite asks for groups and there is more than one."""
    if "out" in use.by:
        groups = {r.group for r in cell.records if _side(r) == 1}
    else:
        groups = {r.group for r in cell.records if r.group} if "group" in use.by else set()
    return sorted(groups) if len(groups) > 1 else []


def part(cell: Cell, use: MeasureUse, group: str) -> list[Record]:
    """The records of one slice: the group's, and with `by: [out]` the in-distribution ones they are held against."""
    against = "out" in use.by
    return [r for r in cell.records if r.group == group or (against and _side(r) == 0)]


def _side(record: Record) -> Scalar:
    """1 for an out-of-distribution row, 0 for an in-distribution one, None where the probe does not say."""
    return record.outcome.values.get("is_ood") if record.outcome is not None else None


def of_suite(suite: Mapping[str, Any], by_cell: Grouped) -> Iterator[tuple[Cell, MeasureUse]]:
    """Every cell of one suite of run.json with each measure used on it, in the order of the suite's sheet."""
    sheet = Sheet.model_validate(suite["sheet"])
    known: dict[str, list[Cell]] = {}
    for entry, plan in zip(sheet.probes, suite["probes"], strict=True):
        swept, labelled = tuple(entry.over), plan["labelled"]
        refused = {tuple(sorted(row["settings"].items())): row["reason"] for row in plan.get("refused", ())}
        whole = [
            Cell(
                suite["name"],
                sheet,
                entry,
                params,
                swept,
                by_cell.get((suite["name"], entry.label, params), []),
                plan["planned"],
                plan["reason"] or refused.get(params),
                plan["limit"],
                labelled,
            )
            for params in settings(entry)
        ]
        known[entry.label] = whole
        for use in entry.measures or sheet.measures or (MeasureUse(measure="failure_rate"),):
            if use.across:
                yield _merged(whole, entry, tuple(sorted(entry.settings.items()))), use
            else:
                yield from ((cell, use) for cell in whole)
    for across in sheet.across:
        yield _merged([cell for name in across.probes for cell in known[name]], across, ()), across.measure


def _merged(parts: list[Cell], entry: Entry | Across, params: Params) -> Cell:
    run = [cell for cell in parts if cell.reason is None]
    first = (run or parts)[0]
    every = [record for cell in run for record in cell.records]
    # What a probe itself declined in one cell is no error of the whole.
    records = [record for record in every if not (record.error or "").startswith("NotRun: ")] or every
    planned = sum(cell.planned for cell in run) - len(every) + len(records)
    return replace(first, entry=entry, params=params, swept=(), records=records, planned=planned)


def base(cell: Cell, use: MeasureUse, measure: Measure) -> Finding:
    """The finding of one measure on one cell before anything is measured: its id, names, direction and card."""
    key = use.key or measure.headline
    if key not in measure.results:
        raise UsageError(
            f"suite {cell.suite!r}: measure {use.measure!r} has no result {key!r}: {', '.join(measure.results)}"
        )
    name = use.key or measure.name
    swept = [f"{name_}={setting_text(value)}" for name_, value in cell.params if name_ in cell.swept]
    return Finding(
        id="/".join([cell.suite, cell.name, *swept, name]),
        suite=cell.suite,
        probe=cell.name,
        params=dict(cell.params),
        group="",
        measure=name,
        direction=measure.results[key].direction,
        unit=use.unit or measure.results[key].unit,
        ideal=measure.results[key].ideal,
        card=measure.card,
        card_hash=measure.card_hash,
    )


def readable(records: Iterable[Record]) -> list[Record]:
    """The records that are evidence: they have an outcome, of a text that the tokenizer did not lose."""
    return [r for r in records if r.outcome is not None and r.unknown <= LOST]


def frame(records: list[Record]) -> pd.DataFrame:
    """One row a record: what it is about, its settings, its values."""
    rows = []
    for record in records:
        assert record.outcome is not None
        row = {"item_id": record.example, "cluster": record.example, "group": record.group, "probe": record.entry}
        passed = record.outcome.passed
        rows.append(
            {**row, **record.params, "passed": None if passed is None else int(passed), **record.outcome.values}
        )
    return pd.DataFrame(rows)


def usable(rows: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The rows that have a value in every column that the measure needs."""
    if any(name not in rows for name in measure.columns):
        return rows.iloc[:0]
    return rows.dropna(subset=list(measure.columns))
