"""Two conditions on the same items, many tests at once, and the sample that would decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from audit.stats.intervals import (
    LEAST,
    ONE_CLUSTER,
    Clustered,
    between,
    by_cluster,
    clopper_pearson,
    exact_low,
    normal_quantile,
    t_quantile,
    wilson_bounds,
)
from audit.stats.resampling import bca, weights
from audit.types import Estimate


def difference(
    first: ArrayLike, second: ArrayLike, clusters: Any = None, *, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """mean(first) - mean(second) of 0/1 values of the same rows, (rows,) each.

    Tango's (1998) score interval of a paired difference: its mean coverage is near nominal down to some ten rows, and
    it is honest where few rows or none differ.  With clusters the counts are those of the rows that the clusters are
    worth by their cluster-robust variance, on Student's t, nearer to the normal the more alike the rows of a cluster.
    ValueError for other values.  `seed` is unused: nothing is drawn.
    """
    moved = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if not np.isin(moved, (-1, 0, 1)).all():
        raise ValueError("a difference of proportions is of values 0 and 1 only")
    return difference_of(by_cluster(moved, None, clusters), float(np.abs(moved).sum()), confidence)


def difference_of(sums: Clustered, moved: float, confidence: float = 0.95) -> Estimate:
    """`difference` of rows already summed by cluster; `moved` is the sum of the rows' absolute differences.

    Rows may differ by shares too: they are worth more rows, as their variance is less than that of whole differences.
    """
    total, alone = float(sums.bottom.sum()), sums.count == sums.rows
    if sums.count < (1 if alone else 2):
        return _unknown(sums, confidence)
    simple, quantile = (moved / total - sums.value**2) / total, normal_quantile(confidence)
    if alone:
        spread = (float((sums.top**2).sum()) / total - sums.value**2) / total
        effect = float(np.clip(spread / simple, LEAST, 1)) if simple > 1e-15 else 1.0
    else:
        alike, widest = sums.alike(simple), total / sums.count
        variance = sums.variance * (1 - alike / sums.count)
        effect = float(np.clip(variance / simple if simple > 1e-15 else widest, 1, max(widest, 1)))
        quantile = between(t_quantile(confidence, sums.count - 1), quantile, alike)
    gap = float(sums.top.sum())
    worth, lost, won = total / effect, (moved + gap) / 2 / effect, (moved - gap) / 2 / effect
    high = _score_bound(lost, won, worth, quantile)
    low = -_score_bound(won, lost, worth, quantile)
    return Estimate(
        sums.value, low, high, sums.rows, sums.count, "tango" if alone else "cluster-robust tango", confidence
    )


def adjusted_difference_of(sums: Clustered, moved: float, confidence: float = 0.95) -> Estimate:
    """`difference_of` by Bonett and Price (2012): one row is added in each direction.

    For decisions at high confidence with few rows that differ, as in a gate: there the score interval is too narrow
    (in `bench/gate.py`, 20 rules and 1% churn, it failed 3 of 20 equal models; this one none of 12).
    """
    total, alone = float(sums.bottom.sum()), sums.count == sums.rows
    if sums.count < (1 if alone else 2):
        return _unknown(sums, confidence)
    simple = (moved / total - sums.value**2) / total
    widest = total / sums.count
    weight = 1.0 if alone else float(np.clip(sums.variance / simple if simple > 0 else widest, 1, max(widest, 1)))
    padded = Clustered(np.append(sums.top, [weight, -weight]), np.append(sums.bottom, [weight, weight]), sums.rows)
    if alone:
        shares = (moved + 2) / (total + 2)
        half = normal_quantile(confidence) * math.sqrt((shares - padded.value**2) / (total + 2))
    else:
        half = t_quantile(confidence, sums.count - 1) * math.sqrt(padded.variance)
    low, high = max(-1.0, padded.value - half), min(1.0, padded.value + half)
    method = "bonett-price" if alone else "cluster-robust bonett-price"
    return Estimate(sums.value, low, high, sums.rows, sums.count, method, confidence)


def _unknown(sums: Clustered, confidence: float) -> Estimate:
    """Of no rows, or of one cluster."""
    if sums.count == 0:
        return Estimate(None, method="no rows", confidence=confidence)
    return Estimate(sums.value, None, None, sums.rows, 1, ONE_CLUSTER, confidence)


def _score_bound(lost: float, won: float, n: float, quantile: float) -> float:
    """The largest difference that Tango's score test of `lost` - `won` rows in `n` does not reject, by halving."""

    def statistic(difference: float) -> float:
        b = (2 * n - lost + won) * difference - lost - won
        share = (math.sqrt(max(b * b + 8 * n * won * difference * (1 - difference), 0.0)) - b) / (4 * n)
        spread = n * (2 * share + difference * (1 - difference))
        gap = n * difference - (lost - won)
        return gap / math.sqrt(spread) if spread > 1e-300 else math.copysign(math.inf, gap)

    near, far = (lost - won) / n, 1.0
    for _ in range(45):
        middle = (near + far) / 2
        near, far = (middle, far) if statistic(middle) <= quantile else (near, middle)
    return far


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """The exact two-sided p-value that two 0/1 columns of the same independent rows have one mean (McNemar 1947)."""
    moved = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    up, down = int((moved > 0).sum()), int((moved < 0).sum())
    return min(1.0, 2 * float(special.bdtr(min(up, down), up + down, 0.5))) if up + down else 1.0


def paired_bootstrap(
    first: Clustered, second: Clustered, *, confidence: float = 0.95, seed: int = 0, replicates: int = 0
) -> Estimate:
    """first.value - second.value, with the BCa interval of a bootstrap that draws the same clusters for both.

    The two hold the same clusters in the same order (`by_cluster(..., every=True)`); a cluster may lack a denominator
    on one side.  For a difference of proportions over fewer than about 200 clusters `difference` covers better.
    """
    if first.count != second.count:
        raise ValueError(f"paired clusters must be the same: {first.count} against {second.count}")
    value, count = first.value - second.value, first.count
    rows = min(first.rows, second.rows)
    if count < 2:
        return Estimate(value, None, None, rows, count, ONE_CLUSTER, confidence)
    drawn = weights(count, replicates, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (drawn @ first.top) / (drawn @ first.bottom) - (drawn @ second.top) / (drawn @ second.bottom)
        left = _without_each(first) - _without_each(second)
    found, left = found[np.isfinite(found)], left[np.isfinite(left)]
    low, high, name = bca(value, found, left, confidence)
    return Estimate(
        value, low, high, rows, count, f"paired cluster bootstrap, {name}, {len(found)} replicates", confidence
    )


def _without_each(sums: Clustered) -> Any:
    return (sums.top.sum() - sums.top) / (sums.bottom.sum() - sums.bottom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down adjusted p-values, in the order given."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return [float(x) for x in adjusted]


def smallest_detectable(
    found: Estimate, limit: float, *, below: bool = False, power: float = 0.8, scale: float = 1.0
) -> float | None:
    """How far beyond `limit` the truth must lie for an interval from this many rows to lie wholly beyond it.

    With probability `power`; beyond is above, or `below`; in the estimate's unit, of which `scale` make 1 (100 for
    percents).  For proportions exact, by enumeration over the rows that the interval is worth (a clustered one: its
    effective sample); otherwise from the half-width.  None without an interval, or where no effect is large enough.
    """
    if found.low is None or found.high is None:
        return None
    z = normal_quantile(found.confidence)
    if "wilson" not in found.method and "clopper" not in found.method:
        return (found.high - found.low) / 2 * (z + float(special.ndtri(power))) / z
    n = max(1, round(_worth(found, scale)))
    lows = np.minimum(wilson_bounds(np.arange(n + 1), n, z)[0], exact_low(np.arange(n + 1), n, found.confidence))
    lows[n] = clopper_pearson(n, n, found.confidence)[0]
    edge = 1 - limit / scale if below else limit / scale
    enough = np.flatnonzero(lows > edge)
    if len(enough) == 0:
        return None
    first = int(enough[0])
    return (float(special.betaincinv(first, n - first + 1, power)) - edge) * scale if first else 0.0


def _worth(found: Estimate, scale: float) -> float:
    """Independent rows that would give an interval as wide as this proportion's."""
    value, low, high = found.value, found.low, found.high
    if "cluster-robust" not in found.method or value is None or low is None or high is None:
        return found.clusters or found.n
    z, half = normal_quantile(found.confidence), (high - low) / 2 / scale
    return max(1.0, z * z * value / scale * (1 - value / scale) / half**2 - z * z)


def n_to_decide(found: Estimate, limit: float, *, scale: float = 1.0) -> int | None:
    """Rows at which an interval around the same value would no longer hold `limit`; None where no number would.

    The half-width towards the limit shrinks with the root of n.  Without events, or with events only, the exact bound.
    `scale` units of the estimate make 1 (100 for percents).
    """
    if found.value is None or found.low is None or found.high is None or found.value == limit:
        return None
    gap = abs(limit - found.value) / scale
    if "clopper" in found.method and gap < 1:
        clusters = math.log(1 - found.confidence) / math.log(1 - gap)
        return math.ceil(clusters * found.n / (found.clusters or found.n))
    half = found.high - found.value if limit > found.value else found.value - found.low
    return math.ceil(found.n * (half / scale / gap) ** 2)
