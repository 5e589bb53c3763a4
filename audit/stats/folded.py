"""Sums of absolute means, which noise pushes away from zero: calibration error and its kin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from audit.stats.intervals import ONE_CLUSTER, Floats
from audit.types import Estimate

REPLICATES = 1000
WIDEST = 4.0  # times the estimate: where the search for an upper bound ends
HALVINGS = 14
SURE = 0.3  # standard errors from zero at which the upper bound takes the sign of a mean as known


def folded(columns: ArrayLike, clusters: Any = None, *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """The sum over columns of |mean of the column|, with an interval by test inversion.

    `columns` (rows, k).  Each mean is off by noise, and its absolute value therefore too large on average: a plain
    bootstrap adds that noise a second time and its interval can miss the truth always.  Here the means are shrunk or
    stretched together, noise of their own covariance (by clusters of rows) is added once, and a bound is the truth
    under which the estimate would be at the edge of what is seen in `confidence` of the draws (the parametric bootstrap
    test, inverted; Carpenter 1999).  The bound below is 0 where pure noise explains the estimate.  For the bound above,
    which must not lean on a bias that is itself estimated from noisy means, only means within half a standard error of
    zero can change sign; it is never below the estimate.
    """
    table = np.asarray(columns, dtype=float)
    codes, names = pd.factorize(np.arange(len(table)) if clusters is None else pd.Series(clusters).to_numpy())
    count = len(names)
    sums = np.stack([np.bincount(codes, column, count) for column in table.T], axis=1) / len(table)
    means = sums.sum(axis=0)
    value = float(np.abs(means).sum())
    if count < 2:
        return Estimate(value, None, None, len(table), count, ONE_CLUSTER, confidence)
    centred = sums - means / count
    covariance = count / (count - 1) * centred.T @ centred
    if value == 0:
        return Estimate(value, None, None, len(table), count, "no difference anywhere: no interval", confidence)
    noise, tail = _noise(covariance, seed), (1 - confidence) / 2
    sure = np.abs(means) > SURE * np.sqrt(np.diag(covariance))
    low = _share(means, noise, np.zeros_like(sure), 1 - tail) * value
    high = _share(means, noise, sure, tail) * value
    method = f"test inversion, {REPLICATES} draws"
    return Estimate(value, low, max(high, value), len(table), count, method, confidence)


def _noise(covariance: Floats, seed: int) -> Floats:
    """Normal draws (replicates, k) of a covariance that need not have full rank."""
    values, vectors = np.linalg.eigh(covariance)
    drawn = np.random.default_rng(seed).standard_normal((REPLICATES, len(values)))
    noise: Floats = drawn @ (vectors * np.sqrt(np.clip(values, 0.0, None))).T
    return noise


def _share(means: Floats, noise: Floats, sure: Any, quantile: float) -> float:
    """How far the means are shrunk (below 1) or stretched to put the estimate at this quantile; least 0."""
    value, signs = np.abs(means).sum(), np.sign(means)

    def beyond(scale: float) -> bool:
        drawn = scale * means + noise
        return bool(np.quantile(np.where(sure, signs * drawn, np.abs(drawn)).sum(axis=1), quantile) >= value)

    if beyond(0.0):
        return 0.0
    low, high = 0.0, WIDEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return low
