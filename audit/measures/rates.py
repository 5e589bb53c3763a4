"""Shares of right answers, flips and failures, and the drop between two conditions."""

from __future__ import annotations

from typing import Any

import pandas as pd

from audit import stats
from audit.measures.columns import BINARY, OPTIONAL_CLUSTER
from audit.measures.define import Result, Terms, measure
from audit.types import Estimate

COUNTS = {"n": Result(unit="count", none="a count"), "clusters": Result(unit="count", none="a count")}
NO_BOUND = "a bound of the interval of `value`"


def clusters(frame: pd.DataFrame) -> Any:
    """The column of observation clusters, or None where each row is one."""
    return frame.get("cluster")


def flat(found: Estimate) -> dict[str, Any]:
    """An estimate as result keys."""
    values: dict[str, Any] = {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n,
        "clusters": found.clusters,
    }
    if found.low is None:
        values["reasons"] = {"low": found.method, "high": found.method}
    return values


def bounded(value: Result) -> dict[str, Result]:
    """The five result keys of one number with its own interval."""
    bound = Result(value.direction, value.ideal, value.unit, none=NO_BOUND)
    return {"value": value, "low": bound, "high": bound, **COUNTS}


@measure(
    columns={"correct": BINARY},
    optional=OPTIONAL_CLUSTER,
    results=bounded(Result("higher", 1.0, terms=lambda f: Terms(f["correct"], None, clusters(f)))),
)
def accuracy(frame: pd.DataFrame) -> dict[str, Any]:
    """Share of items answered rightly.

    Row: one item; rows that share a `cluster` are one observation.  Value: mean of `correct`, with a 95% interval
    (Wilson; with clusters its cluster-robust form; Clopper-Pearson's one-sided bound where all rows agree).
    Direction: higher is better; ideal 1; a proportion.  Source: Wilson 1927 for the interval.
    Validity: says nothing about classes: on data with a common class a constant answer scores high.
    """
    return flat(stats.proportion(frame["correct"], clusters(frame)))


@measure(
    columns={"changed": BINARY},
    optional=OPTIONAL_CLUSTER,
    results=bounded(Result("lower", 0.0, terms=lambda f: Terms(f["changed"], None, clusters(f)))),
)
def flip_rate(frame: pd.DataFrame) -> dict[str, Any]:
    """Share of changed inputs on which the prediction is not the one given to the unchanged input.

    Row: one item under one variant; variants of one item share its `cluster`.  Value: mean of `changed`, with a 95%
    interval (Wilson; with clusters its cluster-robust form).
    Direction: lower is better; ideal 0; a proportion.  Source: Ribeiro et al. 2020 (CheckList, invariance tests).
    Validity: compares prediction with prediction, so a model that is always wrong in the same way passes, and a flip
    from wrong to right counts as a flip: read it beside `accuracy_drop`, which compares with the gold label.
    """
    return flat(stats.proportion(frame["changed"], clusters(frame)))


@measure(
    columns={"passed": BINARY},
    optional=OPTIONAL_CLUSTER,
    results=bounded(Result("lower", 0.0, terms=lambda f: Terms(1 - f["passed"], None, clusters(f)))),
)
def failure_rate(frame: pd.DataFrame) -> dict[str, Any]:
    """Share of items on which a probe's expectation did not hold.

    Row: one item with a verdict; items without one are left out by the caller and counted there.  Value: mean of
    1 - `passed`, with a 95% interval (Wilson; with clusters its cluster-robust form).
    Direction: lower is better; ideal 0; a proportion.  Source: Ribeiro et al. 2020 (CheckList, failure rates).
    Validity: means what the probe's expectation means, no more; read the probe's definition.
    """
    return flat(stats.proportion(1 - frame["passed"], clusters(frame)))


def _drop(frame: pd.DataFrame) -> Terms:
    return Terms(frame["correct_before"].astype(float) - frame["correct"], None, clusters(frame), paired=True)


@measure(
    columns={"correct_before": BINARY, "correct": BINARY},
    optional=OPTIONAL_CLUSTER,
    results=bounded(Result("lower", 0.0, "points", terms=_drop)),
)
def accuracy_drop(frame: pd.DataFrame) -> dict[str, Any]:
    """Accuracy on unchanged inputs minus accuracy on the same items changed.

    Row: one item under one variant, with a gold label; variants of one item share its `cluster`.  Value:
    mean(`correct_before`) - mean(`correct`), paired by row, in proportion units (0.05 is five percentage points), with
    a 95% interval of the paired difference.
    Direction: lower is better (0: no drop; below 0: changed inputs are answered better); ideal 0; points.
    Source: Tango 1998 for the interval, made cluster-robust here.
    Validity: assumes that the change keeps the gold label.
    """
    return flat(_drop(frame).estimate())
