"""One measure of one probe made ready to be repeated: four subjects' rows, and the truth of any mixture of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit import cells, findings, measures
from audit.calibrate.fast import Sums, sums_of
from audit.calibrate.subjects import SHARED, VARIANTS, Asked, ask, middle
from audit.cells import Cell
from audit.plan import Part, Planned
from audit.suite import Across, Entry, MeasureUse
from audit.types import Estimate, Example, Finding, Record

COPIED = 10_000  # rows of the population that stands for the truth, where it has no closed form
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

    A unit is an item in a cell.  `marked` (units,) says which units a subject may treat apart, `belief` (units,) which
    of them share one draw of being right, `whole` whether they share the draw of a change too.  `tilt` (units,) is how
    much likelier than on average the subject is to be right: its stated confidence, so that it is calibrated at RIGHT.
    """

    entry: str
    use: MeasureUse
    base: Finding
    bands: Any
    frame: pd.DataFrame
    items: int
    marked: NDArray[np.bool_]
    belief: NDArray[np.int64]
    whole: bool
    tilt: Floats
    sums: Sums | None
    _truths: dict[Chances, float] = field(default_factory=dict, compare=False)

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

    def truth(self, chances: Chances) -> float:
        """What the measure is of everything that the subject could do, each in its proportion.

        Exact for ratios of sums over rows; for other measures of many copies of the items, drawn.
        """
        if chances not in self._truths:
            self._truths[chances] = self._exact(chances) if self.sums else self._of_population(chances)
        return self._truths[chances]

    def _exact(self, chances: Chances) -> float:
        right, change = self.right(chances), chances.change
        weights = np.stack([right * (1 - change), right * change, (1 - right) * (1 - change), (1 - right) * change])
        assert self.sums is not None
        return self.sums.ratio(weights)

    def _of_population(self, chances: Chances) -> float:
        rng, copies = np.random.default_rng(7), int(np.clip(COPIED // self.items, 10, 400))
        rows = [self.draw(chances, rng) for _ in range(copies)]
        frame = self.frame.iloc[np.concatenate(rows)].reset_index(drop=True)
        copy = np.repeat(np.arange(copies), self.items).astype(str)
        for name in (name for name in NAMES if name in frame):
            frame[name] = frame[name].astype(str) + "/" + copy
        value = self.measure.run(cells.usable(frame, self.measure))[self.key]
        return float("nan") if value is None else float(value)

    def draw(self, chances: Chances, rng: np.random.Generator) -> NDArray[np.int64]:
        """The rows of one draw of a subject, unit by unit: (units,)."""
        groups = int(self.belief.max()) + 1
        wrong = rng.random(groups)[self.belief] >= self.right(chances)
        struck = (rng.random(groups)[self.belief] if self.whole else rng.random(self.items)) < chances.change
        return (2 * wrong + struck) * self.items + np.arange(self.items)

    def estimate(self, rows: NDArray[np.int64], seed: int = 0) -> Estimate:
        """The number with its interval of one draw: by the run's own intervals, on sums where the measure has them."""
        if self.sums is not None:
            return self.sums.estimate(rows)
        return self.slowly(rows, seed)

    def slowly(self, rows: NDArray[np.int64], seed: int = 0) -> Estimate:
        """`estimate` as a real run makes it: from the records' table."""
        usable = cells.usable(self.frame.iloc[rows], self.measure)
        if usable.empty:
            return Estimate(None)
        return measures.estimate(self.measure, usable, self.use.key, 0.95, seed)[0]

    def once(self, chances: Chances, rng: np.random.Generator) -> Finding | None:
        """One repetition: the finding of one draw of the subject; None where it has no number."""
        number = self.estimate(self.draw(chances, rng), int(rng.integers(1 << 30)))
        return None if number.value is None else findings.judged(self.base, number, self.bands)

    @cached_property
    def signature(self) -> str:
        """Equal for benches whose figures are equal: the same numbers in the same places, under the same limit."""
        limit = self.bands.model_dump_json() if self.bands else ""
        key = [self.use.measure, self.key, self.base.unit, self.base.direction, limit, self.whole]
        digest = hashlib.sha256(repr(key).encode())
        for part in (self.marked, self.belief, self.tilt.round(9)):
            digest.update(part.tobytes())
        if self.sums is not None:
            digest.update(self.sums.content)
        else:
            digest.update(_content(self.frame, self.measure))
        return digest.hexdigest()[:16]


def _content(frame: pd.DataFrame, measure: measures.Measure) -> bytes:
    """The columns that a measure reads; names of observations by number only."""
    used = frame[[name for name in (*measure.columns, *measure.optional) if name in frame]]
    numbered = used.assign(**{name: pd.factorize(used[name])[0] for name in NAMES if name in used})
    return numbered.to_json(orient="values", double_precision=12).encode()


def bench(part: Part, planned: Planned, use: MeasureUse, names: Sequence[str]) -> Bench | None:
    """One measure of one planned entry made ready to be repeated; None where there is nothing to measure."""
    bound = planned.bound
    asked = ask(part, planned, names, bound.cells if use.across else [middle(bound)])
    return None if asked.why else made(part, bound.entry, use, {bound.entry.label: asked})


def made(part: Part, entry: Entry | Across, use: MeasureUse, asked: Mapping[str, Asked]) -> Bench | None:
    """A measure of an entry, or over several; `asked` has the records of each."""
    measure = measures.get(use.measure)
    records = {v: [r for one in asked.values() for r in one.records[v]] for v in VARIANTS}
    frames = [cells.frame(records[variant]) for variant in VARIANTS]
    if any(cells.usable(frame, measure).empty for frame in frames):
        return None
    examples = [e for one in asked.values() for e in one.examples]
    cell = _cell(part, entry, use, next(iter(asked.values())), examples, records[VARIANTS[0]])
    base = cells.base(cell, use, measure)
    stacked = pd.concat(frames, ignore_index=True)
    found = Bench(
        cell.name, use, base, findings.bands(cell, base, measure, use), stacked, len(frames[0]),
        _marked(frames[0], measure), _belief(frames[0], measure), SHARED in stacked, _tilt(frames[0], measure), None,
    )  # fmt: skip
    return replace(found, sums=sums_of(found, frames))


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


def _belief(frame: pd.DataFrame, measure: measures.Measure) -> NDArray[np.int64]:
    """An item is believed in once, in all cells; where labels have no right answer, a template is."""
    name = "cluster" if "predicted" in measure.columns else "item_id"
    return np.asarray(pd.factorize(frame[name])[0], dtype=np.int64)


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
