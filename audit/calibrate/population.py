"""The items of a probe as a population: each repetition draws other items from it, as an interval supposes.

What an interval counts as one observation (an item, a template, a set) is drawn whole and with replacement, as many
as there are, and within its kind where a measure holds kinds of fixed size against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit import measures

KINDS = ("is_ood", "set", "relation", "group", "length")  # columns of measures that hold kinds of rows apart
Whole = NDArray[np.int64]


class Drawn(NamedTuple):
    """Units of one draw and, for each, which of the drawn observations it belongs to: (drawn units,) both."""

    units: Whole
    copies: Whole


@dataclass(frozen=True)
class Population:
    """Units (an item in a cell) by observation: `members` (units,) one observation after the other.

    `starts` and `sizes` (observations,) say where each lies; `kinds` are the observations drawn among each other;
    `belief` (units,) numbers, within its observation, what a subject holds right or wrong at once, below `beliefs`.
    """

    members: Whole
    starts: Whole
    sizes: Whole
    kinds: tuple[Whole, ...]
    belief: Whole
    beliefs: int

    def draw(self, rng: np.random.Generator) -> Drawn:
        """As many observations as there are of each kind, drawn with replacement."""
        return self._of(np.concatenate([kind[rng.integers(0, len(kind), len(kind))] for kind in self.kinds]))

    def all(self, times: int) -> Drawn:
        """Every observation so many times: the population itself."""
        return self._of(np.tile(np.arange(len(self.sizes)), times))

    def _of(self, chosen: Whole) -> Drawn:
        sizes = self.sizes[chosen]
        copies = np.repeat(np.arange(len(chosen)), sizes)
        within = np.arange(len(copies)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return Drawn(self.members[self.starts[chosen][copies] + within], copies)


def population(frame: pd.DataFrame, measure: measures.Measure) -> Population:
    """The population of one variant's rows (units,), as the measure's interval sees them."""
    belief = _belief(frame, measure)
    names = _observations(frame, measure)
    if pd.Series(names).groupby(belief).nunique().max() > 1:  # what is believed at once is observed at once
        names = belief
    members = np.argsort(names, kind="stable")
    sizes = np.bincount(names)
    starts = np.cumsum(sizes) - sizes
    first = pd.Series(belief).groupby(names).transform(lambda b: pd.factorize(b)[0])
    numbers = first.to_numpy(dtype=np.int64)
    return Population(members, starts, sizes, _kinds(frame, measure, names), numbers, int(numbers.max()) + 1)


def _belief(frame: pd.DataFrame, measure: measures.Measure) -> Whole:
    """What is believed at once, in all cells: an observation, or, where a measure compares kinds of rows, an item.

    Where labels have no right answer it is a template.
    """
    if {"is_ood", "group", "subgroup"} & {*measure.columns} and "predicted" not in measure.columns:
        return np.asarray(pd.factorize(frame["item_id"])[0], dtype=np.int64)
    return _observations(frame, measure)


def _observations(frame: pd.DataFrame, measure: measures.Measure) -> Whole:
    """Which rows the measure's interval counts as one observation."""
    asked = {*measure.columns, *measure.optional}
    own = [name for name in ("cluster", "term") if name in asked] + [measure.cluster]
    name = next((name for name in own if name and name in frame and frame[name].notna().all()), "item_id")
    return np.asarray(pd.factorize(frame[name])[0], dtype=np.int64)


def _kinds(frame: pd.DataFrame, measure: measures.Measure, names: Whole) -> tuple[Whole, ...]:
    """Observations by the column whose kinds the measure compares, where none is of two kinds."""
    for column in KINDS:
        if column in measure.columns and column in frame:
            kinds = pd.Series(pd.factorize(frame[column])[0]).groupby(names)
            if kinds.nunique().max() == 1:
                of = kinds.first().to_numpy()
                return tuple(np.flatnonzero(of == kind) for kind in range(of.max() + 1))
    return (np.arange(names.max() + 1),)
