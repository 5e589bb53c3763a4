"""How good a suite's probes are as instruments: run on subjects whose defect is planted and exactly known.

Every probe meets four subjects (answering unchanged texts rightly or wrongly; keeping or changing the answer where the
text is changed) through the same scheduler, tables, measures and intervals as in a real run.  A subject that is right
with chance `a` and changes its answer with chance `e`, item by item, then gives in each repetition a mixture of those
records: what it was asked is the same, and equal requests have equal answers.  Its truth follows exactly, since the
expectation of a sum over rows is linear in both chances.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit import cells, execute, findings, measures
from audit.cells import Cell
from audit.manifest import probe_hash
from audit.models.planted import Planted
from audit.numbers import value_text
from audit.plan import Part, Planned, Spec, aligned, plan, prepare, trials
from audit.say import say
from audit.suite import Bound, MeasureUse
from audit.types import SUBJECT, Example, Finding, Outcome, Probe, Record, Steps

VARIANTS = ((False, False), (False, True), (True, False), (True, True))  # (wrong, struck)
RIGHT = 0.9  # how often a subject is right on unchanged texts, where the sweep does not vary that
GRID = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
POWER = 0.8
NULL = 0.1  # how often answers change, without harm, in a subject that has no defect


@dataclass(frozen=True)
class Chances:
    """A subject: right on unchanged texts with chance `right`, another answer on a changed one with chance `change`."""

    right: float
    change: float

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of the four variants, in their order."""
        r, c = self.right, self.change
        return np.array([r * (1 - c), r * c, (1 - r) * (1 - c), (1 - r) * c])


@dataclass(frozen=True)
class Bench:
    """One measure on one cell of a probe: the four variants' rows (item by item), their sums, and the limit."""

    entry: str
    use: MeasureUse
    base: Finding
    bands: Any
    frame: pd.DataFrame
    items: int
    tops: NDArray[np.float64]
    bottoms: NDArray[np.float64]

    def truth(self, chances: Chances) -> float:
        """What the measure would be over infinitely many repetitions."""
        scale = measures.get(self.use.measure).results[self._key].scale
        return float(scale * (chances.weights @ self.tops) / (chances.weights @ self.bottoms))

    @property
    def _key(self) -> str:
        return self.use.key or measures.get(self.use.measure).headline

    def once(self, chances: Chances, rng: np.random.Generator) -> Finding | None:
        """One repetition: the finding of one draw of the subject; None where it has no number."""
        wrong = rng.random(self.items) >= chances.right
        struck = rng.random(self.items) < chances.change
        rows = (2 * wrong + struck) * self.items + np.arange(self.items)
        measure = measures.get(self.use.measure)
        usable = cells.usable(self.frame.iloc[rows], measure)
        if usable.empty:
            return None
        number, _ = measures.estimate(measure, usable, self.use.key, 0.95, int(rng.integers(1 << 30)))
        return None if number.value is None else findings.judged(self.base, number, self.bands)


def calibrate(
    reference: str, repetitions: int = 100, only: Sequence[str] = (), seed: int = 0
) -> Iterator[dict[str, Any]]:
    """One row for each probe and measure of a suite: bias, coverage, false alarms, power, smallest effect, or why none.

    `repetitions` are of each subject of a sweep of about eight.  UsageError for a suite that is not as it must be.
    """
    [part] = prepare(Spec((reference,), "planted"))
    names = sorted({e.label for block in part.blocks for e in block.examples if e.label is not None})
    subject = Planted(names)
    part = Part(part.suite, part.bound, aligned(part, subject))
    for bound in part.bound:
        if only and bound.entry.label not in only:
            continue
        yield from _rows(part, plan(bound, part, {SUBJECT: subject}), subject, repetitions, seed)


def _rows(part: Part, planned: Planned, subject: Planted, repetitions: int, seed: int) -> Iterator[dict[str, Any]]:
    bound = planned.bound
    uses = bound.entry.measures or part.suite.sheet.measures or (MeasureUse(measure="failure_rate"),)
    named = [(use, {"probe": bound.entry.label, "measure": use.key or use.measure}) for use in uses]
    records, why = ({}, planned.reason["en"]) if planned.reason else variants(part, planned, subject.names)
    for use, about in named:
        if use.across:
            yield {**about, "reason": "measured over all settings at once: not calibrated"}
            continue
        found = None if why else _bench(part, planned, use, records)
        if found is None:
            yield {**about, "reason": why or "no sum over rows whose truth is known"}
        else:
            yield {**about, "hash": probe_hash(bound.probe), **_row(found, repetitions, seed)}


def bench(part: Part, planned: Planned, use: MeasureUse, names: Sequence[str]) -> Bench | None:
    """One measure of one planned entry made ready to be repeated; None where its truth is not known."""
    records, why = variants(part, planned, names)
    return None if why else _bench(part, planned, use, records)


def variants(part: Part, planned: Planned, names: Sequence[str]) -> tuple[dict[tuple[bool, bool], list[Record]], str]:
    """The records of each variant on the items that all four have an outcome for; or why there are none."""
    bound, found = planned.bound, {}
    for wrong, struck in VARIANTS:
        subject = Planted(names, wrong=wrong, struck=struck)
        asked = told(bound.probe, subject)
        every = trials(Spec((), ""), [part], {part.suite.name: [planned]})
        todo = [replace(trial, probe=asked) for trial in every if trial.params == middle(bound)]
        records = {r.example: r for r in execute.local(todo, {SUBJECT: subject})}
        found[wrong, struck] = records
    whole = [e.id for e in planned.examples if all(r[e.id].outcome is not None for r in found.values())]
    if not whole:
        errors = [r.error or "" for r in found[VARIANTS[0]].values() if r.error]
        return {}, errors[0].strip().splitlines()[-1] if errors else "no item has an outcome"
    return {variant: [records[name] for name in whole] for variant, records in found.items()}, ""


def middle(bound: Bound) -> Any:
    """The settings in the middle of a sweep: a planted defect is the same at all of them."""
    return bound.cells[len(bound.cells) // 2]


def told(probe: Probe, subject: Planted) -> Probe:
    """The same probe, which tells the subject of which example each request is."""

    @functools.wraps(probe.run)
    def run(example: Example, rng: Any, **settings: Any) -> Steps:
        steps = probe.run(example, rng, **settings)
        try:
            requests = next(steps)
            while True:
                subject.learn(requests, example)
                try:
                    answers = yield requests
                except GeneratorExit:
                    raise
                except Exception as error:
                    requests = steps.throw(error)
                else:
                    requests = steps.send(answers)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        finally:
            steps.close()

    return Probe(probe.name, probe.needs, run, probe.doc, probe.ready)


def _bench(
    part: Part, planned: Planned, use: MeasureUse, records: Mapping[tuple[bool, bool], list[Record]]
) -> Bench | None:
    bound = planned.bound
    measure = measures.get(use.measure)
    result = measure.results[use.key or measure.headline]
    if result.terms is None:
        return None
    frames = [cells.frame(records[variant]) for variant in VARIANTS]
    if any(cells.usable(frame, measure).empty for frame in frames):
        return None
    sums = [_sums(measure, result, cells.usable(frame, measure)) for frame in frames]
    apart = [frame.assign(**{c: c_ + f"/{i}" for c, c_ in _ids(frame)}) for i, frame in enumerate(frames)]
    whole = _sums(measure, result, cells.usable(pd.concat(apart, ignore_index=True), measure))
    if not np.allclose(whole, np.sum(sums, axis=0)):
        return None
    everyone = next(iter(records.values()))
    cell = Cell(
        part.suite.name, part.suite.sheet, bound.entry, middle(bound), tuple(bound.entry.over), everyone,
        len(planned.examples), None, None, any(e.label is not None for e in planned.examples),
    )  # fmt: skip
    base = cells.base(cell, use, measure)
    bands = findings.bands(cell, base, measure, use)
    stacked = pd.concat(frames, ignore_index=True)
    tops, bottoms = np.array(sums).T
    return Bench(bound.entry.label, use, base, bands, stacked, len(everyone), tops, bottoms)


def _ids(frame: pd.DataFrame) -> list[tuple[str, Any]]:
    return [(name, frame[name].astype(str)) for name in ("item_id", "cluster", "set_id") if name in frame]


def _sums(measure: Any, result: Any, frame: pd.DataFrame) -> tuple[float, float]:
    terms = result.terms(measure.check(frame))
    bottom = float(len(terms.top)) if terms.bottom is None else float(np.sum(terms.bottom))
    return float(np.sum(terms.top)), bottom


def sweep(bench: Bench) -> tuple[Chances | None, list[Chances]]:
    """A subject whose truth lies exactly on the limit (None where there is none), and ever worse ones."""
    limit = bench.bands.low if bench.bands else None
    moves = abs(bench.truth(Chances(RIGHT, 0.5)) - bench.truth(Chances(RIGHT, 0.0))) > 1e-9
    edge = None if limit is None else _solve(bench, limit)
    if moves:
        return edge, [Chances(RIGHT, change) for change in GRID]
    start = edge.right if edge else RIGHT
    return edge, [Chances(max(0.0, start - step), 0.0) for step in GRID]


def _solve(bench: Bench, limit: float) -> Chances | None:
    """The chances at which the truth is the limit: how often it is right, at some harmless change; else the change."""

    def root(of: Any) -> float | None:
        low, high = of(0.0) - limit, of(1.0) - limit
        if abs(high - low) < 1e-12 or low * high > 0:
            return None
        a, b = 0.0, 1.0
        for _ in range(60):
            middle = (a + b) / 2
            a, b = (middle, b) if (of(middle) - limit) * low > 0 else (a, middle)
        return (a + b) / 2

    right = root(lambda r: bench.truth(Chances(r, NULL)))
    if right is not None:
        return Chances(right, NULL)
    change = root(lambda c: bench.truth(Chances(RIGHT, c)))
    return None if change is None else Chances(RIGHT, change)


def _row(bench: Bench, repetitions: int, seed: int) -> dict[str, Any]:
    """The operating characteristics of one measure on one probe."""
    key = hashlib.sha256(f"{seed}/{bench.base.id}".encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(key, "big"))
    edge, subjects = sweep(bench)
    covered, count, sizes = 0, 0, [0]
    biases: list[float] = []
    power: list[tuple[float, float]] = []
    for chances in [*([edge] if edge else []), *subjects]:
        drawn = [bench.once(chances, rng) for _ in range(repetitions)]
        seen = [f for f in drawn if f is not None and None not in (f.value, f.low, f.high)]
        truth, confirmed = bench.truth(chances), sum(f.verdict == "confirmed" for f in seen)
        if not seen:
            continue
        table = np.array([(f.low, f.value, f.high, f.n) for f in seen], dtype=float)
        covered += int(((table[:, 0] <= truth + 1e-12) & (truth <= table[:, 2] + 1e-12)).sum())
        biases += list(table[:, 1] - truth)
        count, sizes = count + len(seen), [*sizes, int(table[:, 3].max())]
        power.append((truth, confirmed / len(seen)))
    alarm = power.pop(0)[1] if edge and power else None
    smallest = _smallest(power)
    row = {
        "unit": bench.base.unit, "direction": bench.base.direction, "n": max(sizes), "repetitions": count,
        "limit": bench.bands.low if bench.bands else None, "bias": _round(np.mean(biases) if biases else None),
        "coverage": _round(covered / count if count else None), "false_alarm": _round(alarm),
        "power": [[_round(truth), _round(share)] for truth, share in power], "smallest": _round(smallest),
    }  # fmt: skip
    return {**row, "says": says(row)}


def _smallest(power: Sequence[tuple[float, float]]) -> float | None:
    """The truth from which on the defect is confirmed four times in five, between two subjects by interpolation."""
    last: tuple[float | None, float] = (None, 0.0)
    for truth, share in power:
        if share >= POWER:
            before, low = last
            return truth if before is None else before + (truth - before) * (POWER - low) / (share - low)
        last = (truth, share)
    return None


def says(row: Mapping[str, Any]) -> dict[str, str]:
    """What a report quotes beside a finding."""
    if row["limit"] is None:
        return {}
    n = f"{row['n']:,}"
    if row["smallest"] is None:
        return say("power_none", n=n)
    text = value_text(row["smallest"], row["unit"], 1 if row["unit"] != "score" else 2).removeprefix("+")
    smallest = {"en": text, "zh": text.replace(" pp", " 个百分点")}
    return say("power_less" if row["direction"] == "higher" else "power_more", n=n, smallest=smallest)


def _round(value: Any) -> float | None:
    return None if value is None else float(f"{float(value):.4g}")
