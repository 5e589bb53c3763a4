"""What changes from in-distribution to out-of-distribution rows: accuracy, calibration, perplexity."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from audit import stats
from audit.measures.calibration import BINS, equal_widths, expected_gap
from audit.measures.columns import BINARY, COUNT, OPTIONAL_CLUSTER, PROBABILITY, Column
from audit.measures.define import Interval, Result, Terms, explained, measure, solve
from audit.measures.rates import bounded, clusters, flat
from audit.types import Estimate

ONE_SIDE = "only one kind of row: needs both is_ood 0 and is_ood 1"


def _sides(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    out = frame["is_ood"].to_numpy() == 1
    return frame[~out], frame[out]


def _combined(higher: Estimate, lower: Estimate, method: str) -> Estimate:
    """higher - lower of two independent estimates: their bounds combined by squares (Zou and Donner 2008)."""
    n, count = higher.n + lower.n, higher.clusters + lower.clusters
    if higher.value is None or lower.value is None:
        return Estimate(None, n=n, method=ONE_SIDE, confidence=higher.confidence)
    value = higher.value - lower.value
    if higher.low is None or higher.high is None or lower.low is None or lower.high is None:
        why = higher.method if higher.low is None else lower.method
        return Estimate(value, None, None, n, count, why, higher.confidence)
    down = math.hypot(higher.value - higher.low, lower.high - lower.value)
    up = math.hypot(higher.high - higher.value, lower.value - lower.low)
    return Estimate(value, value - down, value + up, n, count, method, higher.confidence)


def _share(frame: pd.DataFrame, confidence: float) -> Estimate:
    """Accuracy of one side with plain Wilson bounds, as Newcombe combines them; by clusters where rows share them."""
    found = Terms(frame["correct"], None, clusters(frame)).estimate(confidence)
    if found.value is None or (found.clusters < found.n and found.value not in (0.0, 1.0)):
        return found
    low, high = stats.wilson(found.value * found.clusters, found.clusters, confidence)
    return replace(found, low=low, high=high)


def _drop(frame: pd.DataFrame, confidence: float = 0.95, seed: int = 0) -> Estimate:
    inside, outside = (_share(side, confidence) for side in _sides(frame))
    return _combined(inside, outside, "newcombe" if "wilson" in inside.method else "newcombe, one side at a bound")


@measure(
    columns={"correct": BINARY, "is_ood": BINARY},
    optional=OPTIONAL_CLUSTER,
    results=bounded(Result("lower", 0.0, "points", interval=_drop)),
)
def domain_drop(frame: pd.DataFrame) -> dict[str, Any]:
    """Accuracy on in-distribution rows minus accuracy on out-of-distribution rows.

    Row: one item; `is_ood` 1 where it is out-of-distribution.  The two kinds are different items.  Value: the mean of
    `correct` where is_ood is 0 minus its mean where is_ood is 1, in proportion units (0.05 is five percentage points),
    with Newcombe's 95% interval of a difference of independent proportions.
    Direction: lower is better (0: no drop); ideal 0; points.
    Source: Hendrycks et al. 2020 for the comparison; Newcombe 1998, Zou and Donner 2008 for the interval.
    Validity: the two sets differ in more than their domain (difficulty, length, how they were labelled): a drop is no
    proof of its cause.
    """
    found = _drop(frame)
    return explained(flat(found), {"value": ONE_SIDE})


def _excess(frame: pd.DataFrame) -> Any:
    return frame["confidence"] - frame["correct"]


def _overrated(side: pd.DataFrame, confidence: float) -> Estimate:
    """Mean confidence minus accuracy of one side, each with its interval: one t of both misses rare errors."""
    right, sure = _share(side, confidence), stats.mean(side["confidence"], clusters(side), confidence=confidence)
    if sure.low is None:  # it is always as sure
        sure = replace(sure, low=sure.value, high=sure.value)
    found = _combined(sure, right, "t of confidence and wilson of accuracy, combined")
    return replace(found, n=right.n, clusters=right.clusters)


def _overconfidence(frame: pd.DataFrame, confidence: float, seed: int = 0) -> Estimate:
    inside, outside = (_overrated(side, confidence) for side in _sides(frame))
    return _combined(outside, inside, "t of confidence and wilson of accuracy of each side, combined")


def _mask(frame: pd.DataFrame, side: int) -> Terms:
    kept = (frame["is_ood"] == side).astype(float)
    return Terms(_excess(frame) * kept, kept, clusters(frame))


def bins(confidence: Any, correct: Any) -> tuple[Any, Any, Any]:
    """Rows, mean confidence and accuracy of each of 15 equal-width bins (low, high]; zeros where a bin is empty."""
    at = np.searchsorted(np.arange(1, BINS) / BINS, confidence, side="left")
    counts = np.bincount(at, minlength=BINS)
    filled = np.maximum(counts, 1)
    return counts, np.bincount(at, confidence, BINS) / filled, np.bincount(at, correct, BINS) / filled


def _reliability(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The points of a reliability diagram of each kind of row."""
    points = []
    for name, side in zip(("in", "out"), _sides(frame), strict=True):
        counts, sure, right = bins(side["confidence"].to_numpy(), side["correct"].to_numpy())
        points += [
            {
                "side": name,
                "low": at / BINS,
                "high": (at + 1) / BINS,
                "n": int(counts[at]),
                "confidence": float(sure[at]),
                "accuracy": float(right[at]),
            }
            for at in range(BINS)
            if counts[at]
        ]
    return points


def _side_ece(at: int) -> Interval:
    """The interval of one side's expected calibration error."""

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        return expected_gap(equal_widths)(_sides(frame)[at], confidence, seed)

    return interval


def _ece(side: pd.DataFrame) -> float | None:
    if not len(side):
        return None
    counts, sure, right = bins(side["confidence"].to_numpy(), side["correct"].to_numpy())
    return float((counts * np.abs(sure - right)).sum() / len(side))


CALIBRATION = {
    "overconfidence_shift": Result("lower", 0.0, "points", interval=_overconfidence),
    "overconfidence_in": Result("zero", 0.0, "points", lambda f: _mask(f, 0), undefined=ONE_SIDE),
    "overconfidence_out": Result("zero", 0.0, "points", lambda f: _mask(f, 1), undefined=ONE_SIDE),
    "ece_in": Result("lower", 0.0, "proportion", undefined=ONE_SIDE, interval=_side_ece(0)),
    "ece_out": Result("lower", 0.0, "proportion", undefined=ONE_SIDE, interval=_side_ece(1)),
    "reliability": Result(none="a table"),
}


@measure(
    columns={"confidence": PROBABILITY, "correct": BINARY, "is_ood": BINARY},
    optional=OPTIONAL_CLUSTER,
    results=CALIBRATION,
)
def calibration_shift(frame: pd.DataFrame) -> dict[str, Any]:
    """How much more a model overrates itself out of distribution than in distribution.

    Row: one item; `confidence` is the probability of the predicted answer.  overconfidence_in and _out: mean confidence
    minus accuracy of each kind of row (signed: above 0 the model promises more than it keeps); overconfidence_shift:
    out minus in.  ece_in, ece_out: expected calibration error of each kind, 15 equal-width bins (low, high].
    reliability: the diagram's points, one for each bin that holds anything: side, bounds, rows, confidence, accuracy.
    Direction: lower is better; ideal 0; overconfidence in points (0.05 is five percentage points).
    Source: Ovadia et al. 2019 for calibration under shift; Guo et al. 2017 for ECE.
    Validity: overconfidence is unbiased but lets opposite errors cancel; ECE does not, and is biased upwards in small
    samples, more so for the smaller side: compare ece_in with ece_out only at similar counts.
    """
    inside, outside = _sides(frame)
    solved = solve(frame, CALIBRATION)
    values = {
        "overconfidence_shift": _overconfidence(frame, 0.95).value,
        "overconfidence_in": solved["overconfidence_in"],
        "overconfidence_out": solved["overconfidence_out"],
        "ece_in": _ece(inside),
        "ece_out": _ece(outside),
        "reliability": _reliability(frame),
    }
    return explained(values, dict.fromkeys(values, ONE_SIDE))


def _nats(side: pd.DataFrame, confidence: float) -> Estimate:
    return Terms(-side["loglikelihood"], side["tokens"], clusters(side)).estimate(confidence)


def _exp(nats: float) -> float:
    return math.exp(min(nats, 700.0))


def _ratio(frame: pd.DataFrame, confidence: float = 0.95, seed: int = 0) -> Estimate:
    inside, outside = (_nats(side, confidence) for side in _sides(frame))
    found = _combined(outside, inside, "t of each side's nats a token, combined")
    value, low, high = (None if v is None else _exp(v) for v in (found.value, found.low, found.high))
    return replace(found, value=value, low=low, high=high)


@measure(
    columns={"loglikelihood": Column("number", high=0), "tokens": COUNT, "is_ood": BINARY},
    optional=OPTIONAL_CLUSTER,
    results={
        "ratio": Result("lower", 1.0, "score", interval=_ratio),
        "perplexity_in": Result("lower", 1.0, "score", none="see measure perplexity"),
        "perplexity_out": Result("lower", 1.0, "score", none="see measure perplexity"),
    },
)
def perplexity_shift(frame: pd.DataFrame) -> dict[str, Any]:
    """How many times as perplexed a language model is out of distribution as in distribution.

    Row: one text; `loglikelihood` in nats, summed over its `tokens`.  perplexity_in, perplexity_out: exp(- sum of
    loglikelihoods / sum of tokens) of each kind of row; ratio: out / in, with an interval on the log scale.
    Direction: lower is better (1: equally at home in both; below 1: more at home out of distribution).
    Source: Arora et al. 2021 for perplexity as a sign of shift.
    Validity: texts of some domains are harder for any reader (names, figures, terms), so compare the ratio with another
    model's, with the same tokenizer; few long texts weigh more than many short ones.
    """
    inside, outside = (_nats(side, 0.95).value for side in _sides(frame))
    values = {
        "ratio": None if inside is None or outside is None else _exp(outside - inside),
        "perplexity_in": None if inside is None else _exp(inside),
        "perplexity_out": None if outside is None else _exp(outside),
    }
    return explained(values, dict.fromkeys(values, ONE_SIDE))
