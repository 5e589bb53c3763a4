"""Associations of words with attributes, as effect sizes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd

from audit import stats
from audit.measures.columns import NUMBER, one_of
from audit.measures.define import Result, explained, measure
from audit.stats.intervals import t_quantile
from audit.types import Estimate

EXACT = 100_000
REPLICATES = 1000


def _permuted(values: Any, size: int, seed: int) -> tuple[int, int]:
    """How many splits reach the sum of the first `size` values, and how many splits there are."""
    observed = float(values[:size].sum())
    slack = 1e-9 * max(1.0, float(np.abs(values).sum()))
    if math.comb(len(values), size) <= EXACT:
        splits = np.array(list(itertools.combinations(range(len(values)), size)))
        return int((values[splits].sum(axis=1) >= observed - slack).sum()), len(splits)
    generator, reached = np.random.default_rng(seed), 1
    for _ in range(EXACT // 1000):
        keys = generator.random((1000, len(values)))
        splits = np.argpartition(keys, size - 1, axis=1)[:, :size]
        reached += int((values[splits].sum(axis=1) >= observed - slack).sum())
    return reached, EXACT + 1


def _effect(values: Any, size: int) -> float | None:
    """(mean of the first `size` - mean of the rest) / sd of all (ddof 1); None where all are equal."""
    spread = float(values.std(ddof=1))
    gap = float(values[:size].mean() - values[size:].mean())
    return gap / spread if spread > 1e-12 * max(1.0, float(np.abs(values).max())) else None


def _ordered(frame: pd.DataFrame) -> tuple[Any, int]:
    """Associations, those of X first, and how many are of X."""
    values, first = frame["association"].to_numpy(), frame["set"].to_numpy() == "X"
    return np.concatenate([values[first], values[~first]]), int(first.sum())


def _effect_interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
    """Words drawn again within each set; normal, on Student's t, for the effect on Fisher's scale.

    An effect size is a correlation of association and set, times what it is at most; on that scale its spread depends
    least on its size.  A noncentral t is right for normal associations alone: where some words of a set go against the
    others it covered 83 to 90% in simulation, this interval 95 to 96%, with 16 words a set.
    """
    values, size = _ordered(frame)
    values = values - values.mean()
    n, rest = len(values), len(values) - size
    effect, (x, y) = _effect(values, size), np.split(values, [size])
    within = float(((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum())
    if n < 4 or effect is None or within <= 1e-12 * float(((values - values.mean()) ** 2).sum()):
        return Estimate(
            effect, None, None, n, n, "too few words, or none that differ within a set: no interval", confidence
        )
    most = math.sqrt((n - 1) * n / (size * rest))
    drawn = np.concatenate([stats.weights(size, REPLICATES, seed), stats.weights(rest, REPLICATES, seed + 1)], axis=1)
    gap = drawn[:, :size] @ x / size - drawn[:, size:] @ y / rest
    spread = drawn @ values**2 - (drawn @ values) ** 2 / n
    found = _fisher(gap / np.sqrt(np.maximum(spread, 1e-300) / (n - 1)) / most)
    few = max(size, rest)
    half = t_quantile(confidence, n - 2) * float(found.std(ddof=1)) * math.sqrt(few / max(few - 1, 1))
    low, high = (most * math.tanh(float(_fisher(effect / most)) + sign * half) for sign in (-1, 1))
    return Estimate(effect, low, high, n, n, f"bootstrap, t on Fisher's z, {REPLICATES} replicates", confidence)


def _fisher(correlation: Any) -> Any:
    return np.arctanh(np.clip(correlation, -0.9999, 0.9999))


BOTH_SETS = "needs words in both sets, and associations that differ"


@measure(
    columns={"set": one_of("X", "Y"), "association": NUMBER},
    results={
        "effect_size": Result(
            "zero", 0.0, "score", undefined=BOTH_SETS, interval=_effect_interval, alone=lambda f: _effect(*_ordered(f))
        ),
        "p_value": Result("none", None, "score", undefined="needs words in both sets", none="a p-value"),
    },
)
def weat(frame: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """Association of two sets of words (or sentences) with two sets of attributes, as an effect size.

    Row: one word of set X or Y; `association` is its mean cosine to attributes A minus that to B.  effect_size =
    (mean over X - mean over Y) / standard deviation over X and Y together (ddof 1).  p_value: one-sided permutation of
    the words between sets of the same sizes, ties counted; over every split where there are at most 100,000, else over
    100,000 drawn ones, with 1 added to count and total.
    Direction: ideal 0; the effect size is a Cohen's d.  Source: Caliskan et al. 2017; May et al. 2019 (SEAT).
    Validity: few words a set, so p-values are coarse; SEAT's sentences carry more than the word; sets are not
    interchangeable between languages or embeddings.
    """
    ordered, size = _ordered(frame)
    if size == 0 or size == len(ordered):
        why = {key: result.undefined for key, result in weat.results.items()}
        return explained({"effect_size": None, "p_value": None}, why)
    reached, splits = _permuted(ordered, size, seed)
    return explained({"effect_size": _effect(ordered, size), "p_value": reached / splits}, {"effect_size": BOTH_SETS})
