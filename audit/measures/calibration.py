"""Does confidence mean anything?  Calibration, and what is gained by answering only when confident."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit import stats
from audit.measures.columns import BINARY, OPTIONAL_CLUSTER, PROBABILITY
from audit.measures.define import Interval, Result, Terms, measure
from audit.measures.rates import clusters
from audit.types import Estimate

BINS = 15
EMPTIEST = "driven by the emptiest bin: no interval"
Floats = NDArray[np.float64]
Binning = Callable[[Floats, Floats], tuple[Any, Floats, Floats]]


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


def _columns(frame: pd.DataFrame) -> tuple[Floats, Floats]:
    return frame["confidence"].to_numpy(dtype=float), frame["correct"].to_numpy(dtype=float)


def _drawn(of: Callable[[Floats, Floats], dict[str, float]], key: str) -> Interval:
    """A bootstrap on plain arrays, over clusters where rows share them."""

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        table = np.stack(_columns(frame), axis=1)
        return stats.bootstrap_rows(
            lambda t: of(t[:, 0], t[:, 1])[key], table, frame.get("cluster"), confidence=confidence, seed=seed
        )

    return interval


def equal_widths(confidence: Floats, correct: Floats) -> tuple[Any, Floats, Floats]:
    """Which of 15 bins of equal width, (low, high] and 0 in the first, each row falls in; the rows' values."""
    return np.searchsorted(np.arange(1, BINS) / BINS, confidence, side="left"), confidence, correct


def _masses(confidence: Floats, correct: Floats) -> tuple[Any, Floats, Floats]:
    """Which of 15 bins of equal count each row falls in; the rows' values, ties with their mean accuracy."""
    order = np.argsort(confidence, kind="stable")
    bins = np.empty(len(order), dtype=int)
    bins[order] = np.repeat(np.arange(BINS), [len(part) for part in np.array_split(order, BINS)])
    tied = np.empty(len(order))
    tied[order] = _tied(order, confidence, correct)
    return bins, confidence, tied


def expected_gap(bins_of: Binning) -> Interval:
    """The interval of an expected gap, whose estimate noise pushes upwards."""

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        bins, said, right = bins_of(*_columns(frame))
        table = np.zeros((len(frame), BINS))
        table[np.arange(len(frame)), bins] = said - right
        return stats.folded(table, frame.get("cluster"), confidence=confidence, seed=seed)

    return interval


def _ranked(confidence: Floats, correct: Floats) -> dict[str, float]:
    """The five results of `selective`."""
    n = len(confidence)
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


@measure(
    columns={"confidence": PROBABILITY, "correct": BINARY},
    optional=OPTIONAL_CLUSTER,
    results={
        "ece": Result("lower", 0.0, "proportion", interval=expected_gap(equal_widths)),
        "mce": Result("lower", 0.0, "proportion", none=EMPTIEST),
        "brier": Result("lower", 0.0, "score", _squares),
        "ece_equal_mass": Result("lower", 0.0, "proportion", interval=expected_gap(_masses)),
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
    mce is driven by the emptiest bin.  The interval of both expected gaps allows for that bias: its lower bound is 0
    where noise alone explains the gap, so that the estimate lies high in it.
    """
    confidence, correct = _columns(frame)
    expected, largest = _gaps(*equal_widths(confidence, correct))
    mass, _ = _gaps(*_masses(confidence, correct))
    brier = float(((confidence - correct) ** 2).mean())
    return {"ece": expected, "mce": largest, "brier": brier, "ece_equal_mass": mass}


@measure(
    columns={"confidence": PROBABILITY, "correct": BINARY},
    optional=OPTIONAL_CLUSTER,
    results={
        "aurc": Result("lower", 0.0, "score", interval=_drawn(_ranked, "aurc")),
        "e_aurc": Result("lower", 0.0, "score", interval=_drawn(_ranked, "e_aurc")),
        "accuracy_at_80": Result("higher", 1.0, "proportion", interval=_drawn(_ranked, "accuracy_at_80")),
        "accuracy_at_90": Result("higher", 1.0, "proportion", interval=_drawn(_ranked, "accuracy_at_90")),
        "coverage_at_95": Result("higher", 1.0, "proportion", interval=_drawn(_ranked, "coverage_at_95")),
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
    return _ranked(*_columns(frame))
