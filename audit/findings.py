"""Records into findings: what each number is, how sure, and what it says.  Needs no model, and no suite's code."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from audit import cells, measures
from audit.cells import Cell
from audit.errors import UsageError
from audit.measures import Measure
from audit.say import fill, say, spread, statement
from audit.schedule import LOST
from audit.suite import Bands, Entry, MeasureUse
from audit.types import Estimate, Finding, Record, Severity, VerdictName

ORDER: tuple[Severity, ...] = ("low", "medium", "high", "critical")
SHOWN = 5  # examples a finding
TOO_MANY_ERRORS = 0.05  # of the trials: beyond this share no number is given

# From which value on a limitation counts, where a suite says nothing: by unit and direction.
BANDS: Mapping[tuple[str, str], Bands] = {
    ("proportion", "lower"): Bands(low=0.02, medium=0.05, high=0.15, critical=0.3),
    ("proportion", "higher"): Bands(low=0.95, medium=0.9, high=0.8, critical=0.6),
    ("points", "lower"): Bands(low=0.0, medium=0.02, high=0.05, critical=0.15),
    ("percent", "lower"): Bands(low=5, medium=20, high=50, critical=80),
    ("percent", "higher"): Bands(low=90, medium=70, high=40, critical=15),
}


def findings(run: Mapping[str, Any], records: Iterable[Record]) -> list[Finding]:
    """Every finding of a run, in the order of its suites and probes.

    `run` is the content of run.json.  A cell with nothing measured is a *not run* or *error* finding, never left out.
    """
    found: list[Finding] = []
    by_cell = cells.grouped(records)
    for suite in run["suites"]:
        found += _rows_finding(suite)
        for cell, use in cells.of_suite(suite, by_cell):
            found += _measured(cell, use, run["spec"].get("seed", 0))
        found = [_calibrated(finding, suite.get("calibration") or ()) for finding in found]
    return found


def _measured(cell: Cell, use: MeasureUse, seed: int) -> Iterator[Finding]:
    """The findings of one measure on one cell: of all rows, then of each group where the suite asks for that."""
    measure = measures.get(use.measure)
    base = cells.base(cell, use, measure)
    if cell.reason is not None:
        yield _unmeasured(base, "not_run", cell.reason)
        return
    yield _finding(cell, use, base, cell.records, seed)
    for group in cells.slices(cell, use):
        part = replace(base, id=f"{base.id}@{group}", group=group)
        yield _finding(cell, use, part, cells.part(cell, use, group), seed)


def _calibrated(finding: Finding, table: Iterable[Mapping[str, Any]]) -> Finding:
    """With what the suite's calibration says of the probe's power, beside a number over all rows."""
    says = next((r["says"] for r in table if (r["probe"], r["measure"]) == (finding.probe, finding.measure)), None)
    if says is None or finding.value is None or finding.group:
        return finding
    return replace(finding, detail={**finding.detail, "power": says})


def _unmeasured(base: Finding, verdict: VerdictName, reason: Mapping[str, str]) -> Finding:
    text = say("not_run", reason=reason) if verdict == "not_run" else dict(reason)
    return replace(base, verdict=verdict, reason=reason["en"], statement=text)


def _finding(cell: Cell, use: MeasureUse, base: Finding, every: list[Record], seed: int) -> Finding:
    measure = measures.get(use.measure)
    kept = cells.readable(every)
    frame = cells.frame(kept)
    usable = cells.usable(frame, measure)
    base = replace(
        base,
        skipped=len(kept) - len(usable),
        errors=sum(r.error is not None for r in every),
        truncated=sum(r.truncated > 0 for r in every),
        unreadable=sum(r.outcome is not None and r.unknown > LOST for r in every),
        seconds=round(sum(r.seconds for r in every), 3),
        asked=sum(r.asked for r in every),
    )
    if (reason := _no_number(base, every)) is not None:
        return reason
    if usable.empty:
        return _unmeasured(base, "not_run", _no_rows(cell, measure, frame))
    try:
        number, detail = measures.estimate(measure, usable, use.key, 0.95, _seed(base.id, seed))
    except UsageError as error:
        return _unmeasured(base, "error", {code: str(error) for code in ("en", "zh")})
    if number.value is None:
        return _unmeasured(base, "not_run", say("undefined", why=number.method))
    found = judged(base, number, bands(cell, base, measure, use))
    found = replace(found, detail=_detail(found, detail), examples=_shown(kept))
    return replace(found, statement=_said(cell, use, found, every))


def _no_number(base: Finding, every: list[Record]) -> Finding | None:
    """A finding that says why no number is given: nothing measured, refused, mostly errors, mostly unreadable."""
    if not every:
        return _unmeasured(base, "not_run", say("nothing_recorded"))
    refused = [r.error or "" for r in every if (r.error or "").startswith("NotRun: ")]
    if len(refused) == len(every):
        return _unmeasured(base, "not_run", say("not_ready", why=refused[0].removeprefix("NotRun: ")))
    if base.errors > TOO_MANY_ERRORS * len(every):
        first = next(r.error for r in every if r.error is not None).strip().splitlines()[-1]
        return _unmeasured(base, "error", say("error", errors=base.errors, planned=len(every), first=first))
    if base.unreadable > (len(every) - base.errors) / 2:
        return _unmeasured(base, "not_run", say("unreadable", unreadable=base.unreadable, planned=len(every)))
    return None


def _no_rows(cell: Cell, measure: Measure, frame: pd.DataFrame) -> dict[str, str]:
    """Why no record has what the measure needs."""
    absent = [name for name in measure.columns if name not in frame or not frame[name].notna().any()]
    if not cell.labelled and any(name.startswith("correct") or name in ("value", "gold") for name in absent):
        return say("unlabelled")
    if "edited" in frame and not frame["edited"].fillna(0).astype(bool).any():
        return say("no_site")
    return say("no_column", column=", ".join(absent))


def bands(cell: Cell, base: Finding, measure: Measure, use: MeasureUse) -> Bands | None:
    """From which values on this finding is a limitation: the entry's, the suite's, or the unit's."""
    for where in (cell.entry.severity, cell.sheet.severity):
        if base.measure in where:
            return where[base.measure]
    ideal = measure.results[use.key or measure.headline].ideal
    return BANDS.get((base.unit, base.direction)) if ideal is not None else None


def judged(base: Finding, number: Estimate, limits: Bands | None) -> Finding:
    """Verdict and severity: both look at the interval's bound nearest to *no problem*."""
    low, high = (_possible(bound, base.unit) for bound in (number.low, number.high))
    shown = replace(
        base, value=number.value, low=low, high=high, n=number.n, clusters=number.clusters,
        method=number.method, confidence=number.confidence, limit=limits.low if limits else None,
    )  # fmt: skip
    if limits is None or low is None or high is None:
        return replace(shown, verdict="inconclusive", reason="" if limits else "no limit is set for this measure")
    kind, far = _bounds(base.direction, low, high, base.ideal or 0.0)
    sign = -1 if base.direction == "higher" else 1
    steps = [limits.low, limits.medium, limits.high, limits.critical]
    passed = [name for name, step in zip(ORDER, steps, strict=True) if step is not None and sign * kind > sign * step]
    if passed:
        return replace(shown, verdict="confirmed", severity=passed[-1])
    inside = sign * far <= sign * limits.low
    return replace(shown, verdict="not_detected" if inside or limits.low == 0 else "inconclusive")


def _possible(bound: float | None, unit: str) -> float | None:
    """A bound of a difference of shares cannot lie beyond a hundred points."""
    return bound if bound is None or unit != "points" else min(1.0, max(-1.0, bound))


def _bounds(direction: str, low: float, high: float, ideal: float) -> tuple[float, float]:
    """The bound nearest to no problem, and the one farthest from it; for direction zero as distances from the ideal."""
    if direction == "higher":
        return high, low
    if direction == "zero":
        low, high = low - ideal, high - ideal
        nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        return nearest, max(abs(low), abs(high))
    return low, high


def _detail(finding: Finding, results: Mapping[str, Any]) -> dict[str, Any]:
    """The measure's other results, the n that would decide, and the smallest effect this n could have seen."""
    detail = {key: value for key, value in results.items() if key not in ("value", "low", "high", "n", "clusters")}
    if finding.low is None or finding.high is None or finding.value is None or not finding.n:
        return detail
    half = (finding.high - finding.low) / 2
    detail["smallest_detectable"] = round(half * (1.959964 + 0.841621) / 1.959964, 6)
    away = abs(finding.value - (finding.ideal or 0.0)) if finding.direction == "zero" else finding.value
    distance = abs(away - finding.limit) if finding.limit is not None else 0.0
    if finding.verdict == "inconclusive" and distance > 0 and half > 0:
        detail["n_to_decide"] = max(finding.n + 1, math.ceil(finding.n * (half / distance) ** 2))
    return detail


def _said(cell: Cell, use: MeasureUse, finding: Finding, every: list[Record]) -> dict[str, str]:
    """The finding's sentence; a suite's own `says` speaks for its entry's first measure, stock ones for the rest."""
    entry = cell.entry
    uses = (entry.measures or cell.sheet.measures) if isinstance(entry, Entry) else (use,)
    when = entry.when.model_dump() if entry.when else None
    if when and isinstance(entry, Entry):
        ranges = {f"with.{name}": spread(values) for name, values in entry.over.items() if name not in finding.params}
        when = {code: fill(text, code, ranges) for code, text in when.items()}
    says = entry.says.model_dump() if entry.says and use == (uses or (use,))[0] else None
    text = statement(finding, cell.title, when, says, cell.sampled)
    tails = []
    if finding.errors:
        tails.append(say("partly", errors=finding.errors, planned=len(every)))
    if not finding.group and len(every) < cell.planned:
        tails.append(say("unfinished", missing=cell.planned - len(every), planned=cell.planned))
    return {code: text[code] + "".join(tail[code] for tail in tails) for code in text}


def _shown(records: list[Record]) -> tuple[str, ...]:
    """Trials to show: failures, drawn by a hash of their id, so that nobody chose them."""
    failed = [r.trial for r in records if r.outcome is not None and r.outcome.passed is False]
    return tuple(sorted(failed, key=lambda trial: hashlib.sha256(trial.encode()).digest())[:SHOWN])


def _rows_finding(suite: Mapping[str, Any]) -> list[Finding]:
    """One error finding where data rows could not be used: they are missing from every number."""
    rows = [row for block in suite["data"] for row in block.get("malformed_rows", [])]
    if not rows:
        return []
    planned = sum(block["rows"] for block in suite["data"])
    base = Finding(f"{suite['name']}/data/rows", suite["name"], "data", {}, "", "rows", errors=len(rows), n=planned)
    first = f"{rows[0]['place']}: {rows[0]['why']}"
    return [_unmeasured(base, "error", say("malformed", errors=len(rows), planned=planned, first=first))]


def _seed(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4])


def rounded(finding: Finding) -> dict[str, Any]:
    """A finding as JSON: numbers to nine digits, so that noise in the last bits is not a difference between runs."""
    row = asdict(finding)
    for key in ("value", "low", "high", "limit", "ideal"):
        if row[key] is not None:
            row[key] = float(f"{row[key]:.9g}")
    row["detail"] = {k: float(f"{v:.9g}") if isinstance(v, float) else v for k, v in row["detail"].items()}
    row["examples"] = list(row["examples"])
    return row
