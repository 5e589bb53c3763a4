"""The cluster bootstrap: vectorised for ratios of sums, by calls for any other statistic of a frame."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from audit.stats.intervals import ONE_CLUSTER, Clustered, Floats, ratio
from audit.types import Estimate

JACKKNIFE = 60
KEPT = 2_000_000  # numbers: draws up to this size are remembered


def enough(count: int) -> int:
    """Replicates of a vectorised bootstrap: 2,000, fewer (at least 200) beyond 10,000 clusters, to bound memory."""
    return int(np.clip(20_000_000 // max(count, 1), 200, 2000))


def weights(count: int, replicates: int = 0, seed: int = 0) -> Floats:
    """How often each of `count` clusters is drawn in each bootstrap replicate: (replicates or `enough`, count)."""
    replicates = replicates or enough(count)
    return (_kept if count * replicates <= KEPT else _drawn)(count, replicates, seed)


def _drawn(count: int, replicates: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    drawn: Floats = generator.multinomial(count, np.full(count, 1 / count), size=replicates).astype(float)
    drawn.flags.writeable = False
    return drawn


# The findings of one run mostly share one count of clusters, and drawing takes longer than what is done with it.
_kept = functools.lru_cache(maxsize=8)(_drawn)


def bca(value: float, replicates: Floats, jackknife: Floats, confidence: float = 0.95) -> tuple[float, float, str]:
    """Low, high and the name of Efron's (1987) bias-corrected accelerated interval.

    `replicates` are the statistic's bootstrap values, `jackknife` its values with one cluster (or group of clusters)
    left out.  Falls back to the percentile interval, and says so, where the correction is undefined: all replicates on
    one side of the value, or a jackknife without spread.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    below = (np.mean(replicates < value) + np.mean(replicates <= value)) / 2
    pulls = jackknife.mean() - jackknife
    spread = float(pulls @ pulls) ** 1.5
    if not 0 < below < 1 or spread == 0:
        low, high = np.quantile(replicates, tails)
        return float(low), float(high), "percentile"
    bias = special.ndtri(below)
    acceleration = float((pulls**3).sum()) / (6 * spread)
    shifted = bias + special.ndtri(tails)
    low, high = np.quantile(replicates, special.ndtr(bias + shifted / (1 - acceleration * shifted)))
    return float(low), float(high), "BCa"


def bootstrap_ratio(sums: Clustered, confidence: float = 0.95, seed: int = 0, replicates: int = 0) -> Estimate:
    """A ratio of sums with the BCa interval of a cluster bootstrap; holds (replicates, clusters) floats."""
    if sums.count < 2 or sums.variance == 0:
        return ratio(sums, confidence)
    drawn = weights(sums.count, replicates, seed)
    bottoms = drawn @ sums.bottom
    values = (drawn @ sums.top) / bottoms
    left_out = (sums.top.sum() - sums.top) / (sums.bottom.sum() - sums.bottom)
    low, high, name = bca(sums.value, values, left_out, confidence)
    method = f"cluster bootstrap, {name}, {len(drawn)} replicates"
    return Estimate(sums.value, low, high, sums.rows, sums.count, method, confidence)


def bootstrap_sums(
    columns: ArrayLike,
    formula: Callable[[Floats], Floats],
    clusters: Any = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """A formula of column sums with the BCa interval of a cluster bootstrap, all replicates at once.

    `columns` (rows, k); `formula` takes sums (..., k) to values (...), NaN where undefined: those replicates are left
    out.  An example: sums of right, said and biased answers, and a score made of them.
    """
    table = np.asarray(columns, dtype=float)
    codes, names = pd.factorize(np.arange(len(table)) if clusters is None else pd.Series(clusters).to_numpy())
    sums = np.stack([np.bincount(codes, column, len(names)) for column in table.T], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(formula(sums.sum(axis=0)))
        if len(names) < 2:
            return Estimate(value, None, None, len(table), len(names), ONE_CLUSTER, confidence)
        found = formula(weights(len(names), seed=seed) @ sums)
        left = formula(sums.sum(axis=0) - sums)
    found, left = found[np.isfinite(found)], left[np.isfinite(left)]
    if len(found) == 0 or np.ptp(found) == 0:
        return Estimate(value, None, None, len(table), len(names), "all clusters agree: no interval", confidence)
    low, high, name = bca(value, found, left if len(left) else found[:1], confidence)
    method = f"cluster bootstrap, {name}, {len(found)} replicates"
    return Estimate(value, low, high, len(table), len(names), method, confidence)


def pieces(frame: pd.DataFrame, cluster: str | None) -> list[np.ndarray]:
    """The row numbers of each cluster (each row, without one), clusters in order of appearance."""
    if cluster is None:
        return list(np.arange(len(frame))[:, None])
    codes, names = pd.factorize(frame[cluster])
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=len(names)))[:-1])


def resample(
    frame: pd.DataFrame, parts: list[np.ndarray], drawn: np.ndarray, cluster: str | None = None
) -> pd.DataFrame:
    """The rows of the `drawn` clusters; one drawn twice becomes two clusters, named by number."""
    chosen = [parts[i] for i in drawn]
    rows = frame.iloc[np.concatenate(chosen)].reset_index(drop=True)
    if cluster is not None:
        rows[cluster] = np.repeat(np.arange(len(chosen)), [len(part) for part in chosen]).astype(str)
    return rows


def bootstrap(
    statistic: Callable[[pd.DataFrame], float | None],
    frame: pd.DataFrame,
    cluster: str | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    replicates: int = 400,
) -> Estimate:
    """Any statistic of a frame with the BCa interval of a bootstrap over rows, or over clusters of rows.

    The jackknife leaves out one cluster, or one of 60 groups of clusters where there are more.  Replicates in which the
    statistic is undefined (None) are left out and counted in the method; no interval where that is most of them.
    """
    parts = pieces(frame, cluster)

    def take(drawn: np.ndarray) -> float | None:
        return statistic(resample(frame, parts, drawn, cluster))

    return _resampled(
        take, statistic(frame), (len(frame), len(parts), cluster is not None), confidence, seed, replicates
    )


def bootstrap_rows(
    statistic: Callable[[Floats], float | None],
    table: ArrayLike,
    clusters: Any = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    replicates: int = 400,
    kinds: ArrayLike | None = None,
) -> Estimate:
    """`bootstrap` of a statistic of plain numbers (rows, k) in any order: the same draws, at a tenth of the time.

    `kinds` (rows,) are drawn each among their own, as many as there are; a cluster is of one kind.
    """
    whole = np.asarray(table, dtype=float)
    names = None if clusters is None else pd.Series(clusters)
    if names is not None and names.nunique() == len(names):
        names = None
    parts = None if names is None else pieces(names.to_frame("cluster"), "cluster")

    def take(drawn: np.ndarray) -> float | None:
        return statistic(whole[drawn if parts is None else np.concatenate([parts[i] for i in drawn])])

    size = len(whole), len(whole) if parts is None else len(parts), parts is not None
    of = None if kinds is None else np.asarray(kinds)[slice(None) if parts is None else [part[0] for part in parts]]
    return _resampled(take, statistic(whole), size, confidence, seed, replicates, of)


def _resampled(
    take: Callable[[np.ndarray], float | None],
    value: float | None,
    size: tuple[int, int, bool],
    confidence: float,
    seed: int,
    replicates: int,
    kinds: NDArray[Any] | None = None,
) -> Estimate:
    """The BCa interval of what `take` gives for drawn clusters; `size`: rows, clusters, are they named."""
    rows, count, named = size
    if value is None or count < 2:
        why = "undefined" if value is None else ONE_CLUSTER
        return Estimate(value, None, None, rows, count, why, confidence)
    generator = np.random.default_rng(seed)
    strata = [np.arange(count)] if kinds is None else [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    draws = [
        np.concatenate([own[generator.integers(0, len(own), len(own))] for own in strata]) for _ in range(replicates)
    ]
    found = _defined(take(drawn) for drawn in draws)
    if len(found) < replicates / 2:
        return Estimate(float(value), None, None, rows, count, "undefined in most replicates", confidence)
    folds = np.arange(count) % min(count, JACKKNIFE) if count <= JACKKNIFE else generator.permutation(count) % JACKKNIFE
    left = _defined(take(np.flatnonzero(folds != f)) for f in range(folds.max() + 1))
    low, high, name = bca(float(value), found, left if len(left) else found[:1], confidence)
    method = f"{'cluster ' if named else ''}bootstrap, {name}, {len(found)} of {replicates} replicates"
    return Estimate(float(value), low, high, rows, count, method, confidence)


def _defined(values: Iterable[float | None]) -> Floats:
    return np.array([v for v in values if v is not None], dtype=np.float64)


def bootstrap_ranks(
    statistic: Callable[[Floats], Floats], table: ArrayLike, *, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """`bootstrap_rows` of a statistic of many tables at once, (tables, rows, k) to (tables,), of rows without clusters.

    As many replicates as fit in some 200 MB, at most 400.
    """
    whole = np.asarray(table, dtype=float)
    count = len(whole)
    value = float(statistic(whole[None])[0])
    if count < 2:
        return Estimate(value, None, None, count, count, ONE_CLUSTER, confidence)
    replicates = int(np.clip(12_000_000 // whole.size, 100, 400))
    generator = np.random.default_rng(seed)
    found = statistic(whole[generator.integers(0, count, (replicates, count))])
    folds = np.arange(count) if count <= JACKKNIFE else generator.permutation(count) % JACKKNIFE
    left = np.array([float(statistic(whole[None, folds != fold])[0]) for fold in range(folds.max() + 1)])
    low, high, name = bca(value, found, left, confidence)
    method = f"bootstrap, {name}, {replicates} of {replicates} replicates"
    return Estimate(value, low, high, count, count, method, confidence)
