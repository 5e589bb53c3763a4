"""What a search for adversarial inputs achieved, and how small a change was enough."""

from __future__ import annotations

from typing import Any

import pandas as pd

from audit.measures.columns import BINARY, COUNT, LABEL, OPTIONAL_CLUSTER, one_of
from audit.measures.define import Result, Terms, explained, measure, solve
from audit.measures.rates import clusters

STATES = one_of("successful", "failed", "skipped")


def _original(frame: pd.DataFrame) -> Terms:
    return Terms(frame["outcome"] != "skipped", None, clusters(frame))


def _under(frame: pd.DataFrame) -> Terms:
    return Terms(frame["outcome"] == "failed", None, clusters(frame))


def _success(frame: pd.DataFrame) -> Terms:
    return Terms(frame["outcome"] == "successful", frame["outcome"] != "skipped", clusters(frame))


def _queries(frame: pd.DataFrame) -> Terms:
    tried = (frame["outcome"] != "skipped").astype(float)
    return Terms(frame["queries"] * tried, tried, clusters(frame))


def _words(frame: pd.DataFrame) -> Terms:
    won = (frame["outcome"] == "successful") & (frame["words"] > 0)
    share = frame["words_changed"] / frame["words"].where(frame["words"] > 0, 1)
    return Terms(share * won, won, clusters(frame))


NO_ATTACK = "no item was attacked: the model had all of them wrong already"
NO_SUCCESS = "no attack succeeded"
ATTACK = {
    "attack_success_rate": Result("lower", 0.0, "percent", _success, 100, NO_ATTACK),
    "original_accuracy": Result("higher", 100.0, "percent", _original, 100),
    "accuracy_under_attack": Result("higher", 100.0, "percent", _under, 100),
    "mean_queries": Result("higher", None, "count", _queries, 1, NO_ATTACK),
    "mean_words_changed_percent": Result("higher", None, "percent", _words, 100, NO_SUCCESS),
}


@measure(
    columns={"outcome": STATES, "queries": COUNT, "words": COUNT, "words_changed": COUNT},
    optional=OPTIONAL_CLUSTER,
    results=ATTACK,
)
def attack(frame: pd.DataFrame) -> dict[str, Any]:
    """How often a search over small changes of a rightly answered text finds a wrong answer.

    Row: one item.  `outcome` skipped: the model was wrong before any change; failed: no wrong answer found.
    original_accuracy = (total - skipped) / total; accuracy_under_attack = failed / total; attack_success_rate =
    successful / (successful + failed); all in percent.  mean_queries: over the items attacked (not skipped).
    mean_words_changed_percent: mean over successes of 100 x `words_changed` / `words` (texts of no words left out).
    Direction: a low success rate and a high accuracy under attack are better; percent.
    Source: TextAttack 0.3.11, metrics/attack_metrics (Morris et al. 2020), before its rounding to two decimals.
    Variant: success over attacked items, against the gold label.  Others divide by all items, or attack the model's own
    prediction: those numbers are not comparable with these.
    Validity: a search bounds robustness from one side only, and a "successful" text may no longer mean the same.
    """
    return solve(frame, ATTACK)


def _smallest(frame: pd.DataFrame) -> pd.DataFrame:
    """One row an item: the smallest strength at which it changed (NaN: never), and its cluster."""
    hit = frame["strength"].where(frame["changed"] == 1)
    table = pd.DataFrame({"item": frame["item_id"], "strength": hit, "cluster": clusters(frame)})
    if "cluster" not in frame:
        table["cluster"] = table["item"]
    return table.groupby("item", sort=False).agg(strength=("strength", "min"), cluster=("cluster", "first"))


def _broken(frame: pd.DataFrame) -> Terms:
    items = _smallest(frame)
    return Terms(items["strength"].notna(), None, items["cluster"])


NEVER = "no item changed its prediction at any tested strength"
BREAKING = {
    "share_broken": Result("lower", 0.0, "proportion", _broken),
    "median": Result("higher", None, "score", undefined=NEVER, none="a median: no interval is computed"),
    "n": Result(unit="count", none="a count"),
}


@measure(
    columns={"item_id": LABEL, "strength": COUNT, "changed": BINARY},
    optional=OPTIONAL_CLUSTER,
    results=BREAKING,
    cluster="item_id",
)
def breaking_strength(frame: pd.DataFrame) -> dict[str, Any]:
    """The smallest tested strength of a change at which an item's prediction flips.

    Row: one item at one strength.  share_broken: share of items that flip at some tested strength, with Wilson's
    interval over items.  median: over the items that flip, of each one's smallest flipping strength, in the units of
    `strength`; null where none flips.  n: items.
    Direction: a low share and a high median are better.  Source: this project; the idea of a minimal edit is
    Ebrahimi et al. 2018's and Gardner et al. 2020's.
    Validity: knows only the strengths tested, and one draw of the change at each; the median says nothing about items
    that never flip, so read it beside the share.
    """
    smallest = _smallest(frame)["strength"]
    median = None if smallest.isna().all() else float(smallest.median())
    values = solve(frame, BREAKING) | {"median": median, "n": len(smallest)}
    return explained(values, {"median": NEVER})
