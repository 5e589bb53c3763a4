"""Intervals, paired tests, corrections and sample sizes.  Knows arrays of numbers only, nothing of models or findings.

Every interval is two-sided at `confidence` unless its method says otherwise.  A *cluster* is a set of rows that are one
observation made several times: twenty typos of one sentence.  Rows of different clusters are taken as independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from audit.types import Estimate

Floats = NDArray[np.float64]
REPLICATES = 2000


def _z(confidence: float) -> float:
    return float(special.ndtri(0.5 + confidence / 2))


def _t(confidence: float, freedom: float) -> float:
    return float(special.stdtrit(freedom, 0.5 + confidence / 2))


def wilson(events: float, n: float, confidence: float = 0.95, quantile: float | None = None) -> tuple[float, float]:
    """The score interval of a proportion of `n` independent trials (Wilson 1927); `quantile` replaces the normal's."""
    z = _z(confidence) if quantile is None else quantile
    share = events / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


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


@dataclass(frozen=True)
class Clustered:
    """Rows summed by cluster: (clusters,) numerators and denominators of a ratio of sums, and whether rows repeat."""

    top: Floats
    bottom: Floats
    rows: int

    @property
    def count(self) -> int:
        return len(self.top)

    @property
    def value(self) -> float:
        return float(self.top.sum() / self.bottom.sum())

    @property
    def variance(self) -> float:
        """Of the ratio, by linearisation over clusters, with the G/(G-1) correction; 0 for one cluster."""
        if self.count < 2:
            return 0.0
        residual = (self.top - self.value * self.bottom) / self.bottom.sum()
        return float(self.count / (self.count - 1) * (residual @ residual))


def by_cluster(top: ArrayLike, bottom: ArrayLike | None = None, clusters: Any = None) -> Clustered:
    """Sum numerators (rows,) and denominators (rows,; default ones) within clusters (default: each row its own)."""
    above = np.asarray(top, dtype=float)
    below = np.ones_like(above) if bottom is None else np.asarray(bottom, dtype=float)
    rows = int(np.count_nonzero(below))
    if clusters is not None:
        codes, names = pd.factorize(pd.Series(clusters).to_numpy())
        above = np.bincount(codes, above, len(names))
        below = np.bincount(codes, below, len(names))
    kept = below > 0
    return Clustered(above[kept], below[kept], rows)


def proportion(values: ArrayLike, clusters: Any = None, *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Mean of 0/1 `values` (rows,).

    Wilson's interval where each cluster has one row; Clopper-Pearson (one-sided, over clusters) where no row or every
    row is an event; otherwise Wilson's with the sample size that the clusters are worth (a cluster-robust variance and
    Student's t on clusters - 1 degrees of freedom; Korn and Graubard 1998, Franco et al. 2019).  `seed` is unused: the
    interval is analytic.
    """
    return proportion_of(by_cluster(values, None, clusters), confidence)


def proportion_of(sums: Clustered, confidence: float = 0.95) -> Estimate:
    """`proportion` over rows that are already summed by cluster (a ratio of event counts to row counts)."""
    if sums.rows == 0:
        return Estimate(None, method="no rows", confidence=confidence)
    value, count = sums.value, sums.count
    if value in (0.0, 1.0):
        low, high = clopper_pearson(round(value * count), count, confidence)
        return Estimate(value, low, high, sums.rows, count, "clopper-pearson, one-sided", confidence)
    if count == sums.rows:
        low, high = wilson(sums.top.sum(), sums.rows, confidence)
        return Estimate(value, low, high, sums.rows, count, "wilson", confidence)
    if count < 2:
        return Estimate(value, None, None, sums.rows, count, "one cluster: no interval", confidence)
    worth = value * (1 - value) / sums.variance if sums.variance > 0 else np.inf
    worth = min(worth, sums.rows)
    low, high = wilson(value * worth, worth, quantile=_t(confidence, count - 1))
    return Estimate(value, low, high, sums.rows, count, "cluster-robust wilson", confidence)


def mean(values: ArrayLike, clusters: Any = None, *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Mean of any `values` (rows,), with a cluster-robust t interval (Student's where each cluster is one row)."""
    return ratio(by_cluster(values, None, clusters), confidence)


def ratio(sums: Clustered, confidence: float = 0.95) -> Estimate:
    """A ratio of sums with a cluster-robust t interval on clusters - 1 degrees of freedom."""
    if sums.count == 0:
        return Estimate(None, method="no rows", confidence=confidence)
    if sums.count < 2:
        return Estimate(sums.value, None, None, sums.rows, sums.count, "one cluster: no interval", confidence)
    half = _t(confidence, sums.count - 1) * float(np.sqrt(sums.variance))
    method = "t" if sums.count == sums.rows else "cluster-robust t"
    return Estimate(sums.value, sums.value - half, sums.value + half, sums.rows, sums.count, method, confidence)


def weights(count: int, replicates: int = REPLICATES, seed: int = 0) -> Floats:
    """How often each of `count` clusters is drawn in each bootstrap replicate: (replicates, count)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=replicates).astype(float)


def bootstrap_ratio(sums: Clustered, confidence: float = 0.95, seed: int = 0, replicates: int = REPLICATES) -> Estimate:
    """A ratio of sums with the percentile interval of a cluster bootstrap; (replicates, clusters) floats of memory."""
    if sums.count < 2:
        return ratio(sums, confidence)
    drawn = weights(sums.count, replicates, seed)
    low, high = np.quantile((drawn @ sums.top) / (drawn @ sums.bottom), [(1 - confidence) / 2, (1 + confidence) / 2])
    method = f"cluster bootstrap, {replicates} replicates"
    return Estimate(sums.value, float(low), float(high), sums.rows, sums.count, method, confidence)


def resample(frame: pd.DataFrame, cluster: str | None, generator: np.random.Generator) -> pd.DataFrame:
    """Clusters (or rows) of `frame` drawn with replacement; a cluster drawn twice becomes two clusters."""
    if cluster is None:
        return frame.iloc[generator.integers(0, len(frame), len(frame))].reset_index(drop=True)
    codes, names = pd.factorize(frame[cluster])
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    pieces = np.split(order, ends[:-1])
    drawn = generator.integers(0, len(names), len(names))
    rows = np.concatenate([pieces[i] for i in drawn])
    fresh = np.repeat(np.arange(len(drawn)), [len(pieces[i]) for i in drawn])
    return frame.iloc[rows].assign(**{cluster: fresh}).reset_index(drop=True)


def bootstrap(
    statistic: Callable[[pd.DataFrame], float | None],
    frame: pd.DataFrame,
    cluster: str | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    replicates: int = 400,
) -> Estimate:
    """Any statistic of a frame with the percentile interval of a bootstrap over rows, or over clusters of rows.

    Replicates in which the statistic is undefined (None) are left out and counted in the method.
    """
    value = statistic(frame)
    clusters = len(frame) if cluster is None else int(frame[cluster].nunique())
    if value is None or clusters < 2:
        why = "undefined" if value is None else "one cluster: no interval"
        return Estimate(value, None, None, len(frame), clusters, why, confidence)
    generator = np.random.default_rng(seed)
    found = [statistic(resample(frame, cluster, generator)) for _ in range(replicates)]
    kept = np.array([x for x in found if x is not None], dtype=float)
    if len(kept) < replicates / 2:
        return Estimate(value, None, None, len(frame), clusters, "undefined in most replicates", confidence)
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    method = f"cluster bootstrap, {len(kept)} of {replicates} replicates"
    return Estimate(float(value), float(low), float(high), len(frame), clusters, method, confidence)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return [float(x) for x in adjusted]
