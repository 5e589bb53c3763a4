"""The same score in each group of items, and how far apart the groups are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit import stats
from audit.measures.columns import ANSWER, LABEL, NUMBER, OPTIONAL_CLUSTER
from audit.measures.define import Result, Terms, explained, measure, solve
from audit.types import Estimate

Floats = NDArray[np.float64]
ONE_GROUP = "one group only: nothing to compare"
METHOD = "simultaneous cluster bootstrap"


def _means(frame: pd.DataFrame) -> pd.Series[float]:
    return frame.groupby("group")["value"].mean()


def _distance(frame: pd.DataFrame) -> float | None:
    means = _means(frame)
    return float(means.max() - means.min()) if len(means) > 1 else None


def _replicates(frame: pd.DataFrame, seed: int) -> Floats:
    """Bootstrap means of each group, groups in sorted order: (replicates, groups); NaN where a group is not drawn."""
    groups = np.unique(frame["group"].to_numpy(), return_inverse=True)[1]
    rows = pd.factorize(frame["cluster"])[0] if "cluster" in frame else np.arange(len(frame))
    shape = (rows.max() + 1, groups.max() + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (rows, groups), frame["value"].to_numpy())
    np.add.at(counts, (rows, groups), 1.0)
    if ((counts > 0).sum(axis=1) == 1).all():
        return _stratified(sums, counts, seed)
    drawn = stats.weights(shape[0], seed=seed)
    with np.errstate(invalid="ignore"):
        found: Floats = (drawn @ sums) / (drawn @ counts)
    return found


def _stratified(sums: Floats, counts: Floats, seed: int) -> Floats:
    """Clusters that lie within one group are drawn within it, which keeps each group's size and draws every group."""
    columns = []
    for group in range(counts.shape[1]):
        own = counts[:, group] > 0
        drawn = stats.weights(int(own.sum()), seed=seed + 7919 * group)
        columns.append((drawn @ sums[own, group]) / (drawn @ counts[own, group]))
    return np.stack(columns, axis=1)


def _widest(means: Any, drawn: Floats, confidence: float) -> tuple[float, float]:
    """Simultaneous bounds of the largest difference: every pair's interval at once, by the largest |t| of a replicate.

    The largest lower bound is a lower bound of the gap, the largest upper bound an upper one, and a gap of equal groups
    has 0 inside: bootstrapping max - min itself would never give 0.
    """
    worst = np.zeros(len(drawn))
    spreads = np.zeros((len(means), len(means)))
    for i in range(len(means) - 1):
        moved = (drawn[:, i, None] - drawn[:, i + 1 :]) - (means[i] - means[i + 1 :])
        spread = np.maximum(np.nanstd(moved, axis=0, ddof=1), 1e-12)
        spreads[i, i + 1 :] = spreads[i + 1 :, i] = spread
        worst = np.fmax(worst, np.fmax.reduce(np.abs(moved) / spread, axis=1))
    reach = float(np.quantile(worst, confidence)) * spreads
    gaps = np.abs(means[:, None] - means[None, :])
    np.fill_diagonal(reach, 0)
    return max(0.0, float((gaps - reach).max())), float((gaps + reach).max())


def _gap(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    means = _means(frame).to_numpy(dtype=np.float64)
    n, clusters = len(frame), int(frame["cluster"].nunique()) if "cluster" in frame else len(frame)
    value = float(means.max() - means.min())
    if frame.groupby("group").size().min() < 2 or clusters < 3:
        return Estimate(value, None, None, n, clusters, "a group of one: no interval", confidence)
    drawn = _replicates(frame, seed)
    if np.nanstd(drawn, axis=0).max() == 0:
        return Estimate(value, None, None, n, clusters, "all rows of each group agree: no interval", confidence)
    low, high = _widest(means, drawn, confidence)
    return Estimate(value, low, high, n, clusters, METHOD, confidence)


def _extreme(best: bool) -> Any:
    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        means = _means(frame)
        group = means.idxmax() if best else means.idxmin()
        rows = frame[frame["group"] == group]
        levels = 1 - (1 - confidence) / len(means)
        found = Terms(rows["value"], None, rows.get("cluster")).estimate(levels)
        method = f"{found.method}, Bonferroni over {len(means)} groups"
        return Estimate(found.value, found.low, found.high, found.n, found.clusters, method, confidence)

    return interval


@measure(
    columns={"group": LABEL, "value": NUMBER},
    optional=OPTIONAL_CLUSTER,
    results={
        "gap": Result("lower", 0.0, "score", interval=_gap, alone=_distance),
        "min": Result("higher", None, "score", interval=_extreme(False), alone=lambda f: float(_means(f).min())),
        "max": Result("none", None, "score", interval=_extreme(True), alone=lambda f: float(_means(f).max())),
        "worst_group": Result("none", None, "score", none="a name"),
        "best_group": Result("none", None, "score", none="a name"),
    },
)
def group_gap(frame: pd.DataFrame) -> dict[str, Any]:
    """The distance between the group with the lowest mean and the one with the highest.

    Row: one item; rows of one template share its `cluster`, also across groups.  min, max: the lowest and highest mean
    of `value`; worst_group, best_group: where they are (the first by name on a tie; "worst" reads `value` as higher is
    better); gap = max - min.
    Direction: gap lower, ideal 0; unit of `value`.
    Interval of the gap: simultaneous over all pairs of groups, so that it holds 0 where groups may be equal.
    Source: this project's form of the worst-group gap (Sagawa et al. 2020); intervals after Tukey by bootstrap.
    Validity: a maximum over groups grows with their number and with noise in small ones: read the interval, not the
    value; null for one group.
    """
    means = _means(frame)
    values: dict[str, Any] = {
        "min": float(means.min()),
        "max": float(means.max()),
        "gap": _distance(frame),
        "worst_group": str(means.idxmin()),
        "best_group": str(means.idxmax()),
    }
    return explained(values, {"gap": ONE_GROUP})


def _right(frame: pd.DataFrame) -> Terms:
    return Terms(frame["gold"] == frame["predicted"], None, frame.get("cluster"))


FUNCTIONAL = {"accuracy": Result("higher", 1.0, "proportion", _right)}


@measure(
    columns={"functionality": LABEL, "gold": LABEL, "predicted": ANSWER},
    optional={"group": replace(ANSWER, null=True), "cluster": LABEL},
    results=FUNCTIONAL,
    by=("functionality", "gold", "group"),
    rows=lambda frame: pd.DataFrame({"correct": frame["gold"] == frame["predicted"]}),
)
def functional(frame: pd.DataFrame) -> dict[str, Any]:
    """Accuracy on cases written to test one functionality each, in slices.

    Row: one case.  accuracy: share with `predicted` equal to `gold` (compared as text), overall and by functionality,
    gold label and, where the column is there, group.
    Direction: higher is better; ideal 1; a proportion.  Source: Röttger et al. 2021 (HateCheck).
    Validity: the share over all cases follows how many cases each functionality has; read the slices.
    """
    return solve(frame, FUNCTIONAL)
