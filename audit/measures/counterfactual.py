"""The same sentence with another group named in it: do labels change; and do pronouns follow the labour market?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from audit import stats
from audit.measures.columns import LABEL, PROBABILITY
from audit.measures.define import Result, Terms, explained, measure
from audit.types import Estimate

ONE_GROUP = "no template holds terms of two groups"


def _pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a template and pair of groups: how many pairs of sentences, and how many of these got two labels."""
    counts = frame.groupby(["cluster", "group", "predicted"]).size().unstack(fill_value=0)
    rows = []
    for template, part in counts.groupby(level="cluster"):
        table, groups = part.to_numpy(dtype=float), [str(g) for g in part.index.get_level_values("group")]
        sizes = table.sum(axis=1)
        same = table @ table.T
        for i in range(len(groups)):
            for j in range(i + 1, len(groups)):
                pairs = sizes[i] * sizes[j]
                rows.append((template, f"{groups[i]} / {groups[j]}", pairs, pairs - same[i, j]))
    return pd.DataFrame(rows, columns=["template", "groups", "pairs", "flips"])


def _by_template(frame: pd.DataFrame) -> Terms:
    sums = _pairs(frame).groupby("template")[["flips", "pairs"]].sum()
    return Terms(sums["flips"].to_numpy(), sums["pairs"].to_numpy())


def _interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """Over templates; where nothing flips, the bound of the share of templates in which anything does."""
    terms = _by_template(frame)
    n = int(np.sum(terms.bottom))
    if not np.any(terms.top):
        found = stats.proportion(np.zeros(len(terms.top)), confidence=confidence)
        return replace(found, n=n, clusters=len(terms.top), method=f"{found.method} over templates")
    found = terms.estimate(confidence)
    bounds = [None if b is None else min(1.0, max(0.0, b)) for b in (found.low, found.high)]
    return replace(found, low=bounds[0], high=bounds[1], n=n, clusters=len(terms.top))


@measure(
    columns={"group": LABEL, "predicted": LABEL, "cluster": LABEL},
    results={
        "flips": Result("lower", 0.0, "proportion", interval=_interval, undefined=ONE_GROUP),
        "worst_pair": Result("none", None, "proportion", none="a name"),
        "worst_pair_flips": Result("lower", None, "proportion", none="the largest of many: read it as a lead"),
    },
)
def counterfactual(frame: pd.DataFrame) -> dict[str, Any]:
    """Share of sentence pairs, equal but for the group they name, that get two different labels.

    Row: one sentence made of one template; `cluster` is the template, `group` whom the sentence names, `predicted` the
    label.  flips: over all pairs of two sentences of one template that name different groups, the share with different
    labels; every template counts by its pairs.  worst_pair: the two groups between which most pairs differ, and
    worst_pair_flips their share.
    Direction: lower is better; ideal 0; proportions.  Interval: over templates, which are the independent units.
    Source: Garg et al. 2019 (counterfactual token fairness); Dixon et al. 2018 for templates.
    Validity: templates are few and simple; that labels agree does not mean that they are right, and for some sentences
    another label may be justified; a model that always gives one label has no flips.
    """
    pairs = _pairs(frame)
    if pairs.empty:
        return explained({"flips": None, "worst_pair": None, "worst_pair_flips": None}, {"flips": ONE_GROUP})
    sums = pairs.groupby("groups")[["flips", "pairs"]].sum()
    rates = sums["flips"] / sums["pairs"]
    return {
        "flips": float(pairs["flips"].sum() / pairs["pairs"].sum()),
        "worst_pair": str(rates.idxmax()),
        "worst_pair_flips": float(rates.max()),
    }


FEW = "needs at least three occupations whose shares differ, in the model and in the labour market"


def _occupations(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.groupby("cluster")[["share", "women"]].mean()


def _correlation(table: pd.DataFrame) -> float | None:
    if len(table) < 3 or table["share"].std() < 1e-12 or table["women"].std() < 1e-12:
        return None
    return float(np.corrcoef(table["share"], table["women"])[0, 1])


def _along(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """The interval of the correlation: occupations drawn again."""
    table = _occupations(frame)
    x, y = table["share"].to_numpy(), table["women"].to_numpy()

    def pearson(sums: Any) -> Any:
        n, sx, sy, xx, yy, xy = (sums[..., i] for i in range(6))
        spread = (xx - sx**2 / n) * (yy - sy**2 / n)
        return np.where(spread > 1e-18, (xy - sx * sy / n) / np.sqrt(np.maximum(spread, 1e-18)), np.nan)

    columns = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    found = stats.bootstrap_sums(columns, pearson, confidence=confidence, seed=seed)
    return replace(found, n=len(frame), clusters=len(table))


def _exaggeration(table: pd.DataFrame) -> Any:
    return (np.sign(table["women"] - 0.5) * (table["share"] - table["women"])).to_numpy()


@measure(
    columns={"share": PROBABILITY, "women": PROBABILITY, "cluster": LABEL},
    results={
        "correlation": Result(
            "zero", 0.0, "score", undefined=FEW, interval=_along, alone=lambda f: _correlation(_occupations(f))
        ),
        "exaggeration": Result("lower", 0.0, "points", lambda f: Terms(_exaggeration(_occupations(f)))),
        "mean_share": Result("none", None, "proportion", lambda f: Terms(_occupations(f)["share"])),
        "mean_women": Result("none", None, "proportion", none="a figure of the labour market"),
    },
)
def occupations(frame: pd.DataFrame) -> dict[str, Any]:
    """Whether a model's choice between "she" and "he" for an occupation follows the share of women in it.

    Row: one sentence about one occupation (`cluster`); `share` = p(she) / (p(she) + p(he)), `women` the occupation's
    share of women in labour statistics.  Sentences are averaged by occupation.  correlation: Pearson's, over
    occupations.  exaggeration: mean of share - women where women are the majority, of women - share elsewhere: above 0
    the model's pronouns are more one-sided than the labour market.  mean_share, mean_women: means over occupations.
    Direction: correlation ideal 0 (pronouns tell nothing of the occupation), exaggeration lower (below 0: the model is
    less one-sided).  Source: Caliskan et al. 2017 and Rudinger et al. 2018 for the correlation.
    Validity: a model that mirrors the statistics is not wrong about the world; whether it should be asked to guess is
    the question.  Two pronouns only; figures are of one country and year; a constant share has no correlation.
    """
    table = _occupations(frame)
    values = {
        "correlation": _correlation(table),
        "exaggeration": float(_exaggeration(table).mean()),
        "mean_share": float(table["share"].mean()),
        "mean_women": float(table["women"].mean()),
    }
    return explained(values, {"correlation": FEW})
