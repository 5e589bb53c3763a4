"""The same score in each group of items, and how far apart the groups are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.measures.columns import ANSWER, LABEL, NUMBER, OPTIONAL_CLUSTER
from audit.measures.define import Result, Terms, explained, measure, solve
from audit.types import Estimate

Floats = NDArray[np.float64]
ONE_GROUP = "one group only: nothing to compare"
METHOD = "test inversion"
SIMULATED, HALVINGS = 1000, 14
LOWER, UPPER = 0.5, 0.4  # of what may be missed, below and above, as simulated coverage asks for: of shares
INNER = 0.9  # the same of extremes, on the side of the other groups
SKEWED = 0.4  # and below, of other numbers


def _means(frame: pd.DataFrame) -> pd.Series[float]:
    return frame.groupby("group")["value"].mean()


def _distance(frame: pd.DataFrame) -> float | None:
    means = _means(frame)
    return float(means.max() - means.min()) if len(means) > 1 else None


@dataclass(frozen=True)
class _Means:
    """The groups' means, in sorted order, and what is known of their errors.

    `errors` and `worth` (groups,) are the standard errors and the independent rows that each group's clusters are
    worth; `related` (groups, groups) the correlation of the means, which rows of one cluster in several groups bring;
    `freedom` the degrees of freedom of it all; `shares`: rows are 0 or 1, so that errors follow from the means; `step`:
    by how much means move, where rows have two values.
    """

    means: Floats
    errors: Floats
    worth: Floats
    related: Floats
    freedom: int
    shares: bool
    step: float

    def drawn(self, seed: int) -> Floats:
        """Standardised errors of the means as samples may bring them: (SIMULATED, groups)."""
        rng = np.random.default_rng(seed)
        roots, axes = np.linalg.eigh(self.related)
        errors: Floats = rng.standard_normal((SIMULATED, len(self.means))) @ (axes * np.sqrt(roots.clip(0))).T
        return errors * np.sqrt(self.freedom / rng.chisquare(self.freedom, (SIMULATED, 1)))

    def errors_at(self, means: Floats) -> Floats:
        """The standard errors if the means were others."""
        if not self.shares:
            return self.errors
        inner = (means.clip(0, 1) * self.worth + 0.5) / (self.worth + 1)
        return np.asarray(np.sqrt(inner * (1 - inner) / self.worth))


def _known(frame: pd.DataFrame) -> _Means:
    groups = np.unique(frame["group"].to_numpy(), return_inverse=True)[1]
    rows = pd.factorize(frame["cluster"])[0] if "cluster" in frame else np.arange(len(frame))
    shape = (rows.max() + 1, groups.max() + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (rows, groups), frame["value"].to_numpy())
    np.add.at(counts, (rows, groups), 1.0)
    total, held = counts.sum(axis=0), (counts > 0).sum(axis=0)
    means = sums.sum(axis=0) / total
    left = (sums - counts * means) / total * np.sqrt(held / np.maximum(held - 1, 1))
    covariance = left.T @ left
    errors = np.sqrt(np.diag(covariance))
    related = covariance / np.maximum(np.outer(errors, errors), 1e-24)
    np.fill_diagonal(related, 1.0)
    varies = errors > 1e-12
    worth = np.where(varies, means * (1 - means) / np.where(varies, errors, 1.0) ** 2, held)
    mixed = (counts > 0).sum(axis=1).max() > 1
    freedom = max(1, shape[0] - (1 if mixed else shape[1]))
    shares = bool(frame["value"].isin((0, 1)).all())
    ends = float(frame["value"].min()), float(frame["value"].max())
    step = (ends[1] - ends[0]) / float(total.max()) if frame["value"].isin(ends).all() else 0.0
    return _Means(means, errors, worth.clip(1, total), related, freedom, shares, step)


def _inverted(known: _Means, missed: float, seed: int) -> tuple[float, float]:
    """The gaps at which the one that was seen would be neither rare from above nor from below, by simulation.

    Groups are supposed to lie as they were seen to, only nearer together or farther apart.  For the lower end groups
    that may tie with an extreme one are supposed to: the more there are, the larger a gap noise alone makes.
    """
    means, noise = known.means, known.drawn(seed)
    seen, centre = float(means.max() - means.min()), float((means.max() + means.min()) / 2)
    shape = (means - centre) / seen if seen > 0 else -(np.arange(len(means)) == 0).astype(float)

    def gaps(shape: Floats, size: float) -> Floats:
        there = centre + size * shape
        moved = there + noise * known.errors_at(there)
        moved = moved.clip(0, 1) if known.shares else moved
        return np.asarray(moved.max(axis=1) - moved.min(axis=1))

    def largest(holds: Callable[[float], bool]) -> float:
        """The end of the gaps, from 0 on, at which something holds."""
        low, high = 0.0, 1.0 if known.shares else seen + 12 * float(known.errors.max())
        if not holds(low):
            return 0.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low

    edge = known.step / 4 + 1e-9 * max(1.0, seen)
    tied = _tied(known, shape, seen)
    below = (LOWER if known.shares else SKEWED) * missed
    low = largest(lambda size: (gaps(tied, size) >= seen - edge).mean() < below)
    high = largest(lambda size: (gaps(shape, size) <= seen + edge).mean() > UPPER * missed)
    return low, max(high, seen)


def _tied(known: _Means, shape: Floats, seen: float) -> Floats:
    """The shape with groups within a standard error of an extreme one moved onto it, the nearer one first."""
    errors = known.errors_at(known.means)
    tied = shape.copy()
    for end in sorted((int(shape.argmax()), int(shape.argmin())), key=lambda end: errors[end]):
        apart = np.sqrt(np.maximum(errors**2 + errors[end] ** 2 - 2 * known.related[end] * errors * errors[end], 0.0))
        near = (np.abs(shape - shape[end]) * seen <= apart) & (np.abs(shape - shape[end]) <= 0.5)
        tied[near] = shape[end]
    return tied


def _gap(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    known = _known(frame)
    value = float(known.means.max() - known.means.min())
    n, clusters = len(frame), int(frame["cluster"].nunique()) if "cluster" in frame else len(frame)
    if frame.groupby("group").size().min() < 2 or clusters < 3:
        return Estimate(value, None, None, n, clusters, "a group of one: no interval", confidence)
    if not known.errors.any():
        return Estimate(value, None, None, n, clusters, "all rows of each group agree: no interval", confidence)
    low, high = _inverted(known, 1 - confidence, seed)
    return Estimate(value, low, high, n, clusters, METHOD, confidence)


def _extreme(best: bool) -> Any:
    """The interval of the highest or lowest mean.

    On the side of the other groups every group's bound must hold, by Bonferroni; on the far side the farthest bound
    reaches at least to that of the truly extreme group.  Where groups are equal only the first can be missed, so it may
    be by nearly all that may be missed.
    """

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        parts = [Terms(rows["value"], None, rows.get("cluster")) for _, rows in frame.groupby("group")]
        levels = 1 - 2 * INNER * (1 - confidence) / max(2, len(parts))
        plain, strict = ([p.estimate(level) for p in parts] for level in (confidence, levels))
        found = sorted(plain, key=lambda e: e.value or 0.0)[-1 if best else 0]
        inner = [e.low if best else e.high for e in strict]
        outer = [e.high if best else e.low for e in plain]
        near, far = ([bound for bound in side if bound is not None] for side in (inner, outer))
        if len(near) + len(far) < 2 * len(parts):
            return replace(found, low=None, high=None, method="a group without an interval")
        low, high = (max(near), max(far)) if best else (min(far), min(near))
        return replace(found, low=low, high=high, method=f"{found.method}, Bonferroni over {len(parts)} groups")

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
    Interval of the gap: by test inversion, from the gaps whose samples would show what was seen: the largest of several
    noisy differences is too large, and the interval allows for it; 0 is inside where groups may be equal.
    Source: this project's form of the worst-group gap (Sagawa et al. 2020); Carpenter 1999 for test inversion.
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
