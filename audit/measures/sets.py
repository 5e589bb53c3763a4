"""Scores of items that belong together: an original with its variants, contrasts, prompts or group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from audit.errors import UsageError
from audit.measures.columns import BINARY, LABEL, NUMBER, OPTIONAL_CLUSTER
from audit.measures.define import Result, Terms, explained, measure, solve
from audit.measures.rates import clusters


def _kept(frame: pd.DataFrame) -> tuple[Any, Any]:
    original = frame["original"].to_numpy()
    kept = original != 0
    drop = np.where(kept, 1 - frame["attacked"].to_numpy() / np.where(kept, original, 1), 0.0)
    return drop, kept


@measure(
    columns={"original": NUMBER, "attacked": NUMBER},
    optional=OPTIONAL_CLUSTER,
    results={
        "mean": Result("lower", 0.0, "proportion", lambda f: Terms(*_kept(f), clusters(f))),
        "std": Result("none", None, "proportion"),
    },
)
def pdr(frame: pd.DataFrame) -> dict[str, Any]:
    """Performance drop rate: the share of a metric's value that an attack on the prompt takes away.

    Row: one prompt on one task, with the metric before and after the attack.  Value of a row: 1 - attacked / original;
    mean and population standard deviation (ddof 0) over rows.  Rows with `original` 0 are undefined, left out and
    counted in `left_out`.
    Direction: lower is better; ideal 0; a proportion (below 0: the attack helped).
    Source: Zhu et al. 2023 (PromptBench), leaderboard "advprompt".
    Validity: a ratio: small originals make it large, and it cannot be compared between tasks with different chance
    levels.
    """
    drop, kept = _kept(frame)
    drops = drop[kept]
    why = "every original is 0: the ratio is undefined"
    values = {"mean": float(drops.mean()), "std": float(drops.std())} if len(drops) else {"mean": None, "std": None}
    left = {"left_out": int((~kept).sum())} if not kept.all() else {}
    return explained(values, {"mean": why, "std": why}) | left


def _original_right(frame: pd.DataFrame) -> Terms:
    return Terms(frame["correct"] * frame["is_original"], frame["is_original"], frame["set_id"])


def _contrast_right(frame: pd.DataFrame) -> Terms:
    contrast = 1 - frame["is_original"]
    return Terms(frame["correct"] * contrast, contrast, frame["set_id"])


def _whole_sets(frame: pd.DataFrame) -> Terms:
    right = frame.groupby("set_id", sort=False)["correct"].min()
    return Terms(right.to_numpy())


CONTRAST = {
    "consistency": Result("higher", 1.0, "proportion", _whole_sets),
    "original_accuracy": Result("higher", 1.0, "proportion", _original_right, 1, "no original item"),
    "contrast_accuracy": Result("higher", 1.0, "proportion", _contrast_right, 1, "no contrast item"),
}


@measure(
    columns={"set_id": LABEL, "correct": BINARY, "is_original": BINARY},
    results=CONTRAST,
    cluster="set_id",
)
def contrast_consistency(frame: pd.DataFrame) -> dict[str, Any]:
    """Share of contrast sets in which the original and every contrast item are answered rightly.

    Row: one item of one set.  original_accuracy and contrast_accuracy: over originals and over contrast items, each
    item once (not each set).  Every set needs an original and at least one contrast item.
    Direction: higher is better; ideal 1; proportions.  Source: Gardner et al. 2020 (contrast sets).
    Validity: a set with more contrast items is harder, so consistencies of sets of different sizes are not comparable.
    """
    originals = frame.groupby("set_id", sort=False)["is_original"].agg(["sum", "count"])
    alone = originals[(originals["sum"] == 0) | (originals["sum"] == originals["count"])]
    if len(alone):
        lacks = "an original item" if alone["sum"].iloc[0] == 0 else "a contrast item"
        raise UsageError(
            f"column 'set_id': set {alone.index[0]!r} lacks {lacks} ({len(alone)} such sets): "
            "each set needs rows with is_original 1 and rows with is_original 0"
        )
    return solve(frame, CONTRAST)


def _one_original(frame: pd.DataFrame) -> None:
    counts = frame.groupby("item_id", sort=False)["is_original"].sum()
    wrong = counts[counts != 1]
    if len(wrong):
        found = "no row" if wrong.iloc[0] == 0 else f"{wrong.iloc[0]} rows"
        raise UsageError(
            f"column 'is_original': item {wrong.index[0]!r} has {found} with is_original 1 ({len(wrong)} such items): "
            "each item needs exactly one original"
        )


def _originals(frame: pd.DataFrame) -> Terms:
    _one_original(frame)
    kept = frame[frame["is_original"] == 1]
    return Terms(kept["value"], None, clusters(kept))


def _worst(frame: pd.DataFrame) -> Terms:
    keep = ["value", "cluster"] if "cluster" in frame else ["value"]
    how = {"value": "min", "cluster": "first"}
    items = frame.groupby("item_id", sort=False)[keep].agg({name: how[name] for name in keep})
    return Terms(items["value"], None, clusters(items))


WORST = {
    "worst_case": Result("higher", 1.0, "score", _worst),
    "original": Result("higher", 1.0, "score", _originals),
}


@measure(
    columns={"item_id": LABEL, "value": NUMBER, "is_original": BINARY},
    optional=OPTIONAL_CLUSTER,
    results=WORST,
    cluster="item_id",
)
def worst_case(frame: pd.DataFrame) -> dict[str, Any]:
    """Mean over items of the worst value among an item's original and all its perturbations.

    Row: one item under one variant; each item has exactly one original.  worst_case: per item the minimum over the
    original and all variants, then the mean over items.  original: the mean over originals.
    Direction: higher is better; unit of `value` (1 is ideal for 0/1 values).
    Source: Liang et al. 2022 (HELM, robustness and fairness perturbations).
    Validity: falls with the number of variants, so compare only runs with the same variants.
    """
    _one_original(frame)
    return solve(frame, WORST)
