"""Ratios of sums over rows, drawn without tables: the very intervals of a run, from sums made once.

Knows the benches by their shape only.  A bench has such sums where they give what a run's own way gives, to within the
rounding of sums, on draws made to try it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit import cells
from audit.measures import Terms
from audit.types import Estimate

if TYPE_CHECKING:
    from audit.calibrate.bench import Bench
    from audit.calibrate.population import Drawn

TRIED = 6
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Numerators, denominators and clusters of every row of the four variants: (4 units,) each, or no clusters."""

    top: Floats
    bottom: Floats
    clusters: NDArray[np.int64] | None
    paired: bool
    bounded: bool
    scale: float

    def ratio(self, weights: Floats) -> float:
        """The result of all rows, each as often as its weight: (4, units)."""
        bottom = float((weights.ravel() * self.bottom).sum())
        return self.scale * float((weights.ravel() * self.top).sum()) / bottom if bottom else float("nan")

    def estimate(self, drawn: Drawn) -> Estimate:
        """The estimate of some rows, as a measure makes it of their table."""
        top, bottom = self.top[drawn.units], self.bottom[drawn.units]
        if not bottom.any():
            return Estimate(None)
        names = None if self.clusters is None else self.clusters[drawn.units] + drawn.copies * len(self.top)
        found = Terms(top, bottom, names, self.paired, self.bounded).estimate(0.95)
        if self.scale == 1 or found.value is None:
            return found
        bounds = [None if b is None else b * self.scale for b in (found.low, found.high)]
        return replace(found, value=found.value * self.scale, low=bounds[0], high=bounds[1])

    @property
    def content(self) -> bytes:
        """What the figures depend on."""
        names = b"" if self.clusters is None else self.clusters.tobytes()
        return self.top.tobytes() + self.bottom.tobytes() + names


def sums_of(bench: Bench, frames: list[pd.DataFrame]) -> Sums | None:
    """The sums of a bench; None where its measure is no ratio of sums over rows that stand for themselves."""
    result = bench.measure.results[bench.key]
    if result.terms is None or result.interval is not None or result.none:
        return None
    columns = [_columns(bench, result.terms, frame) for frame in frames]
    if any(column is None for column in columns):
        return None
    tops, bottoms, names, paired, bounded = zip(*(column for column in columns if column is not None), strict=True)
    alone = names[0] is None or len(set(names[0])) == bench.items  # then a row is its own cluster in any draw
    clusters = None if alone else np.asarray(pd.factorize(np.concatenate(names))[0], dtype=np.int64)
    found = Sums(np.concatenate(tops), np.concatenate(bottoms), clusters, paired[0], bounded[0], result.scale)
    return found if _same(bench, found) else None


def _columns(bench: Bench, terms: Any, frame: pd.DataFrame) -> tuple[Floats, Floats, Any, bool, bool] | None:
    """Numerators, denominators and clusters of one variant's rows; zeros where a row is not measured."""
    usable = cells.usable(frame, bench.measure)
    made = terms(bench.measure.check(usable))
    if len(made.top) != len(usable):
        return None
    top, bottom = np.zeros(len(frame)), np.zeros(len(frame))
    at = usable.index.to_numpy()
    top[at] = np.asarray(made.top, dtype=float)
    bottom[at] = 1.0 if made.bottom is None else np.asarray(made.bottom, dtype=float)
    names = None
    if made.clusters is not None:
        names = np.array([f"row {n}" for n in range(len(frame))], dtype=object)
        names[at] = np.asarray(made.clusters, dtype=object)
    return top, bottom, names, made.paired, made.bounded


def _same(bench: Bench, sums: Sums) -> bool:
    """Whether the sums give what a run's own way gives, on some draws."""
    rng = np.random.default_rng(3)
    for _ in range(TRIED):
        drawn = bench.population.draw(rng)
        drawn = drawn._replace(units=drawn.units + rng.integers(0, 4, len(drawn.units)) * bench.items)
        fast, slow = sums.estimate(drawn), bench.slowly(drawn)
        if (fast.n, fast.method) != (slow.n, slow.method) or not all(map(_equal, _numbers(fast), _numbers(slow))):
            return False
    return True


def _numbers(found: Estimate) -> tuple[float | None, ...]:
    return found.value, found.low, found.high


def _equal(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= 1e-9 * max(1.0, abs(other))
