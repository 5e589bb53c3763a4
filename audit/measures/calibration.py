"""Does confidence mean anything?  Calibration, and what is gained by answering only when confident."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.measures.columns import BINARY, OPTIONAL_CLUSTER, PROBABILITY
from audit.measures.define import Result, Terms, measure
from audit.measures.rates import clusters

BINS = 15
Floats = NDArray[np.float64]


def _squares(frame: pd.DataFrame) -> Terms:
    return Terms((frame["confidence"] - frame["correct"]) ** 2, None, clusters(frame))


def _gaps(bins: Any, confidence: Floats, correct: Floats) -> tuple[float, float]:
    """Expected and largest gap between mean confidence and accuracy over the bins that hold anything."""
    counts = np.bincount(bins, minlength=BINS)
    gaps = np.abs(np.bincount(bins, confidence, BINS) - np.bincount(bins, correct, BINS))
    return float(gaps.sum() / len(bins)), float((gaps[counts > 0] / counts[counts > 0]).max())


def _tied(order: Any, keys: Floats, values: Floats) -> Floats:
    """`values` in order, each replaced by the mean of its group of equal keys: the same whatever the order of rows."""
    _, groups = np.unique(keys[order], return_inverse=True)
    sums, counts = np.bincount(groups, values[order]), np.bincount(groups)
    tied: Floats = (sums / counts)[groups]
    return tied


@measure(
    columns={"confidence": PROBABILITY, "correct": BINARY},
    optional=OPTIONAL_CLUSTER,
    results={
        "ece": Result("lower", 0.0, "proportion"),
        "mce": Result("lower", 0.0, "proportion"),
        "brier": Result("lower", 0.0, "score", _squares),
        "ece_equal_mass": Result("lower", 0.0, "proportion"),
    },
)
def ece(frame: pd.DataFrame) -> dict[str, Any]:
    """Expected calibration error: how far confidence is from accuracy, over 15 bins.

    Row: one item; `confidence` is the probability given to the predicted answer.  ece: 15 equal-width bins (low, high],
    0 in the first; sum over bins of (rows in bin / rows) x |accuracy - mean confidence|.  mce: the largest such gap
    over bins that hold anything.  ece_equal_mass: 15 bins of equal counts (the first ones take what is left over; rows
    of equal confidence share their mean accuracy).  brier: mean of (confidence - correct)^2, of the predicted answer
    only: not the multi-class Brier score.
    Direction: lower is better; ideal 0.  Source: Guo et al. 2017; Nguyen and O'Connor 2015 for equal mass.
    Validity: biased upwards in small samples (a perfectly calibrated model scores above 0), depends on the bins, and
    mce is driven by the emptiest bin.
    """
    confidence, correct = frame["confidence"].to_numpy(), frame["correct"].to_numpy().astype(float)
    edges = np.arange(1, BINS) / BINS
    expected, largest = _gaps(np.searchsorted(edges, confidence, side="left"), confidence, correct)
    order = np.argsort(confidence, kind="stable")
    sizes = [len(part) for part in np.array_split(order, BINS)]
    mass, _ = _gaps(np.repeat(np.arange(BINS), sizes), confidence[order], _tied(order, confidence, correct))
    brier = float(((confidence - correct) ** 2).mean())
    return {"ece": expected, "mce": largest, "brier": brier, "ece_equal_mass": mass}


@measure(
    columns={"confidence": PROBABILITY, "correct": BINARY},
    optional=OPTIONAL_CLUSTER,
    results={
        "aurc": Result("lower", 0.0, "score"),
        "e_aurc": Result("lower", 0.0, "score"),
        "accuracy_at_80": Result("higher", 1.0, "proportion"),
        "accuracy_at_90": Result("higher", 1.0, "proportion"),
        "coverage_at_95": Result("higher", 1.0, "proportion"),
    },
)
def selective(frame: pd.DataFrame) -> dict[str, Any]:
    """What answering only the most confident items would gain: the area under the risk-coverage curve.

    Row: one item.  Items are taken from the most confident down; after k of n the coverage is k / n and the risk the
    share of wrong answers among them.  aurc: mean risk over k = 1..n.  e_aurc: aurc minus that of the best possible
    order of the same answers (exact, not the logarithmic approximation).  accuracy_at_80, accuracy_at_90: accuracy
    among the ceil(0.8 n), ceil(0.9 n) most confident.  coverage_at_95: the largest coverage that some threshold on
    confidence gives with an accuracy of at least 0.95; 0 where none does.  Items of equal confidence count as their
    mean, so the order of rows does not matter.
    Direction: aurc and e_aurc lower, the others higher; ideals 0 and 1.  Source: Geifman and El-Yaniv 2017; Geifman et
    al. 2019.
    Validity: aurc mixes accuracy with ranking (read e_aurc for ranking alone); thresholds chosen on these rows are
    optimistic.
    """
    confidence, correct = frame["confidence"].to_numpy(), frame["correct"].to_numpy().astype(float)
    n = len(frame)
    order = np.argsort(-confidence, kind="stable")
    taken = np.arange(1, n + 1)
    accuracy = np.cumsum(_tied(order, confidence, correct)) / taken
    best = np.cumsum(np.sort(correct)[::-1]) / taken
    ranked = confidence[order]
    ends = np.append(ranked[1:] != ranked[:-1], True)
    enough = np.flatnonzero(ends & (accuracy >= 0.95 - 1e-12))
    return {
        "aurc": float((1 - accuracy).mean()),
        "e_aurc": float((best - accuracy).mean()),
        "accuracy_at_80": float(accuracy[-(-n * 80 // 100) - 1]),
        "accuracy_at_90": float(accuracy[-(-n * 90 // 100) - 1]),
        "coverage_at_95": float(taken[enough[-1]] / n) if len(enough) else 0.0,
    }
