"""Two runs paired by item: what differs, with an interval, or why the two are not comparable.  Knows no policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from audit import stats
from audit.gate.stored import Stored, Table, row_key
from audit.gate.words import Both, say
from audit.measures import Measure, Terms
from audit.suite import Entry
from audit.types import Estimate, Finding, Record

UNPAIRED = 0.05  # of the rows: beyond this share two runs did not measure the same items
SIDE = "_now"
Field = tuple[str, Any, Any]


@dataclass(frozen=True)
class Pair:
    """One finding in two runs: `worse` is how much worse the later run is, in the measure's unit (positive: worse).

    `worsened` and `improved` are the rows whose verdict changed; `unpaired` rows were measured in one run only.
    """

    worse: Estimate
    worsened: tuple[Record, ...] = ()
    improved: tuple[Record, ...] = ()
    unpaired: int = 0
    floor: float = 0.0


def differences(name: str, now: Stored, then: Stored, ignore: tuple[str, ...] = ()) -> list[Field]:
    """The parts of the comparability key in which a finding differs: (field, then, now).  Empty: comparable."""
    old, new = _key(name, then), _key(name, now)
    return [(field, old[field], new[field]) for field in new if field not in ignore and old[field] != new[field]]


def _key(name: str, run: Stored) -> dict[str, Any]:
    finding, table = run.findings[name], run.tables[name]
    suite, entry, model = run.suites[finding.suite], table.cell.entry, run.about["model"]
    spec = run.about["spec"]
    names = [entry.label] if isinstance(entry, Entry) else list(entry.probes)
    plans = [plan for plan in suite["probes"] if plan["name"] in names]
    used = {name for e in table.cell.sheet.probes if e.label in names for name in (e.data, *e.also)}
    blocks = [b for b in suite["data"] if used & {None, b["name"], *b.get("instead", ())}]
    return {
        "probe": [plan.get("hash") for plan in plans],
        "measure": finding.card_hash,
        "data": [block["hash"] for block in blocks],
        "settings": [plan["settings"] for plan in plans] if len(plans) > 1 else dict(finding.params),
        "language": [plan["language"] for plan in plans],
        "labels": sorted(model.get("labels") or ()),
        "helpers": spec.get("helpers") or [],
        "dtype": model.get("dtype"),
        "chat_template": model.get("chat_template") or None,
        "prompt": [spec.get("template") or "", spec.get("verbalisers") or [], spec.get("chat") or "auto"],
        "overlong": spec.get("overlong") or "",
        "decoding": model.get("decoding"),
    }


def pair(name: str, now: Stored, then: Stored, confidence: float = 0.95, *, quick: bool = False) -> Pair:
    """How much worse a finding is than in another run of the same items.  Estimate(None) with the reason where unknown.

    Only items measured in both runs count.  Rows of 0/1 values: Bonett and Price's paired interval; other rows: t on
    the differences; ratios whose denominators differ: a paired cluster bootstrap; any other statistic: a bootstrap that
    draws the same clusters for both, or, where `quick`, the two findings' own intervals taken as independent.
    """
    new, old = now.tables[name], then.tables[name]
    rows = [{row_key(r): r for r in table.records} for table in (new, old)]
    both = sorted(rows[0].keys() & rows[1].keys())
    unpaired = len(rows[0].keys() ^ rows[1].keys())
    if unpaired > UNPAIRED * max(len(rows[0]), len(rows[1]), 1):
        why = f"items: {unpaired} rows were measured in one of the two runs only"
        return Pair(Estimate(None, n=len(both), method=why, confidence=confidence), unpaired=unpaired)
    first, second = ([side[key] for key in both] for side in rows)
    frames = [table.frame(records) for table, records in ((new, first), (old, second))]
    if any(frame.empty for frame in frames):
        return Pair(Estimate(None, method="no rows that have a value in both runs", confidence=confidence))
    found = _by_row(new, frames[0], frames[1], confidence)
    if found is None and quick:
        found = _apart(now.findings[name], then.findings[name])
    if found is None:
        found = _joint(new.measure, new.key, frames[0], frames[1], confidence)
    turned = [(a, b) for a, b in zip(first, second, strict=True) if _passed(a) != _passed(b)]
    worsened = tuple(a for a, b in turned if _passed(a) is False and _passed(b))
    improved = tuple(a for a, b in turned if _passed(b) is False and _passed(a))
    floor = max(now.noise.get(name, 0.0), then.noise.get(name, 0.0))
    return Pair(found, worsened, improved, unpaired, floor)


def jitter(table: Table, first: list[Record], second: list[Record]) -> float | None:
    """How far a measure's rows move between two answers of one model to the same questions: their mean distance.

    Where the measure has no value for each row, the distance of the two results.  None where nothing can be compared.
    """
    a, b = (table.frame(sorted(rows, key=row_key)) for rows in (first, second))
    if a.empty or b.empty:
        return None
    measure, key = table.measure, table.key
    moved = _moved(measure, key, a, b)
    if moved is not None:
        return float(np.abs(moved[0]).mean()) * measure.results[key].scale
    values = [measure.run(frame)[key] for frame in (a, b)]
    return None if None in values else abs(values[0] - values[1])


def _passed(record: Record) -> bool | None:
    return record.outcome.passed if record.outcome else None


def _apart(now: Finding, then: Finding) -> Estimate:
    """The difference of two findings' values, their intervals taken as independent: wider than pairs would give."""
    sides = (now, then)
    ideal, sign = now.ideal or 0.0, -1 if now.direction == "higher" else 1
    values = [abs((f.value or 0.0) - ideal) if now.direction == "zero" else sign * (f.value or 0.0) for f in sides]
    value = values[0] - values[1]
    if any(f.low is None or f.high is None for f in sides):
        return Estimate(value, None, None, now.n, now.clusters, "no interval on one side", now.confidence)
    half = sum((((f.high or 0.0) - (f.low or 0.0)) / 2) ** 2 for f in sides) ** 0.5
    return Estimate(value, value - half, value + half, now.n, now.clusters, "two intervals, unpaired", now.confidence)


def _by_row(table: Table, now: pd.DataFrame, then: pd.DataFrame, confidence: float) -> Estimate | None:
    """The paired estimate of a measure that is a sum over rows; None for any other statistic."""
    measure, key = table.measure, table.key
    result = measure.results[key]
    sign = -1 if result.direction == "higher" else 1
    if result.terms is None or result.direction == "zero":
        return None
    moved = _moved(measure, key, now, then)
    if moved is not None:
        return _scaled(_rows(sign * moved[0], moved[1], moved[2], confidence), result.scale)
    sums = _aligned(result.terms(measure.check(now)), result.terms(measure.check(then)))
    if sums is None:
        return None
    if any(side.bottom.sum() == 0 for side in sums):
        return Estimate(None, method=result.undefined, confidence=confidence)
    found = stats.paired_bootstrap(*(sums if sign > 0 else sums[::-1]), confidence=confidence)
    return _scaled(found, result.scale)


def _moved(measure: Measure, key: str, now: pd.DataFrame, then: pd.DataFrame) -> tuple[Any, Any, float] | None:
    """now - then for each row (rows,), its clusters and the spread of values; None where the two weigh other rows."""
    result = measure.results[key]
    if result.terms is None or list(now["_row"]) != list(then["_row"]):
        return None
    a, b = result.terms(measure.check(now)), result.terms(measure.check(then))
    tops = [np.asarray(side.top, dtype=float) for side in (a, b)]
    bottoms = [_bottom(side) for side in (a, b)]
    if len(tops[0]) != len(tops[1]) or (bottoms[0] != bottoms[1]).any() or not np.isin(bottoms[0], (0, 1)).all():
        return None
    kept = bottoms[0] == 1
    clusters = None if a.clusters is None else np.asarray(a.clusters)[kept]
    spread = float(np.ptp(np.concatenate(tops)))
    return ((tops[0] - tops[1])[kept], clusters, spread) if kept.any() else None


def _bottom(terms: Terms) -> Any:
    return np.ones(len(terms.top)) if terms.bottom is None else np.asarray(terms.bottom, dtype=float)


def _rows(moved: Any, clusters: Any, spread: float, confidence: float) -> Estimate:
    """The mean of paired differences, with the interval that suits their values."""
    sums = stats.by_cluster(moved, None, clusters)
    if np.isin(moved, (-1, 0, 1)).all():
        return stats.adjusted_difference_of(sums, float(np.abs(moved).sum()), confidence)
    found = stats.mean(moved, clusters, confidence=confidence)
    if found.low is not None or found.value is None or sums.count < 2:
        return found
    bound = spread * (1 - (1 - confidence) ** (1 / sums.count))
    why = "all rows moved alike: bound on the share that would not, times the spread of values"
    return replace(found, low=found.value - bound, high=found.value + bound, method=why)


def _aligned(now: Terms, then: Terms) -> tuple[stats.Clustered, stats.Clustered] | None:
    """Both sides summed over the same clusters in the same order; None where a side does not name its clusters."""
    if now.clusters is None or then.clusters is None:
        return None
    names = pd.Index(pd.unique(pd.Series([*now.clusters, *then.clusters])))

    def summed(side: Terms) -> stats.Clustered:
        codes = names.get_indexer(pd.Index(list(side.clusters)))
        bottom = _bottom(side)
        top = np.bincount(codes, np.asarray(side.top, dtype=float), len(names)).astype(float)
        return stats.Clustered(top, np.bincount(codes, bottom, len(names)).astype(float), int(np.count_nonzero(bottom)))

    return summed(now), summed(then)


def _joint(measure: Measure, key: str, now: pd.DataFrame, then: pd.DataFrame, confidence: float) -> Estimate:
    """Any statistic: one bootstrap that draws the same clusters for both runs."""
    sides = [measure.check(frame).assign(**{SIDE: number}) for number, frame in enumerate((then, now))]
    both = pd.concat(sides, ignore_index=True)
    cluster = "cluster" if "cluster" in both else measure.cluster or None
    direction, ideal = measure.results[key].direction, measure.results[key].ideal or 0.0

    def statistic(rows: pd.DataFrame) -> float | None:
        parts = [rows[rows[SIDE] == side].drop(columns=SIDE) for side in (0, 1)]
        values = [measure.function(part)[key] if len(part) else None for part in parts]
        if values[0] is None or values[1] is None:
            return None
        if direction == "zero":
            return float(abs(values[1] - ideal) - abs(values[0] - ideal))
        return float(values[1] - values[0]) * (-1 if direction == "higher" else 1)

    found = stats.bootstrap(statistic, both, cluster, confidence=confidence)
    return replace(found, n=found.n // 2)


def _scaled(found: Estimate, scale: float) -> Estimate:
    if scale == 1 or found.value is None or found.low is None or found.high is None:
        return found if found.value is None else replace(found, value=found.value * scale)
    return replace(found, value=found.value * scale, low=found.low * scale, high=found.high * scale)


def shared(now: Stored, then: Stored) -> Iterator[str]:
    """The findings that both runs have and that have rows, in the later run's order."""
    return (name for name in now.findings if name in then.findings and name in now.tables and name in then.tables)


def names(fields: list[Field]) -> Both:
    """The fields that differ, with both values where they are short."""
    told = [say("differs", field=field, old=_short(old), new=_short(new)) for field, old, new in fields]
    return {"en": "; ".join(text["en"] for text in told), "zh": "；".join(text["zh"] for text in told)}


def _short(value: Any) -> str:
    if isinstance(value, list):
        text = ", ".join(map(_short, value))
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name} {setting}" for name, setting in value.items())
    else:
        text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
