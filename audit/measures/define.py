"""What a measure is: a pure function on a checked frame, its columns, its result keys and its card."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from audit import stats
from audit.measures.columns import Column, checked
from audit.types import Direction, Estimate

Unit = Literal["proportion", "percent", "points", "score", "count"]
Rows = Callable[[pd.DataFrame], pd.DataFrame]
Interval = Callable[[pd.DataFrame, float, int], Estimate]


@dataclass(frozen=True)
class Terms:
    """A result as a ratio of sums over rows: `top` and `bottom` (default ones), both (rows,), and their clusters.

    Where top is 0/1 and bottom 0/1 the ratio is a proportion of the rows with bottom 1.  `paired`: top is the
    difference of two 0/1 columns, or of two shares.  `bounded`: top is a share from 0 to 1 of its own in each row; its
    mean gets the interval of a proportion, for the rows that its variance is worth, which never leaves that range.
    """

    top: Any
    bottom: Any = None
    clusters: Any = None
    paired: bool = False
    bounded: bool = False

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """A proportion's, a paired difference's or a ratio's estimate, cluster-robust where rows share clusters."""
        top = np.asarray(self.top, dtype=float)
        bottom = np.ones_like(top) if self.bottom is None else np.asarray(self.bottom, dtype=float)
        sums = stats.by_cluster(top, bottom, self.clusters)
        if self.paired:
            return stats.difference_of(sums, float(np.abs(top).sum()), confidence)
        share = self.bounded or bool(
            np.isin(top, (0, 1)).all() and np.isin(bottom, (0, 1)).all() and (top <= bottom).all()
        )
        return stats.proportion_of(sums, confidence) if share else stats.ratio(sums, confidence)


@dataclass(frozen=True)
class Result:
    """One result key: which way is better, what would be ideal, its unit, and where its interval comes from.

    `direction` zero: best at `ideal`, worse on either side.  `terms` gets the checked frame; its ratio times `scale` is
    the result, `undefined` the reason where there is nothing to divide by.  `interval` is for results that are no ratio
    of sums: (checked frame, confidence, seed) to an estimate.  `none` says why no interval is given.  `alone` is the
    result without the others, of a checked frame, where these cost more.
    """

    direction: Direction = "none"
    ideal: float | None = None
    unit: Unit = "proportion"
    terms: Callable[[pd.DataFrame], Terms] | None = field(default=None, compare=False)
    scale: float = 1.0
    undefined: str = "no rows to divide by"
    none: str = ""
    interval: Interval | None = field(default=None, compare=False)
    alone: Callable[[pd.DataFrame], float | None] | None = field(default=None, compare=False)


def solve(frame: pd.DataFrame, results: Mapping[str, Result]) -> dict[str, Any]:
    """Every result that has terms, as its ratio of sums; None, with a reason, where there is nothing to divide by."""
    values: dict[str, Any] = {}
    for key, result in results.items():
        if result.terms is not None:
            terms = result.terms(frame)
            top = np.asarray(terms.top, dtype=float)
            bottom = float(len(top)) if terms.bottom is None else float(np.sum(terms.bottom))
            values[key] = result.scale * float(top.sum()) / bottom if bottom else None
    return explained(values, {key: results[key].undefined for key in values})


def explained(values: dict[str, Any], why: Mapping[str, str]) -> dict[str, Any]:
    """The values, plus `reasons` for those that are None."""
    reasons = {key: why.get(key, "undefined") for key, value in values.items() if value is None}
    return values | ({"reasons": reasons} if reasons else {})


@dataclass(frozen=True)
class Measure:
    """A published scoring rule.  `run` checks a frame and scores it; `card` is the docstring, `card_hash` its hash.

    `cluster` is the column whose values are one observation each when a bootstrap has to draw; `by` the columns whose
    slices belong to the result; `rows` gives a verdict for each row, where the measure has one; `options` its keyword
    settings with their defaults.
    """

    name: str
    function: Callable[..., dict[str, Any]]
    columns: Mapping[str, Column]
    optional: Mapping[str, Column]
    results: Mapping[str, Result]
    headline: str
    card: str
    card_hash: str
    cluster: str = ""
    by: tuple[str, ...] = ()
    rows: Rows | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame's columns that this measure uses, cleaned.  UsageError for a missing column or a bad value."""
        return checked(frame, self.columns, self.optional)

    def run(self, frame: pd.DataFrame, **options: Any) -> dict[str, Any]:
        """Score a frame whose rows are what the card says; extra columns are ignored.  UsageError as `check`."""
        return self.function(self.check(frame), **options)

    def value(self, clean: pd.DataFrame, key: str) -> float | None:
        """One result of a checked frame, without an interval and, where it can be had, without the other results."""
        result = self.results[key]
        if result.alone is not None:
            return result.alone(clean)
        if result.terms is not None:
            return solve(clean, {key: result})[key]  # type: ignore[no-any-return]
        return self.function(clean)[key]  # type: ignore[no-any-return]

    @property
    def summary(self) -> str:
        """The card's first sentence."""
        return self.card.split("\n\n")[0].replace("\n", " ")


def measure(
    *,
    columns: Mapping[str, Column],
    results: Mapping[str, Result],
    optional: Mapping[str, Column] | None = None,
    cluster: str = "",
    by: tuple[str, ...] = (),
    rows: Rows | None = None,
) -> Callable[[Callable[..., dict[str, Any]]], Measure]:
    """Make a measure of a pure function (checked frame, **options) -> {result key: value}; its docstring is the card.

    The first result is the headline.
    """

    def make(function: Callable[..., dict[str, Any]]) -> Measure:
        card = inspect.cleandoc(function.__doc__ or "")
        settings = list(inspect.signature(function).parameters.values())[1:]
        return Measure(
            name=function.__name__,
            function=function,
            columns=columns,
            optional=optional or {},
            results=results,
            headline=next(iter(results)),
            card=card,
            card_hash=hashlib.sha256(card.encode()).hexdigest()[:12],
            cluster=cluster,
            by=by,
            rows=rows,
            options={s.name: s.default for s in settings},
        )

    return make
