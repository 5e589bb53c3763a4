"""Measures of shift: against published numbers, by hand, and on one kind of row only."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from audit import measures, stats


def drops(right_in: int, n_in: int, right_out: int, n_out: int) -> pd.DataFrame:
    correct = [1] * right_in + [0] * (n_in - right_in) + [1] * right_out + [0] * (n_out - right_out)
    return pd.DataFrame({"correct": correct, "is_ood": [0] * n_in + [1] * n_out})


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_domain_drop_has_newcombes_interval(counts, low, high):
    frame = drops(*counts)
    found, values = measures.estimate(measures.get("domain_drop"), frame)
    assert values["value"] == pytest.approx(counts[0] / counts[1] - counts[2] / counts[3])
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))
    assert (values["low"], values["high"], values["n"]) == (found.low, found.high, counts[1] + counts[3])


def test_domain_drop_does_not_depend_on_clusters_of_one_row():
    frame = drops(30, 40, 20, 40)
    alone, _ = measures.estimate(measures.get("domain_drop"), frame)
    named, _ = measures.estimate(measures.get("domain_drop"), frame.assign(cluster=[str(i) for i in range(80)]))
    assert (alone.low, alone.high) == (named.low, named.high)


def test_domain_drop_is_wider_where_rows_are_copies():
    frame = drops(30, 40, 20, 40)
    copies = pd.concat([frame.assign(cluster=[str(i) for i in range(80)])] * 4)
    once, _ = measures.estimate(measures.get("domain_drop"), frame)
    again, _ = measures.estimate(measures.get("domain_drop"), copies)
    assert again.high - again.low == pytest.approx(once.high - once.low, rel=0.05)


def test_calibration_shift_by_hand():
    frame = pd.DataFrame(
        {
            "confidence": [0.9, 0.9, 0.9, 0.9, 0.6, 1.0, 1.0, 0.8],
            "correct": [1, 1, 1, 0, 1, 0, 1, 0],
            "is_ood": [0, 0, 0, 0, 0, 1, 1, 1],
        }
    )
    values = measures.get("calibration_shift").run(frame)
    assert values["overconfidence_in"] == pytest.approx(4.2 / 5 - 4 / 5)
    assert values["overconfidence_out"] == pytest.approx(2.8 / 3 - 1 / 3)
    assert values["overconfidence_shift"] == pytest.approx(values["overconfidence_out"] - values["overconfidence_in"])
    assert values["ece_in"] == pytest.approx((4 * 0.15 + 1 * 0.4) / 5)
    assert values["ece_out"] == pytest.approx((2 * 0.5 + 1 * 0.8) / 3)
    rows = values["reliability"]
    assert sum(row["n"] for row in rows if row["side"] == "out") == 3
    assert all(row["low"] < row["confidence"] <= row["high"] for row in rows)


def test_calibration_of_one_side_is_what_ece_says():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 500)
    frame = pd.DataFrame({"confidence": confidence, "correct": (rng.uniform(size=500) < confidence).astype(int)})
    frame["is_ood"] = (np.arange(500) % 2).astype(int)
    values = measures.get("calibration_shift").run(frame)
    for side, key in ((0, "ece_in"), (1, "ece_out")):
        assert values[key] == pytest.approx(measures.get("ece").run(frame[frame["is_ood"] == side])["ece"])
    found, _ = measures.estimate(measures.get("calibration_shift"), frame)
    assert found.low < 0 < found.high


def test_perplexity_shift_is_a_ratio_of_perplexities():
    frame = pd.DataFrame(
        {"loglikelihood": [-10.0, -24.0, -30.0, -44.0], "tokens": [5, 10, 6, 10], "is_ood": [0, 0, 1, 1]}
    )
    found, values = measures.estimate(measures.get("perplexity_shift"), frame)
    inside, outside = (measures.get("perplexity").run(frame[frame["is_ood"] == s])["perplexity"] for s in (0, 1))
    assert values["perplexity_in"] == pytest.approx(inside)
    assert values["perplexity_out"] == pytest.approx(outside)
    assert values["ratio"] == found.value == pytest.approx(outside / inside)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("side", [0, 1])
def test_one_kind_of_row_is_undefined(side):
    frame = pd.DataFrame(
        {"correct": [1, 0], "confidence": [0.5, 0.6], "loglikelihood": [-1.0, -2.0], "tokens": [1, 2], "is_ood": side}
    )
    for name in ("domain_drop", "calibration_shift", "perplexity_shift"):
        found, _ = measures.estimate(measures.get(name), frame)
        assert found.value is None
        assert "only one kind of row" in found.method


def scored(n: int, gap: float, ties: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    out = (np.arange(n) % 2).astype(int)
    score = rng.normal(size=n) - gap * out
    return pd.DataFrame({"score": np.round(score, 1) if ties else score, "is_ood": out})


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_has_the_interval_that_a_bootstrap_finds(ties):
    frame, measure = scored(400, 0.8, ties), measures.get("ood_detection")
    found, _ = measures.estimate(measure, frame)
    drawn = stats.bootstrap(lambda f: measure.function(f)["auroc"], frame, replicates=1000)
    assert found.low == pytest.approx(drawn.low, abs=0.012)
    assert found.high == pytest.approx(drawn.high, abs=0.012)


@pytest.mark.parametrize(("key", "near"), [("aupr", 0.03), ("aupr_out", 0.03), ("fpr_at_95_tpr", 0.15)])
def test_areas_and_accepted_shares_have_about_the_interval_of_a_bootstrap(key, near):
    """By an independent way: the whole measure, called on frames drawn again."""
    frame, measure = scored(400, 1.0, ties=True), measures.get("ood_detection")
    found, _ = measures.estimate(measure, frame, key, seed=5)
    drawn = stats.bootstrap(lambda f: measure.function(f)[key], frame, seed=5)
    assert found.value == pytest.approx(drawn.value)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=near)
    assert found.low < found.value < found.high


def test_areas_of_rows_that_share_clusters_are_bootstrapped():
    frame = scored(60, 1.0).assign(cluster=[str(n // 4) for n in range(60)])
    for key in ("aupr", "fpr_at_95_tpr"):
        found, _ = measures.estimate(measures.get("ood_detection"), frame, key)
        assert "cluster bootstrap" in found.method


def test_perfect_separation_is_not_certainty():
    frame = pd.DataFrame({"score": [3.0, 4.0, 5.0, 0.0, 1.0], "is_ood": [0, 0, 0, 1, 1]})
    found, _ = measures.estimate(measures.get("ood_detection"), frame)
    assert found.value == 1.0
    assert found.low is not None
    assert found.low < 0.8


def test_groups_in_clusters_of_their_own_are_each_drawn():
    frame = pd.DataFrame({"group": ["a"] * 3 + ["b"] * 200, "value": [1.0, 0.0, 1.0] + [0.0, 1.0] * 100})
    frame["cluster"] = [str(i) for i in range(len(frame))]
    named, _ = measures.estimate(measures.get("group_gap"), frame)
    plain, _ = measures.estimate(measures.get("group_gap"), frame.drop(columns="cluster"))
    assert (named.low, named.high) == (plain.low, plain.high)
    assert math.isfinite(named.high)
