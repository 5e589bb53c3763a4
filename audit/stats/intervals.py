"""Closed-form intervals of proportions, means and ratios of sums, with and without clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from audit.types import Estimate

Floats = NDArray[np.float64]
LEAST = 0.25  # of a binomial's variance that shares of rows are taken to have
ENOUGH = 2  # clusters that differ from the rest, from which on their variance is taken at its word
ONE_CLUSTER = "one cluster: no interval"


def normal_quantile(confidence: float) -> float:
    """Half-width of the central `confidence` mass of a standard normal."""
    return float(special.ndtri(0.5 + confidence / 2))


def t_quantile(confidence: float, freedom: float) -> float:
    """Half-width of the central `confidence` mass of Student's t."""
    return float(special.stdtrit(freedom, 0.5 + confidence / 2))


def wilson(events: float, n: float, confidence: float = 0.95, quantile: float | None = None) -> tuple[float, float]:
    """The score interval of a proportion of `n` independent trials (Wilson 1927); `quantile` replaces the normal's."""
    low, high = wilson_bounds(events, n, normal_quantile(confidence) if quantile is None else quantile)
    return float(low), float(high)


def wilson_bounds(events: ArrayLike, n: Any, z: float) -> tuple[Floats, Floats]:
    """`wilson` for many event counts at once, of one `n` or of one each."""
    share = np.asarray(events, dtype=float) / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return np.maximum(0.0, middle - half), np.minimum(1.0, middle + half)


def clopper_pearson(events: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion; for no events or only events, the exact one-sided bound at `confidence`."""
    alpha = 1 - confidence
    if events == 0:
        return 0.0, float(1 - alpha ** (1 / n))
    if events == n:
        return float(alpha ** (1 / n)), 1.0
    low = special.betaincinv(events, n - events + 1, alpha / 2)
    high = special.betaincinv(events + 1, n - events, 1 - alpha / 2)
    return float(low), float(high)


def between(first: float, second: float, share: float) -> float:
    """The point at `share` of the way from `first` to `second`."""
    return first + share * (second - first)


@dataclass(frozen=True)
class Clustered:
    """Rows summed by cluster: numerators and denominators (clusters,) of a ratio of sums, and the count of rows."""

    top: Floats
    bottom: Floats
    rows: int

    @property
    def count(self) -> int:
        """Clusters."""
        return len(self.top)

    @property
    def value(self) -> float:
        """The ratio of the sums."""
        return float(self.top.sum() / self.bottom.sum())

    @property
    def residuals(self) -> Floats:
        """What each cluster adds to the ratio's deviation, by linearisation: (clusters,), summing to zero."""
        residuals: Floats = (self.top - self.value * self.bottom) / self.bottom.sum()
        return residuals

    @property
    def variance(self) -> float:
        """Of the ratio, over clusters, with the G/(G-1) correction; 0 for one cluster."""
        residuals = self.residuals
        return float(self.count / (self.count - 1) * (residuals @ residuals)) if self.count > 1 else 0.0

    def alike(self, spread: float) -> float:
        """How alike the rows of a cluster are, from 0 to 1, if independent ones gave the variance `spread`.

        At 1 clusters are of one mind, and behave like rows: nothing about their variance has to be estimated.
        """
        size = float((self.bottom @ self.bottom) / self.bottom.sum())
        if size <= 1 + 1e-9:
            return 0.0
        effect = self.variance * (self.count - 1) / self.count / spread if spread > 1e-15 else size
        return float(np.clip((effect - 1) / (size - 1), 0, 1))

    @property
    def freedom(self) -> float:
        """Degrees of freedom that the variance is worth: 2 G / (kurtosis of the residuals - 1), from 1 to 4 G.

        For normal residuals that is G; it falls where a few clusters hold most of the spread, as with rare events, and
        grows where residuals have about two sizes, so that few clusters show how large they are.
        """
        squares = self.residuals**2
        total = squares.sum()
        if total == 0:
            return self.count - 1
        kurtosis = self.count * (squares @ squares) / total**2
        return float(np.clip(2 * self.count / max(kurtosis - 1, 1e-9), 1, 4 * self.count))


def by_cluster(
    top: ArrayLike, bottom: ArrayLike | None = None, clusters: Any = None, *, every: bool = False
) -> Clustered:
    """Sum numerators (rows,) and denominators (rows,; default ones) within clusters (default: each row its own).

    Clusters come in order of appearance; those without a denominator are left out unless `every` is set.
    """
    above = np.asarray(top, dtype=float)
    below = np.ones_like(above) if bottom is None else np.asarray(bottom, dtype=float)
    rows = int(np.count_nonzero(below))
    if clusters is not None:
        codes, names = pd.factorize(pd.Series(clusters).to_numpy())
        above = np.bincount(codes, above, len(names))
        below = np.bincount(codes, below, len(names))
    kept = (below > 0) | every
    return Clustered(above[kept], below[kept], rows)


def proportion(values: ArrayLike, clusters: Any = None, *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Mean of 0/1 `values` (rows,).

    Wilson's interval where each cluster has one row, but no narrower on either side than the exact one-sided bound at
    `confidence`, which few events need.  Clopper-Pearson, one-sided and over clusters, where no row or
    every row is an event.  Otherwise Wilson's, with the sample size that the clusters are worth by their cluster-robust
    variance, and Student's t on the degrees of freedom which that variance is worth (after Korn and Graubard 1998 and
    Franco et al. 2019; in simulation it covers better than the cluster-robust t and the cluster bootstrap where events
    are rare or clusters few); the more alike the rows of a cluster are, the nearer to the normal quantile, which is
    right for clusters of one mind.  ValueError for values other than 0 and 1.  `seed` is unused: nothing is drawn.
    """
    array = np.asarray(values, dtype=float)
    if not np.isin(array, (0, 1)).all():
        raise ValueError("a proportion is of values 0 and 1 only")
    return proportion_of(by_cluster(array, None, clusters), confidence)


def proportion_of(sums: Clustered, confidence: float = 0.95) -> Estimate:
    """`proportion` of rows that are already summed by cluster: events over rows.

    Rows may be shares from 0 to 1 too: they are worth more rows, as they vary less than events.
    """
    if sums.count == 0:
        return Estimate(None, method="no rows", confidence=confidence)
    value, count = sums.value, sums.count
    if value in (0.0, 1.0):
        low, high = clopper_pearson(round(value * count), count, confidence)
        return Estimate(value, low, high, sums.rows, count, "clopper-pearson, one-sided", confidence)
    if count == sums.rows:
        spread = float((sums.top**2).mean() - value**2) / (value * (1 - value))
        worth = count / between(1.0, float(np.clip(spread, LEAST, 1.0)), _shown(sums))
        low, high, name = _guarded(value * worth, worth, normal_quantile(confidence), confidence)
        return Estimate(value, low, high, sums.rows, count, name, confidence)
    if count < 2:
        return Estimate(value, None, None, sums.rows, count, ONE_CLUSTER, confidence)
    alike = sums.alike(value * (1 - value) / sums.rows)
    variance = sums.variance * (1 - alike / count)
    worth = _believed(sums, min(value * (1 - value) / variance if variance > 0 else np.inf, sums.rows))
    quantile = between(t_quantile(confidence, sums.freedom), normal_quantile(confidence), alike)
    low, high, name = _guarded(value * worth, worth, quantile, confidence)
    least = _least(sums, confidence)
    low, high = (min(low, least), high) if value < 0.5 else (low, max(high, 1 - least))
    return Estimate(value, low, high, sums.rows, count, f"cluster-robust {name}", confidence)


def _believed(sums: Clustered, worth: float) -> float:
    """The rows that clusters are worth, as far as their variance can tell: with few clusters that differ, their count.

    One odd row in six clusters shows nothing of how often a whole cluster is odd.
    """
    return 1 / between(1 / sums.count, 1 / worth, _shown(sums))


def _least(sums: Clustered, confidence: float) -> float:
    """The exact lower bound of how many clusters are odd, times how odd they are: below it no bound of the share lies.

    For a minority of odd clusters: their number is what is known least, and events are no more than they.
    """
    share = sums.value if sums.value < 0.5 else 1 - sums.value
    odd = int(np.count_nonzero(sums.top if sums.value < 0.5 else sums.bottom - sums.top))
    return float(exact_low(odd, sums.count, confidence)) * share * sums.count / odd if 0 < 2 * odd < sums.count else 1.0


def _shown(sums: Clustered) -> float:
    """How far the clusters that differ from the rest are enough to show how they vary, from 0 to 1."""
    odd = sums.top if sums.value < 0.5 else sums.bottom - sums.top
    return float(min(1.0, np.count_nonzero(odd) / ENOUGH))


def _guarded(events: float, n: float, quantile: float, confidence: float) -> tuple[float, float, str]:
    """Wilson's interval, widened to the exact one-sided bounds at `confidence` where these reach further.

    Alone it covers too little near 0 and 1: with 8 rows it lies wholly above a true 2% in 15% of samples.
    """
    low, high = wilson(events, n, confidence, quantile)
    lowest, highest = exact_low(events, n, confidence), 1 - exact_low(n - events, n, confidence)
    wider = lowest < low or highest > high
    return float(min(low, lowest)), float(max(high, highest)), "wilson, exact one-sided bound" if wider else "wilson"


def exact_low(events: ArrayLike, n: float, confidence: float) -> Any:
    """The exact one-sided lower bound of a proportion of `n` independent trials; 0 without events."""
    count = np.asarray(events, dtype=float)
    return np.where(count > 0, special.betaincinv(np.maximum(count, 1e-12), n - count + 1, 1 - confidence), 0.0)[()]


def mean(values: ArrayLike, clusters: Any = None, *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Mean of any `values` (rows,), with a cluster-robust t interval (Student's where each cluster is one row).

    `seed` is unused: nothing is drawn.
    """
    return ratio(by_cluster(values, None, clusters), confidence)


def ratio(sums: Clustered, confidence: float = 0.95) -> Estimate:
    """A ratio of sums with a cluster-robust t interval on clusters - 1 degrees of freedom.

    No interval where there is one cluster, or where all clusters agree: nothing shows how much they could differ.
    """
    if sums.count == 0:
        return Estimate(None, method="no rows", confidence=confidence)
    half = t_quantile(confidence, sums.count - 1) * float(np.sqrt(sums.variance)) if sums.count > 1 else 0.0
    if half <= 1e-12 * abs(sums.value):
        why = ONE_CLUSTER if sums.count < 2 else "all clusters agree: no interval"
        return Estimate(sums.value, None, None, sums.rows, sums.count, why, confidence)
    method = "t" if sums.count == sums.rows else "cluster-robust t"
    return Estimate(sums.value, sums.value - half, sums.value + half, sums.rows, sums.count, method, confidence)


def median(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Median of independent `values` (rows,), with the distribution-free interval between two order statistics.

    Its coverage is at least `confidence`; no interval for fewer rows than that needs (6 at 95%).
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    if n == 0:
        return Estimate(None, method="no rows", confidence=confidence)
    value = float(np.median(ordered))
    tail = special.bdtr(np.arange(n), n, 0.5)
    below = int(np.count_nonzero(tail <= (1 - confidence) / 2))
    if below == 0:
        return Estimate(value, None, None, n, n, f"{n} rows are too few for an interval", confidence)
    low, high = float(ordered[below - 1]), float(ordered[n - below])
    return Estimate(value, low, high, n, n, "order statistics", confidence)
