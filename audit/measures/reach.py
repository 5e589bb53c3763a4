"""How far a model's attention reaches: shares found, ends against middle, and the length up to which it works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from audit import stats
from audit.errors import UsageError
from audit.measures.columns import BINARY, COUNT, OPTIONAL_CLUSTER, PROBABILITY
from audit.measures.define import Result, Terms, explained, measure, solve
from audit.types import Estimate

KEPT = 0.85  # of the score at the shortest length
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


def _gap(frame: pd.DataFrame, first: bool, last: bool) -> Terms:
    """Mean of `correct` at the ends minus its mean in the middle, as a ratio of sums over rows."""
    at = frame["position"].to_numpy()
    start, end, middle = at <= ENDS, at >= 1 - ENDS, (at >= 0.25) & (at <= 0.75)
    wanted = [part for part, asked in ((start, first), (end, last)) if asked]
    if not middle.any() or not all(part.any() for part in wanted):
        return Terms(np.zeros(len(frame)), np.zeros(len(frame)))
    weight = sum(part / part.sum() for part in wanted) / len(wanted) - middle / middle.sum()
    return Terms(weight * frame["correct"], np.full(len(frame), 1 / len(frame)), frame.get("cluster"))


GAP = {
    "middle_loss": Result("lower", 0.0, "points", lambda f: _gap(f, True, True), undefined="needs ends and a middle"),
    "primacy_gap": Result("none", None, "points", lambda f: _gap(f, True, False), undefined="needs a start and middle"),
    "recency_gap": Result("none", None, "points", lambda f: _gap(f, False, True), undefined="needs an end and middle"),
}


@measure(columns={"position": PROBABILITY, "correct": BINARY}, optional=OPTIONAL_CLUSTER, results=GAP)
def position_gap(frame: pd.DataFrame) -> dict[str, Any]:
    """How much more often a model is right on what stands at the ends of a text than on what stands in its middle.

    Row: one question whose evidence stands at `position` (0 start, 1 end).  primacy_gap: accuracy within a tenth of the
    start minus accuracy from 0.25 to 0.75; recency_gap: the same of the end; middle_loss: the mean of the two.
    Direction: lower is better, ideal 0; points.  Source: the U-shaped curve of Liu et al. 2024 (Lost in the Middle).
    Variant: this project's summary of the curve in one number; the paper draws it.
    Validity: ask every item at every position, or the positions differ in their items too.
    """
    return solve(frame, GAP)


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
    """Clusters drawn again, the same ones at every length; percentiles, which are tested lengths themselves."""

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        lengths, right, asked = _scores(frame)
        scale = 1 / lengths[-1] if share else 1.0
        value = float(_reach(lengths, right.sum(0), asked.sum(0)) * scale)
        count = len(right)
        if count < 2:
            return Estimate(value, None, None, len(frame), count, "one cluster: no interval", confidence)
        drawn = stats.weights(count, 0, seed)
        found = _reach(lengths, drawn @ right, drawn @ asked) * scale
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = np.quantile(found, tails, method="closest_observation")
        method = f"cluster bootstrap, percentile, {len(drawn)} replicates; known at tested lengths only"
        return Estimate(value, float(low), float(high), len(frame), count, method, confidence)

    return interval


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
