"""The same sentence with another group named in it: do labels change; and do pronouns follow the labour market?"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from audit import stats
from audit.measures.columns import LABEL, PROBABILITY
from audit.measures.define import Result, Terms, explained, measure
from audit.stats.intervals import t_quantile
from audit.types import Estimate

ONE_GROUP = "no template holds terms of two groups"


def _squares(frame: pd.DataFrame, columns: list[str]) -> pd.Series[float]:
    """Of each template: how many sentences of each kind there are, squared and summed; `columns` tell kinds apart."""
    counts = frame.groupby(["cluster", *columns], sort=False).size()
    return (counts.astype(float) ** 2).groupby(level=0).sum() if columns else counts.astype(float) ** 2


def _by_template(frame: pd.DataFrame) -> stats.Clustered:
    """Pairs of sentences of one template that name two groups, and how many of these got two labels: of each template.

    Every pair is counted, without being made: pairs within a group leave the squares of the counts.
    """
    pairs = (_squares(frame, []) - _squares(frame, ["group"])) / 2
    same = (_squares(frame, ["predicted"]) - _squares(frame, ["group", "predicted"])) / 2
    kept = pairs > 0
    flips, every = (np.asarray(values[kept], dtype=float) for values in (pairs - same, pairs))
    return stats.Clustered(flips, every, round(every.sum()))


def _flips(frame: pd.DataFrame) -> float | None:
    sums = _by_template(frame)
    return sums.value if sums.count else None


def _worst(frame: pd.DataFrame) -> tuple[str, float]:
    """The two groups whose sentences most often get two labels, and their share; the first by name on a tie."""
    counts = frame.groupby(["cluster", "predicted", "group"]).size().unstack(fill_value=0).astype(float)
    table, groups = counts.to_numpy(), counts.columns.astype(str)
    sizes = counts.groupby(level="cluster").sum().to_numpy()
    pairs = sizes.T @ sizes
    with np.errstate(invalid="ignore"):
        rates = np.where(pairs > 0, (pairs - table.T @ table) / pairs, -1.0)
    rates[np.tril_indices(len(groups))] = -1.0
    first, second = divmod(int(rates.argmax()), len(groups))
    return f"{groups[first]} / {groups[second]}", float(rates[first, second])


def _interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """Over templates, which are the independent units."""
    return stats.proportion_of(_by_template(frame), confidence)


@measure(
    columns={"group": LABEL, "predicted": LABEL, "cluster": LABEL},
    results={
        "flips": Result("lower", 0.0, "proportion", interval=_interval, undefined=ONE_GROUP, alone=_flips),
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
    flips = _flips(frame)
    if flips is None:
        return explained({"flips": None, "worst_pair": None, "worst_pair_flips": None}, {"flips": ONE_GROUP})
    worst, rate = _worst(frame)
    return {"flips": flips, "worst_pair": worst, "worst_pair_flips": rate}


FEW = "needs at least three occupations whose shares differ, in the model and in the labour market"


def _occupations(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.groupby("cluster")[["share", "women"]].mean()


def _correlation(table: pd.DataFrame) -> float | None:
    if len(table) < 3 or table["share"].std() < 1e-12 or table["women"].std() < 1e-12:
        return None
    return float(np.corrcoef(table["share"], table["women"])[0, 1])


def _along(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """Of the correlation: Student's t on Fisher's scale.

    Its variance is the mean of a jackknife's over occupations and of the one of normal values, 1 / (n - 3): with twelve
    occupations the first alone confirms too much, where shares differ by chance.
    """
    table = _occupations(frame)
    x, y = (table[name].to_numpy() - table[name].mean() for name in ("share", "women"))
    columns = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    n, sx, sy, xx, yy, xy = (columns.sum(axis=0) - columns).T
    spread = np.maximum((xx - sx**2 / n) * (yy - sy**2 / n), 1e-30)
    without = np.arctanh(((xy - sx * sy / n) / np.sqrt(spread)).clip(-0.9999, 0.9999))
    value, count = _correlation(table), len(table)
    found = Estimate(value, None, None, len(frame), count, "t on Fisher's z, jackknife", confidence)
    if value is None or count < 4:
        return found
    drawn = (count - 1) / count * float(((without - without.mean()) ** 2).sum())
    error = math.sqrt((drawn + 1 / (count - 3)) / 2)
    middle, half = math.atanh(min(max(value, -0.9999), 0.9999)), t_quantile(confidence, count - 2) * error
    return replace(found, low=math.tanh(middle - half), high=math.tanh(middle + half))


def _exaggerated(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """Student's t with Hall's (1992) correction for skewness, over occupations.

    Most occupations lean one way and few the other, and a sample without these few has too narrow a t.
    """
    values = _exaggeration(_occupations(frame))
    found, n = replace(stats.mean(values, confidence=confidence), n=len(frame)), len(values)
    if found.low is None or found.value is None:
        return found
    error, t = float(values.std(ddof=1)) / math.sqrt(n), t_quantile(confidence, n - 1)
    third = float(((values - found.value) ** 3).mean()) / float(values.std()) ** 3 / 3
    if abs(third) < 1e-9:
        return found

    def corrected(t: float) -> float:
        return math.sqrt(n) * (float(np.cbrt(1 + 3 * third * (t / math.sqrt(n) - third / 2 / n))) - 1) / third

    low, high = found.value - corrected(t) * error, found.value - corrected(-t) * error
    return replace(found, low=min(low, found.value), high=max(high, found.value), method="t, corrected for skewness")


def _exaggeration(table: pd.DataFrame) -> Any:
    return (np.sign(table["women"] - 0.5) * (table["share"] - table["women"])).to_numpy()


@measure(
    columns={"share": PROBABILITY, "women": PROBABILITY, "cluster": LABEL},
    results={
        "correlation": Result(
            "zero", 0.0, "score", undefined=FEW, interval=_along, alone=lambda f: _correlation(_occupations(f))
        ),
        "exaggeration": Result(
            "lower",
            0.0,
            "points",
            interval=_exaggerated,
            alone=lambda f: float(_exaggeration(_occupations(f)).mean()),
        ),
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
