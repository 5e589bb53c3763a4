"""How well a score separates two kinds of rows: areas under curves, and the same within groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from audit import stats
from audit.measures.columns import BINARY, NUMBER, OPTIONAL_CLUSTER
from audit.measures.define import Interval, Result, explained, measure
from audit.stats.intervals import ENOUGH, normal_quantile, t_quantile
from audit.types import Estimate

REPLICATES = 400
TOP = 0.95  # share of the negatives that a positive at the top outranks
BETWEEN = (0.1, 0.3, 0.5, 0.7, 0.9)  # places between two scores
MIXED = 1.39  # times what may be missed: a mixture over thresholds is wider than what it stands for, in simulation
LOGITS = f"bootstrap, normal on logits, {REPLICATES} replicates"


def auc(higher: Any, lower: Any) -> float | None:
    """The chance that a score of `higher` exceeds one of `lower`, ties counting half; None where one is empty."""
    if len(higher) == 0 or len(lower) == 0:
        return None
    return float(placements(higher, lower)[0].mean())


def placements(higher: Any, lower: Any) -> tuple[Any, Any]:
    """For each of `higher` the share of `lower` it exceeds, for each of `lower` the share it stays under; ties half."""
    ranks = _ranks(np.concatenate([higher, lower]))
    above = (ranks[: len(higher)] - _ranks(higher)) / len(lower)
    return above, 1 - (ranks[len(higher) :] - _ranks(lower)) / len(higher)


def _ranks(values: Any) -> Any:
    return pd.Series(values).rank().to_numpy()


def average_precision(positive: Any, negative: Any) -> float:
    """Precision averaged over the steps of recall, thresholds taken from the top; equal scores are one step."""
    scores = np.concatenate([positive, negative])
    truth = np.repeat([1.0, 0.0], [len(positive), len(negative)])
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(truth[order])[ends]
    steps = np.diff(np.append(0.0, hits)) / len(positive)
    return float((steps * hits / (np.flatnonzero(ends) + 1)).sum())


def false_positives(inside: Any, outside: Any) -> float:
    """Share of `outside` at or above the highest threshold that at least 95% of `inside` reach."""
    kept = -(-len(inside) * 95 // 100)
    return float((outside >= np.sort(inside)[len(inside) - kept]).mean())


POINTS: Mapping[str, Callable[[Any, Any], float]] = {
    "aupr": average_precision,
    "fpr_at_95_tpr": false_positives,
    "aupr_out": lambda inside, outside: average_precision(-outside, -inside),
}


def _drawn(point: Callable[[Any, Any], float | None]) -> Interval:
    """A bootstrap on plain arrays, over clusters where rows share them, within each kind unless clusters mix them."""

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        table, names = frame[["score", "is_ood"]].to_numpy(dtype=float), frame.get("cluster")
        mixed = names is not None and frame["is_ood"].groupby(names).nunique().max() > 1

        def of(rows: Any) -> float | None:
            out = rows[:, 1] == 1
            return point(rows[~out, 0], rows[out, 0]) if 0 < out.sum() < len(out) else None

        kinds = None if mixed else table[:, 1]
        return stats.bootstrap_rows(of, table, names, confidence=confidence, seed=seed, kinds=kinds)

    return interval


def _on_logits(value: float, found: Any, smallest: float, confidence: float) -> tuple[float, float]:
    """Bounds of a share from the spread of its replicates on the logit scale, where it is nearest to normal."""

    def logit(share: Any) -> Any:
        kept = np.clip(share, smallest, 1 - smallest)
        return np.log(kept / (1 - kept))

    middle, half = float(logit(value)), normal_quantile(confidence) * float(logit(found).std(ddof=1))
    low, high = (1 / (1 + math.exp(-(middle + sign * half))) for sign in (-1, 1))
    return min(low, value), max(high, value)


def _accepted(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """Of the share of outsiders above the threshold: what the threshold may be, and the share at each, at once.

    So many inside scores may truly lie below a threshold that 95% reach as a binomial says; it is then anywhere between
    two of them, and at each place the share has the distribution of Jeffreys' interval.  The bounds are quantiles of
    the mixture.  A bootstrap covers 90% in simulation, 40 inside.  Rows that share clusters are bootstrapped all the
    same.
    """
    if "cluster" in frame and frame["cluster"].nunique() < len(frame):
        return _drawn(false_positives)(frame, confidence, seed)
    inside, outside = _kinds(frame)
    inside, outside = np.sort(inside), np.sort(outside)
    value, n, m = false_positives(inside, outside), len(inside), len(outside)
    chance = np.repeat(np.diff(special.bdtr(np.arange(n + 1), n, 0.05), prepend=0.0), len(BETWEEN)) / len(BETWEEN)
    ends = np.concatenate([[m], m - np.searchsorted(outside, inside, side="left"), [0]])
    above = (ends[1:, None] + (ends[:-1] - ends[1:])[:, None] * np.array(BETWEEN)).ravel()

    def bound(tail: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            reached = float(chance @ special.betainc(above + 0.5, m - above + 0.5, middle))
            low, high = (middle, high) if reached < tail else (low, middle)
        return low

    tail = MIXED * (1 - confidence) / 2
    low, high = bound(tail), bound(1 - tail)
    method = "jeffreys, mixed over the threshold"
    return Estimate(value, min(low, value), max(high, value), len(frame), len(frame), method, confidence)


def _unseen(value: float, low: float, high: float, placed: Any, confidence: float) -> tuple[float, float]:
    """Bounds of an average precision that allow for a kind of positive of which fewer than two were seen.

    A few that rank at the top (or, of a high precision, at the bottom) decide the average, and no replicate has what
    the sample lacks: there may be as many as the exact bound for none says.
    """
    rare = placed > TOP if value < 0.5 else placed < 1 - TOP
    share = (1 - min(1.0, np.count_nonzero(rare) / ENOUGH)) * (1 - (2 * (1 - confidence)) ** (1 / len(placed)))
    if value < 0.5:
        return low, value + math.hypot(high - value, share * (1 - value))
    return value - math.hypot(value - low, share * value), high


def _precision(out: bool) -> Interval:
    """Of an average precision: both kinds drawn again.

    Closer to nominal than percentiles, which follow its skewness too far where positives are few.
    """

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        point = POINTS["aupr_out" if out else "aupr"]
        if "cluster" in frame and frame["cluster"].nunique() < len(frame):
            return _drawn(point)(frame, confidence, seed)
        inside, outside = _kinds(frame)
        value = point(inside, outside)
        positive, negative = (-outside, -inside) if out else (inside, outside)
        scores = np.concatenate([positive, negative])
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.diff(scores[order]) != 0, True)
        drawn = np.concatenate(
            [stats.weights(len(part), REPLICATES, seed + at) for at, part in enumerate((positive, negative))], axis=1
        )[:, order]
        hits = np.cumsum(drawn * (order < len(positive)), axis=1)[:, ends]
        taken = np.maximum(np.cumsum(drawn, axis=1)[:, ends], 1)
        found = (np.diff(hits, axis=1, prepend=0) / len(positive) * hits / taken).sum(axis=1)
        low, high = _on_logits(value, found, 0.5 / len(frame), confidence)
        low, high = _unseen(value, low, high, placements(positive, negative)[0], confidence)
        return Estimate(value, low, high, len(frame), len(frame), LOGITS, confidence)

    return interval


def _kinds(frame: pd.DataFrame) -> tuple[Any, Any]:
    """The scores of in-distribution and of out-of-distribution rows."""
    score, out = frame["score"].to_numpy(), frame["is_ood"].to_numpy() == 1
    return score[~out], score[out]


def _auroc(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """DeLong's (1988) interval on the logit scale; where its variance is 0, Wilson's for the smaller kind of row.

    Rows that share clusters are bootstrapped.
    """
    if "cluster" in frame and frame["cluster"].nunique() < len(frame):
        return _drawn(auc)(frame, confidence, seed)
    inside, outside = _kinds(frame)
    value = auc(inside, outside)
    sizes = len(inside), len(outside)
    if value is None or min(sizes) < 2:
        return Estimate(value, n=len(frame), clusters=len(frame), method=ONE_KIND, confidence=confidence)
    above, below = placements(inside, outside)
    variance = float(above.var(ddof=1)) / sizes[0] + float(below.var(ddof=1)) / sizes[1]
    if variance > 0 and 0 < value < 1:
        middle = math.log(value / (1 - value))
        half = normal_quantile(confidence) * math.sqrt(variance) / (value * (1 - value))
        low, high = (1 / (1 + math.exp(-(middle + sign * half))) for sign in (-1, 1))
        return Estimate(value, low, high, len(frame), len(frame), "delong, logit", confidence)
    low, high = stats.wilson(value * min(sizes), min(sizes), confidence)
    return Estimate(value, low, high, len(frame), len(frame), "wilson of the smaller kind", confidence)


ONE_KIND = "only one kind of row: needs both is_ood 0 and is_ood 1"


@measure(
    columns={"score": NUMBER, "is_ood": BINARY},
    optional=OPTIONAL_CLUSTER,
    results={
        "auroc": Result("higher", 1.0, "score", interval=_auroc),
        "aupr": Result("higher", 1.0, "score", interval=_precision(False)),
        "fpr_at_95_tpr": Result("lower", 0.0, "proportion", interval=_accepted),
        "aupr_out": Result("higher", 1.0, "score", interval=_precision(True)),
    },
)
def ood_detection(frame: pd.DataFrame) -> dict[str, Any]:
    """How well a score tells in-distribution inputs from out-of-distribution ones.

    Row: one item; `score` is higher where the item looks more in-distribution.  In-distribution is the positive class.
    auroc: the chance that an in-distribution item scores higher, ties counting half.  aupr: average precision (a step
    function, not trapezoids) of finding in-distribution items; aupr_out the same for out-of-distribution ones, by the
    negated score.  fpr_at_95_tpr: share of out-of-distribution items accepted by the highest threshold that accepts at
    least 95% of the in-distribution ones.
    Direction: higher is better but for fpr_at_95_tpr; chance is 0.5 for auroc and the class's share for aupr.
    Source: Hendrycks and Gimpel 2017; Liang et al. 2018 for FPR at 95% TPR.
    Validity: aupr depends on the mix of the two kinds; easy outliers say nothing of near ones.
    """
    inside, outside = _kinds(frame)
    keys = ("auroc", *POINTS)
    if len(inside) == 0 or len(outside) == 0:
        return explained(dict.fromkeys(keys), dict.fromkeys(keys, ONE_KIND))
    return {"auroc": auc(inside, outside)} | {key: point(inside, outside) for key, point in POINTS.items()}


def _parts(frame: pd.DataFrame, key: str) -> tuple[Any, Any]:
    """Which rows are the positives and which the negatives of one of the identity areas."""
    label, group = frame["label"].to_numpy() == 1, frame["subgroup"].to_numpy() == 1
    positives = label & (group if key in ("subgroup_auc", "bnsp_auc") else ~group)
    return positives, ~label & (group if key in ("subgroup_auc", "bpsn_auc") else ~group)


def _area(key: str) -> Any:
    """The interval of one identity area: Wilson's for the rows it is worth by its variance over clusters.

    Obuchowski's (1997) variance (without clusters DeLong's), with Student's t where rows share clusters.  Where the
    area is 0 or 1 it is the exact one-sided bound for as many independent rows as the smaller kind has clusters.
    """

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        higher, lower = _parts(frame, key)
        score = frame["score"].to_numpy()
        names = pd.factorize(frame["cluster"])[0] if "cluster" in frame else np.arange(len(frame))
        up, down = score[higher], score[lower]
        value = auc(up, down)
        count = len(np.unique(names[higher | lower]))
        n = len(up) + len(down)
        fewest = min(len(np.unique(names[higher])), len(np.unique(names[lower])))
        if value is None or fewest < 3:
            return Estimate(value, None, None, n, count, "fewer than three clusters of a kind: no interval", confidence)
        above, below = placements(up, down)
        spread = np.zeros(names.max() + 1)
        np.add.at(spread, names[higher], (above - value) / len(up))
        np.add.at(spread, names[lower], (below - value) / len(down))
        variance = fewest / (fewest - 1) * float(spread @ spread)
        if variance < 1e-24 or value in (0.0, 1.0):
            bound = (1 - confidence) ** (1 / fewest)
            low, high = (bound, 1.0) if value > 0.5 else (0.0, 1 - bound)
            return Estimate(value, low, high, n, count, "one-sided bound over clusters", confidence)
        worth = min(value * (1 - value) / variance, n)
        quantile = t_quantile(confidence, fewest - 1) if count < n else normal_quantile(confidence)
        low, high = stats.wilson(value * worth, worth, confidence, quantile)
        return Estimate(value, low, high, n, count, "obuchowski, wilson", confidence)

    return interval


AUCS = {
    "subgroup_auc": "needs positives and negatives of the subgroup",
    "bpsn_auc": "needs negatives of the subgroup and positives of the background",
    "bnsp_auc": "needs positives of the subgroup and negatives of the background",
    "positive_aeg": "needs positives of the subgroup and of the background",
    "negative_aeg": "needs negatives of the subgroup and of the background",
}


@measure(
    columns={"score": NUMBER, "label": BINARY, "subgroup": BINARY},
    optional=OPTIONAL_CLUSTER,
    results={
        key: Result("zero", 0.0, "score", undefined=why)
        if key.endswith("aeg")
        else Result("higher", 1.0, "score", undefined=why, interval=_area(key))
        for key, why in AUCS.items()
    },
)
def identity_auc(frame: pd.DataFrame) -> dict[str, Any]:
    """How well a score separates the classes when some texts mention an identity.

    Row: one item; `score` is higher where the positive (toxic) class is likelier, `subgroup` 1 where the identity is
    mentioned, background elsewhere.  subgroup_auc: within the subgroup.  bpsn_auc: subgroup negatives against
    background positives (low: harmless mentions score like toxic texts).  bnsp_auc: background negatives against
    subgroup positives (low: toxic mentions are missed).  positive_aeg, negative_aeg: 0.5 - U / (n1 n2), U counting the
    pairs in which the subgroup's item of that class scores above the background's, ties half.
    Direction: areas higher (ideal 1), gaps zero (below 0: the subgroup scores higher).
    Source: Borkan et al. 2019.
    Validity: areas ignore where the threshold lies; the background holds all other identities too.
    """
    score = frame["score"].to_numpy()
    label, group = frame["label"].to_numpy() == 1, frame["subgroup"].to_numpy() == 1
    part = {(a, b): score[(label == a) & (group == b)] for a in (True, False) for b in (True, False)}
    gaps = [auc(part[c, True], part[c, False]) for c in (True, False)]
    values = {
        "subgroup_auc": auc(part[True, True], part[False, True]),
        "bpsn_auc": auc(part[True, False], part[False, True]),
        "bnsp_auc": auc(part[True, True], part[False, False]),
        "positive_aeg": None if gaps[0] is None else 0.5 - gaps[0],
        "negative_aeg": None if gaps[1] is None else 0.5 - gaps[1],
    }
    return explained(values, AUCS)
