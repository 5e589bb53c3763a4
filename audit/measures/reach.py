"""How far a model's attention reaches: shares found, ends against middle, and the length up to which it works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from audit import stats
from audit.errors import UsageError
from audit.measures.columns import BINARY, COUNT, OPTIONAL_CLUSTER, PROBABILITY
from audit.measures.define import Result, Terms, explained, measure, solve
from audit.types import Estimate

KEPT = 0.85  # of the score at the shortest length
EITHER = 0.75  # of what may be missed, at either end of the lengths: both are in doubt at once only on a flat curve
ENDS = 0.1  # of the positions: nearer than this to 0 or 1 is an end; the middle is from 0.25 to 0.75


def _shares(frame: pd.DataFrame) -> Terms:
    bad = ((frame["hidden"] < 1) | (frame["found"] > frame["hidden"])).to_numpy()
    if bad.any():
        raise UsageError(f"column 'found', row {int(bad.argmax()) + 1}: more was found than was hidden, or none hidden")
    return Terms(frame["found"] / frame["hidden"], None, frame.get("cluster"), bounded=True)


FOUND = {"found_share": Result("higher", 1.0, "proportion", _shares)}


@measure(columns={"found": COUNT, "hidden": COUNT}, optional=OPTIONAL_CLUSTER, results=FOUND)
def found_share(frame: pd.DataFrame) -> dict[str, Any]:
    """Mean share of what was hidden in a text that is found again.

    Row: one text, with how many things were hidden in it and how many of them came back; every text weighs the same.
    Direction: higher is better; ideal 1; a proportion.  Source: RULER's string_match_all (Hsieh et al. 2024).
    Validity: as for `ruler` where the counts come from substrings: an answer that lists everything scores full marks.
    """
    return solve(frame, FOUND)


def _places(frame: pd.DataFrame, first: bool, last: bool) -> tuple[list[Any], Any]:
    """Which rows stand at the ends that are asked for, and which in the middle."""
    at = frame["position"].to_numpy()
    return [part for part, asked in ((at <= ENDS, first), (at >= 1 - ENDS, last)) if asked], (at >= 0.25) & (at <= 0.75)


def _gaps(frame: pd.DataFrame, first: bool, last: bool) -> Any:
    """For each item mean of `correct` at the ends minus its mean in the middle: (items asked at both,)."""
    ends, middle = _places(frame, first, last)
    codes, count = pd.factorize(frame["cluster"])[0], frame["cluster"].nunique()

    def mean(rows: Any) -> Any:
        asked = np.bincount(codes[rows], minlength=count)
        right = np.bincount(codes[rows], frame["correct"].to_numpy(dtype=float)[rows], count)
        return np.where(asked > 0, right / np.maximum(asked, 1), np.nan)

    gaps = sum(mean(rows) for rows in ends) / len(ends) - mean(middle)
    return gaps[~np.isnan(gaps)]


def _apart(frame: pd.DataFrame, first: bool, last: bool) -> Terms:
    """The same of rows that are all different items, as a ratio of sums over rows; nothing where a place is empty."""
    ends, middle = _places(frame, first, last)
    if not middle.any() or not all(part.any() for part in ends):
        return Terms(np.zeros(len(frame)), np.zeros(len(frame)))
    weight = sum(part / part.sum() for part in ends) / len(ends) - middle / middle.sum()
    return Terms(weight * frame["correct"], np.full(len(frame), 1 / len(frame)))


def _gap(first: bool, last: bool, direction: Any, ideal: float | None, why: str) -> Result:
    def alone(frame: pd.DataFrame) -> float | None:
        return interval(frame, 0.95, 0).value

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        if "cluster" not in frame:
            return _apart(frame, first, last).estimate(confidence)
        gaps = _gaps(frame, first, last)
        return replace(Terms(gaps, paired=True).estimate(confidence), n=len(frame), clusters=len(gaps))

    return Result(direction, ideal, "points", interval=interval, alone=alone, undefined=why)


GAP = {
    "middle_loss": _gap(True, True, "lower", 0.0, "needs rows at both ends and in the middle"),
    "primacy_gap": _gap(True, False, "none", None, "needs rows at the start and in the middle"),
    "recency_gap": _gap(False, True, "none", None, "needs rows at the end and in the middle"),
}


@measure(columns={"position": PROBABILITY, "correct": BINARY}, optional=OPTIONAL_CLUSTER, results=GAP)
def position_gap(frame: pd.DataFrame) -> dict[str, Any]:
    """How much more often a model is right on what stands at the ends of a text than on what stands in its middle.

    Row: one question whose evidence stands at `position` (0 start, 1 end); `cluster` is the item that is asked at
    several positions.  primacy_gap: accuracy within a tenth of the start minus accuracy from 0.25 to 0.75;
    recency_gap: the same of the end; middle_loss: the mean of the two.  Means over the items asked at all of them
    (over rows without `cluster`).
    Interval: Tango's (1998) of a paired difference, over items; a t of different items where there is no `cluster`.
    Direction: lower is better, ideal 0; points.  Source: the U-shaped curve of Liu et al. 2024 (Lost in the Middle).
    Variant: this project's summary of the curve in one number; the paper draws it.
    Validity: ask every item at every position, or the positions differ in their items too.
    """
    alone = {key: result.alone for key, result in GAP.items()}
    values = {key: value(frame) for key, value in alone.items() if value is not None}
    return explained(values, {key: result.undefined for key, result in GAP.items()})


def _scores(frame: pd.DataFrame) -> tuple[Any, Any, Any]:
    """Lengths (L,), and right answers and questions by cluster and length, both (clusters, L)."""
    lengths, column = np.unique(frame["length"], return_inverse=True)
    names = frame["cluster"] if "cluster" in frame else pd.Series(range(len(frame)))
    _, row = np.unique(names.to_numpy(dtype=str), return_inverse=True)
    right, asked = np.zeros((2, row.max() + 1, len(lengths)))
    np.add.at(right, (row, column), frame["correct"].to_numpy(dtype=float))
    np.add.at(asked, (row, column), 1.0)
    return lengths, right, asked


def _reach(lengths: Any, right: Any, asked: Any) -> Any:
    """The longest length up to which all scores (..., L) are at least KEPT of the first; 0 where the first is 0."""
    scores = right / np.maximum(asked, 1)
    works = (scores >= KEPT * scores[..., :1]) & (scores[..., :1] > 0)
    count = np.cumprod(works, axis=-1).sum(axis=-1)
    return np.where(count > 0, lengths[np.maximum(count - 1, 0)], 0.0)


def _interval(share: bool) -> Any:
    """From the longest length up to which the share kept is proven to the longest up to which it is not refuted.

    At each length an interval of how far the score lies above KEPT of the shortest length's.  The lengths are tested in
    order, each only after those before it, so that no correction is due (fixed-sequence testing).
    """

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        lengths, right, asked = _scores(frame)
        scale, count = 1 / lengths[-1] if share else 1.0, len(right)
        value = float(_reach(lengths, right.sum(0), asked.sum(0)) * scale)
        if count < 2:
            return Estimate(value, None, None, len(frame), count, "one cluster: no interval", confidence)
        proven, open_ = True, True
        low = high = float(lengths[0]) if value else 0.0
        level = 1 - 2 * EITHER * (1 - confidence)
        for at in range(1, len(lengths)):
            least, most = _kept(right, asked, at, level)
            proven, open_ = proven and least >= 0, open_ and most >= 0
            low, high = lengths[at] if proven else low, lengths[at] if open_ else high
        method = "wilson of both scores, length by length; known at tested lengths only"
        low, high = min(float(low) * scale, value), max(float(high) * scale, value)
        return Estimate(value, low, high, len(frame), count, method, confidence)

    return interval


def _kept(right: Any, asked: Any, at: int, confidence: float) -> tuple[float, float]:
    """Bounds of the score at one length minus KEPT of the score at the shortest: right and asked (clusters, L).

    The two scores' own intervals, combined by squares (Zou and Donner 2008) as if they were of different questions.
    """
    each = ((right[:, n], asked[:, n], asked[:, n] > 0) for n in (0, at))
    short, long = (stats.proportion_of(stats.Clustered(r[on], a[on], int(a.sum())), confidence) for r, a, on in each)
    if short.value is None or short.low is None or short.high is None:
        return -1.0, 1.0
    if long.value is None or long.low is None or long.high is None:
        return -1.0, 1.0
    gap = long.value - KEPT * short.value
    down = np.hypot(long.value - long.low, KEPT * (short.high - short.value))
    up = np.hypot(long.high - long.value, KEPT * (short.value - short.low))
    return float(gap - down), float(gap + up)


@measure(
    columns={"length": COUNT, "correct": BINARY},
    optional=OPTIONAL_CLUSTER,
    results={
        "usable_length": Result("higher", None, "count", interval=_interval(False)),
        "usable_share": Result("higher", 1.0, "proportion", interval=_interval(True)),
        "short_score": Result("higher", 1.0, "proportion", lambda f: _at_shortest(f)),
    },
)
def usable_length(frame: pd.DataFrame) -> dict[str, Any]:
    """The longest context at which a model keeps 85% of its own score at the shortest length, and at every one between.

    Row: one question at one tested length (tokens).  usable_length: that length, 0 where the shortest score is 0;
    usable_share: the same as a share of the longest tested length; short_score: the score at the shortest.
    Direction: higher is better.  Source: effective length of Hsieh et al. 2024 (RULER), relative to the model's own
    short-context score as in Modarressi et al. 2025 (NoLiMa), whose share of 85% is kept.
    Variant: RULER's own bound is absolute (85.6%, another model's score): `effective_length` has it.
    Validity: known only at the lengths tested; a model that guesses at every length keeps its score: read short_score.
    """
    lengths, right, asked = _scores(frame)
    reach = float(_reach(lengths, right.sum(0), asked.sum(0)))
    score = float(right[:, 0].sum() / asked[:, 0].sum())
    values: dict[str, Any] = {
        "usable_length": reach,
        "usable_share": reach / float(lengths[-1]) if lengths[-1] else None,
        "short_score": score,
        "longest_tested": float(lengths[-1]),
    }
    return explained(values, {"usable_share": "the longest length is 0"})


def _at_shortest(frame: pd.DataFrame) -> Terms:
    short = (frame["length"] == frame["length"].min()).astype(float)
    return Terms(frame["correct"] * short, short, frame.get("cluster"))
