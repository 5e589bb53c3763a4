"""One measure of one probe made ready to be repeated: four subjects' rows, and the truth of any mixture of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit import cells, findings, measures
from audit.calibrate.fast import Sums, sums_of
from audit.calibrate.population import Drawn, Population, population
from audit.calibrate.subjects import SHARED, VARIANTS, Asked, ask, middle
from audit.cells import Cell
from audit.plan import Part, Planned
from audit.suite import Across, Entry, MeasureUse
from audit.types import Estimate, Example, Finding, Record

COPIED = 200_000  # rows drawn to stand for the whole population, where its truth has no closed form
ROUGH = 20_000  # rows where only the direction of an effect is asked for
NAMES = ("item_id", "cluster", "set_id", "term", "subject", SHARED)  # columns that say which rows are one observation
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Chances:
    """A subject: right on unchanged texts with chance `right`, another answer on a changed one with chance `change`.

    `apart` is the chance to be right in one part only: a group, another domain, the middle of a text, long texts.
    """

    right: float
    change: float
    apart: float | None = None


@dataclass(frozen=True)
class Bench:
    """One measure on one cell of a probe, or over several cells: the four variants' rows, unit by unit, and the limit.

    `frame` holds the rows that have a value, checked; `places` (4 units,) where each row lies in it, or -1.
    A unit is an item in a cell; `population` says which units are drawn together and which share one draw of being
    right, `whole` whether these share the draw of a change too.  `marked` (units,) says which units a subject may treat
    apart.  `tilt` (units,) is how much likelier than on average the subject is to be right: its stated confidence, so
    that it is calibrated at RIGHT.
    """

    entry: str
    use: MeasureUse
    base: Finding
    bands: Any
    frame: pd.DataFrame
    places: NDArray[np.int64]
    items: int
    marked: NDArray[np.bool_]
    population: Population
    whole: bool
    tilt: Floats
    sums: Sums | None
    _truths: dict[tuple[Chances, int], float] = field(default_factory=dict, compare=False)

    @property
    def measure(self) -> measures.Measure:
        return measures.get(self.use.measure)

    @property
    def key(self) -> str:
        return self.use.key or self.measure.headline

    def right(self, chances: Chances) -> Floats:
        """The chance that each unit is right when unchanged: (units,)."""
        apart = chances.right if chances.apart is None else chances.apart
        return np.clip(np.where(self.marked, apart, chances.right) + self.tilt, 0.0, 1.0)

    def truth(self, chances: Chances, rows: int = COPIED) -> float:
        """What the measure is of everything that the subject could do with every item, each in its proportion.

        Exact for ratios of sums over rows; for other measures of so many drawn rows.
        """
        at = chances, 0 if self.sums else rows
        if at not in self._truths:
            self._truths[at] = self._exact(chances) if self.sums else self._of_population(chances, rows)
        return self._truths[at]

    def _exact(self, chances: Chances) -> float:
        right, change = self.right(chances), chances.change
        weights = np.stack([right * (1 - change), right * change, (1 - right) * (1 - change), (1 - right) * change])
        assert self.sums is not None
        return self.sums.ratio(weights)

    def _of_population(self, chances: Chances, rows: int) -> float:
        drawn, rng = self.population.all(-(-rows // self.items)), np.random.default_rng(7)
        value = self.measure.value(self.table(self._answered(drawn, chances, lambda n: _even(rng, n))), self.key)
        return float("nan") if value is None else float(value)

    def draw(self, chances: Chances, rng: np.random.Generator) -> Drawn:
        """Rows of the four variants: items drawn from the population, with what one subject makes of each."""
        return self._answered(self.population.draw(rng), chances, rng.random)

    def _answered(self, drawn: Drawn, chances: Chances, uniform: Callable[[int], Floats]) -> Drawn:
        units, copies = drawn
        held = copies * self.population.beliefs + self.population.belief[units]
        groups = (int(copies.max()) + 1) * self.population.beliefs
        wrong = uniform(groups)[held] >= self.right(chances)[units]
        struck = (uniform(groups)[held] if self.whole else uniform(len(units))) < chances.change
        return Drawn((2 * wrong + struck) * self.items + units, copies)

    def table(self, drawn: Drawn) -> pd.DataFrame:
        """The drawn rows that have a value, checked; an observation that was drawn twice goes by two names."""
        places = self.places[drawn.units]
        there = places >= 0
        frame = self.frame.take(places[there]).reset_index(drop=True)
        for name in (name for name in NAMES if name in frame):
            frame[name] = frame[name].to_numpy() + drawn.copies[there] * len(self.places)
        return frame

    def estimate(self, drawn: Drawn, seed: int = 0) -> Estimate:
        """The number with its interval of one draw: by the run's own intervals, on sums where the measure has them."""
        if self.sums is not None:
            return self.sums.estimate(drawn)
        table = self.table(drawn)
        if table.empty:
            return Estimate(None)
        if self.alone:
            return measures.interval(self.measure, table, self.key, 0.95, seed)
        return measures.estimate(self.measure, table, self.key, 0.95, seed)[0]

    def slowly(self, drawn: Drawn, seed: int = 0) -> Estimate:
        """`estimate` as a real run makes it: everything from a table that is checked again."""
        table = self.table(drawn)
        return Estimate(None) if table.empty else measures.estimate(self.measure, table, self.key, 0.95, seed)[0]

    @property
    def alone(self) -> bool:
        """Whether the result can be had without the measure's other results."""
        result = self.measure.results[self.key]
        return result.alone is not None or result.terms is not None

    def once(self, chances: Chances, rng: np.random.Generator) -> Finding | None:
        """One repetition: the finding of one draw of the subject; None where it has no number."""
        number = self.estimate(self.draw(chances, rng))
        return (
            None
            if number.value is None or number.value != number.value
            else findings.judged(self.base, number, self.bands)
        )

    @cached_property
    def signature(self) -> str:
        """Equal for benches whose figures are equal: the same numbers in the same places, under the same limit."""
        limit = self.bands.model_dump_json() if self.bands else ""
        key = [self.use.measure, self.key, self.base.unit, self.base.direction, limit, self.whole]
        digest = hashlib.sha256(repr(key).encode())
        drawn = self.population
        for part in (self.marked, drawn.members, drawn.sizes, *drawn.kinds, drawn.belief, self.tilt.round(9)):
            digest.update(part.tobytes())
        if self.sums is not None:
            digest.update(self.sums.content)
        else:
            digest.update(self.frame.to_json(orient="values", double_precision=12).encode())
        return digest.hexdigest()[:16]


def _even(rng: np.random.Generator, count: int) -> Floats:
    """Numbers from 0 to 1 in random order, one in each of `count` equal steps: shares of them are exact."""
    numbers: Floats = (rng.permutation(count) + rng.random(count)) / count
    return numbers


def bench(part: Part, planned: Planned, use: MeasureUse, names: Sequence[str]) -> Bench | None:
    """One measure of one planned entry made ready to be repeated; None where there is nothing to measure."""
    bound = planned.bound
    asked = ask(part, planned, names, bound.cells if use.across else [middle(bound)])
    return None if asked.why else made(part, bound.entry, use, {bound.entry.label: asked})


def made(part: Part, entry: Entry | Across, use: MeasureUse, asked: Mapping[str, Asked]) -> Bench | None:
    """A measure of an entry, or over several; `asked` has the records of each."""
    measure = measures.get(use.measure)
    records = {v: [r for one in asked.values() for r in one.records[v]] for v in VARIANTS}
    frames = _measured([cells.frame(records[variant]) for variant in VARIANTS], measure)
    if any(cells.usable(frame, measure).empty for frame in frames):
        return None
    examples = [e for one in asked.values() for e in one.examples]
    cell = _cell(part, entry, use, next(iter(asked.values())), examples, records[VARIANTS[0]])
    base = cells.base(cell, use, measure)
    frame, places = _checked(frames, measure)
    found = Bench(
        cell.name, use, base, findings.bands(cell, base, measure, use), frame, places, len(frames[0]),
        _marked(frames[0], measure), population(frames[0], measure), SHARED in frames[0], _tilt(frames[0], measure),
        None,
    )  # fmt: skip
    return replace(found, sums=sums_of(found, frames))


def _measured(frames: list[pd.DataFrame], measure: measures.Measure) -> list[pd.DataFrame]:
    """Without the units that no subject has a value of: a run leaves these out and counts them."""
    kept = frames[0].index[:0]
    for frame in frames:
        kept = kept.union(cells.usable(frame, measure).index)
    return [frame.loc[kept].reset_index(drop=True) for frame in frames]


def _checked(frames: list[pd.DataFrame], measure: measures.Measure) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """What a measure reads of all variants' rows, one after the other, names by number; and each row's place."""
    stacked = pd.concat(frames, ignore_index=True)
    usable = cells.usable(stacked, measure)
    places = np.full(len(stacked), -1)
    places[usable.index.to_numpy()] = np.arange(len(usable))
    checked = measure.check(usable)
    return checked.assign(**{name: pd.factorize(checked[name])[0] for name in NAMES if name in checked}), places


def _cell(
    part: Part, entry: Entry | Across, use: MeasureUse, asked: Asked, examples: list[Example], records: list[Record]
) -> Cell:
    """What a run would call it: its id, its settings."""
    single = isinstance(entry, Entry) and not use.across
    params = asked.cells[0] if single else tuple(sorted(entry.settings.items())) if isinstance(entry, Entry) else ()
    swept = tuple(entry.over) if single and isinstance(entry, Entry) else ()
    labelled = any(e.label is not None for e in examples)
    return Cell(
        part.suite.name, part.suite.sheet, entry, params, swept, records, len(records), None, None, labelled
    )  # fmt: skip


def _tilt(frame: pd.DataFrame, measure: measures.Measure) -> Floats:
    if "confidence" not in measure.columns or "correct" not in measure.columns:
        return np.zeros(len(frame))
    sure = frame["confidence"].to_numpy(dtype=float)
    return np.asarray(sure - sure.mean())


def _marked(frame: pd.DataFrame, measure: measures.Measure) -> NDArray[np.bool_]:
    """The units that a subject may treat apart: by kind, or place in a text, or length, else the last group by name."""
    for name in ("is_ood", "subgroup"):
        if name in measure.columns and frame[name].notna().any():
            return np.asarray(frame[name].fillna(0).astype(float) == 1)
    if "length" in measure.columns:
        lengths = frame["length"].to_numpy(dtype=float)
        return np.asarray(lengths > np.median(np.unique(lengths)))
    for name in ("position", "depth"):
        if name in frame and SHARED not in frame:
            return np.asarray(frame[name].between(0.25, 0.75))
    return np.asarray(frame["group"] == max(frame["group"]))
