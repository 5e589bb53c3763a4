"""Does confidence mean anything?  Calibration, and what is gained by answering only when confident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
GOAL = 0.95  # the accuracy whose coverage is reported
SEARCHED = 1.3  # times what may be missed at one threshold, as the largest coverage is rarely in doubt at both ends
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


def _drawn(key: str) -> Interval:
    """A bootstrap on plain arrays, over clusters where rows share them."""

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        table, names = np.stack(_columns(frame), axis=1), clusters(frame)
        if names is None or names.nunique() == len(names):
            return stats.bootstrap_ranks(
                lambda t: _ranked(t[..., 0], t[..., 1])[key], table, confidence=confidence, seed=seed
            )
        return stats.bootstrap_rows(
            lambda t: float(_ranked(t[None, :, 0], t[None, :, 1])[key][0]),
            table,
            names,
            confidence=confidence,
            seed=seed,
        )

    return interval


def _selected(share: int) -> Interval:
    """Of the accuracy among the surest rows: Wilson's, for the rows that it is worth by a bootstrap's variance.

    Percentiles of the bootstrap cover 81 to 89% where nearly all of these rows are right, in simulation.
    """

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        found = _drawn(f"accuracy_at_{share}")(frame, confidence, seed)
        value, taken = found.value, found.clusters * share / 100
        if value in (0.0, 1.0):
            low, high = stats.clopper_pearson(round(taken) if value else 0, round(taken), confidence)
            return replace(found, low=low, high=high, method="clopper-pearson, one-sided")
        if value is None or found.low is None or found.high is None:
            return found
        spread = ((found.high - found.low) / 2 / stats.normal_quantile(confidence)) ** 2
        worth = min(value * (1 - value) / spread, taken) if spread > 0 else taken
        low, high = stats.wilson(value * worth, worth, confidence)
        return replace(found, low=low, high=high, method="wilson, worth by bootstrap")

    return interval


def _covering(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """Coverages at which an accuracy of 95% is not refuted: from the largest proven to the largest possible.

    Wilson's interval of the accuracy at every threshold, of as many rows as there are clusters.  The lower bound goes
    up from the first threshold at which 95% is proven while it stays so (fixed-sequence testing, as in Angelopoulos et
    al. 2021).  A bootstrap of a largest threshold misses the truth half of the time, in simulation.
    """
    sure, right = _columns(frame)
    names = clusters(frame)
    n, count = len(frame), len(frame) if names is None else names.nunique()
    order = np.argsort(-sure, kind="stable")
    ends = np.append(sure[order][1:] != sure[order][:-1], True)
    taken, hits = np.arange(1, n + 1)[ends], np.cumsum(right[order])[ends]
    quantile = stats.normal_quantile(1 - SEARCHED * (1 - confidence))
    least, most = stats.wilson_bounds(hits * (count / n), taken * (count / n), quantile)
    value = float(_ranked(sure[None], right[None])["coverage_at_95"][0])
    open_, proven = np.flatnonzero(most >= GOAL), np.flatnonzero(least >= GOAL)
    high = float(taken[open_[-1]] / n) if len(open_) else 0.0
    low = 0.0
    if len(proven):
        ended = np.flatnonzero(least[proven[0] :] < GOAL)
        low = float(taken[proven[0] + (ended[0] if len(ended) else len(taken) - proven[0]) - 1] / n)
    return Estimate(value, min(low, value), max(high, value), n, count, "wilson at each threshold", confidence)


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


def _ranked(confidence: Floats, correct: Floats) -> dict[str, Floats]:
    """The five results of `selective` for each of several tables: (tables, rows) both, to (tables,)."""
    tables, n = confidence.shape
    order = np.argsort(-confidence, axis=1, kind="stable")
    taken = np.arange(1, n + 1)
    ranked = np.take_along_axis(confidence, order, 1)
    ends = np.append(ranked[:, 1:] != ranked[:, :-1], np.full((tables, 1), True), axis=1)
    starts = np.append(np.full((tables, 1), True), ends[:, :-1], axis=1)
    ties = np.cumsum(starts.ravel()) - 1  # equal confidences share their mean accuracy
    means = np.bincount(ties, np.take_along_axis(correct, order, 1).ravel()) / np.bincount(ties)
    accuracy = np.cumsum(means[ties].reshape(tables, n), axis=1) / taken
    best = np.cumsum(-np.sort(-correct, axis=1), axis=1) / taken
    enough = ends & (accuracy >= GOAL - 1e-12)
    return {
        "aurc": (1 - accuracy).mean(axis=1),
        "e_aurc": (best - accuracy).mean(axis=1),
        "accuracy_at_80": accuracy[:, -(-n * 80 // 100) - 1],
        "accuracy_at_90": accuracy[:, -(-n * 90 // 100) - 1],
        "coverage_at_95": np.where(enough.any(axis=1), (n - np.argmax(enough[:, ::-1], axis=1)) / n, 0.0),
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
        "aurc": Result("lower", 0.0, "score", interval=_drawn("aurc")),
        "e_aurc": Result("lower", 0.0, "score", interval=_drawn("e_aurc")),
        "accuracy_at_80": Result("higher", 1.0, "proportion", interval=_selected(80)),
        "accuracy_at_90": Result("higher", 1.0, "proportion", interval=_selected(90)),
        "coverage_at_95": Result("higher", 1.0, "proportion", interval=_covering),
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
    return {key: float(value[0]) for key, value in _ranked(*(c[None] for c in _columns(frame))).items()}
