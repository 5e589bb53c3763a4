"""One measure of one probe made ready to be repeated: four subjects' rows, and the truth of any mixture of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit import cells, execute, findings, measures
from audit.cells import Cell
from audit.models.planted import Planted
from audit.plan import Part, Planned, Spec, trials
from audit.suite import Bound, MeasureUse
from audit.types import SUBJECT, Example, Finding, Outcome, Probe, Record, Steps

VARIANTS = ((False, False), (False, True), (True, False), (True, True))  # (wrong, struck)
COPIES = 100  # of each item, where a truth has no closed form


@dataclass(frozen=True)
class Chances:
    """A subject: right on unchanged texts with chance `right`, another answer on a changed one with chance `change`.

    `apart` is the chance to be right in one group only (a gap between groups, a drop in another domain).
    """

    right: float
    change: float
    apart: float | None = None

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of the four variants, in their order."""
        r, c = self.right, self.change
        return np.array([r * (1 - c), r * c, (1 - r) * (1 - c), (1 - r) * c])


@dataclass(frozen=True)
class Bench:
    """One measure on one cell of a probe: the four variants' rows (item by item), their sums, and the limit.

    `marked` (items,) says which items belong to the group that a subject may treat apart.
    """

    entry: str
    use: MeasureUse
    base: Finding
    bands: Any
    frame: pd.DataFrame
    items: int
    marked: NDArray[np.bool_]
    sums: NDArray[np.float64] | None

    def truth(self, chances: Chances) -> float:
        """What the measure is of everything that the subject could do, each in its proportion.

        Exact for ratios of sums over rows; for other measures from copies of the items, to within their rounding.
        """
        if self.sums is None or chances.apart is not None:
            return self._of_population(chances)
        scale = measures.get(self.use.measure).results[self._key].scale
        top, bottom = chances.weights @ self.sums
        return float(scale * top / bottom)

    def _of_population(self, chances: Chances) -> float:
        right = chances.right if chances.apart is None else chances.apart
        rest, apart = _counts(chances), _counts(replace(chances, right=right))
        counts = np.where(self.marked, apart[:, None], rest[:, None])  # (variants, items)
        rows = np.repeat(np.arange(len(VARIANTS) * self.items), counts.ravel())
        frame = self.frame.iloc[rows].assign(item_id=np.arange(len(rows)), cluster=np.arange(len(rows)))
        measure = measures.get(self.use.measure)
        value = measure.run(cells.usable(frame, measure))[self._key]
        return float("nan") if value is None else float(value)

    @property
    def _key(self) -> str:
        return self.use.key or measures.get(self.use.measure).headline

    def once(self, chances: Chances, rng: np.random.Generator) -> Finding | None:
        """One repetition: the finding of one draw of the subject; None where it has no number."""
        right = chances.right if chances.apart is None else np.where(self.marked, chances.apart, chances.right)
        wrong = rng.random(self.items) >= right
        struck = rng.random(self.items) < chances.change
        rows = (2 * wrong + struck) * self.items + np.arange(self.items)
        measure = measures.get(self.use.measure)
        usable = cells.usable(self.frame.iloc[rows], measure)
        if usable.empty:
            return None
        number, _ = measures.estimate(measure, usable, self.use.key, 0.95, int(rng.integers(1 << 30)))
        return None if number.value is None else findings.judged(self.base, number, self.bands)


def _counts(chances: Chances) -> NDArray[np.int64]:
    """How many of an item's copies show each variant: largest remainders, summing to the copies."""
    exact = chances.weights * COPIES
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact)[: COPIES - counts.sum()]] += 1
    return counts


def bench(part: Part, planned: Planned, use: MeasureUse, names: Sequence[str]) -> Bench | None:
    """One measure of one planned entry made ready to be repeated; None where its truth is not known."""
    records, why = variants(part, planned, names)
    return None if why else made(part, planned, use, records)


def variants(part: Part, planned: Planned, names: Sequence[str]) -> tuple[dict[tuple[bool, bool], list[Record]], str]:
    """The records of each variant on the items that all four have an outcome for; or why there are none."""
    bound, found = planned.bound, {}
    for wrong, struck in VARIANTS:
        subject = Planted(names, wrong=wrong, struck=struck)
        asked = told(bound.probe, subject)
        every = trials(Spec((), ""), [part], {part.suite.name: [planned]})
        todo = [replace(trial, probe=asked) for trial in every if trial.params == middle(bound)]
        records = {r.example: r for r in execute.local(todo, {part.suite.name: {SUBJECT: subject}})}
        found[wrong, struck] = records
    whole = [e.id for e in planned.examples if all(r[e.id].outcome is not None for r in found.values())]
    if not whole:
        errors = [r.error or "" for r in found[VARIANTS[0]].values() if r.error]
        return {}, errors[0].strip().splitlines()[-1] if errors else "no item has an outcome"
    return {variant: [records[name] for name in whole] for variant, records in found.items()}, ""


def slow(use: MeasureUse) -> bool:
    """Whether each interval of this measure calls it hundreds of times."""
    result = measures.get(use.measure).results[use.key or measures.get(use.measure).headline]
    return result.terms is None and result.interval is None and not result.none


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


def made(
    part: Part, planned: Planned, use: MeasureUse, records: Mapping[tuple[bool, bool], list[Record]]
) -> Bench | None:
    bound = planned.bound
    measure = measures.get(use.measure)
    result = measure.results[use.key or measure.headline]
    frames = [cells.frame(records[variant]) for variant in VARIANTS]
    if any(cells.usable(frame, measure).empty for frame in frames):
        return None
    everyone = next(iter(records.values()))
    cell = Cell(
        part.suite.name, part.suite.sheet, bound.entry, middle(bound), tuple(bound.entry.over), everyone,
        len(planned.examples), None, None, any(e.label is not None for e in planned.examples),
    )  # fmt: skip
    base = cells.base(cell, use, measure)
    bands = findings.bands(cell, base, measure, use)
    stacked = pd.concat(frames, ignore_index=True)
    marked = _marked(frames[0])
    sums = _linear(measure, result, frames) if result.terms is not None else None
    return Bench(bound.entry.label, use, base, bands, stacked, len(everyone), marked, sums)


def _marked(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """The items that a subject may treat apart: the out-of-distribution ones, else those of the last group by name."""
    if "is_ood" in frame and frame["is_ood"].notna().any():
        return np.asarray(frame["is_ood"].fillna(0).astype(float) == 1)
    return np.asarray(frame["group"] == max(frame["group"]))


def _linear(measure: Any, result: Any, frames: list[pd.DataFrame]) -> NDArray[np.float64] | None:
    """Numerator and denominator of each variant (variants, 2), where the sums of all rows are the sums of these."""
    sums = [_sums(measure, result, cells.usable(frame, measure)) for frame in frames]
    apart = [frame.assign(**{c: c_ + f"/{i}" for c, c_ in _ids(frame)}) for i, frame in enumerate(frames)]
    whole = _sums(measure, result, cells.usable(pd.concat(apart, ignore_index=True), measure))
    return np.array(sums) if np.allclose(whole, np.sum(sums, axis=0)) else None


def _ids(frame: pd.DataFrame) -> list[tuple[str, Any]]:
    return [(name, frame[name].astype(str)) for name in ("item_id", "cluster", "set_id") if name in frame]


def _sums(measure: Any, result: Any, frame: pd.DataFrame) -> tuple[float, float]:
    terms = result.terms(measure.check(frame))
    bottom = float(len(terms.top)) if terms.bottom is None else float(np.sum(terms.bottom))
    return float(np.sum(terms.top)), bottom
