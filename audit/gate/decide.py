"""One number against one bound: met, violated or inconclusive; corrected for many comparisons.  Knows no policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import special

from audit import stats
from audit.types import Estimate

Decision = Literal["met", "violated", "inconclusive"]


@dataclass(frozen=True)
class Question:
    """Is this number beyond this bound?  `above`: beyond means greater; `counts`: it belongs to Holm's family."""

    found: Estimate
    limit: float
    above: bool
    counts: bool = True


def beyond(question: Question) -> bool:
    """Whether the whole interval lies on the wrong side."""
    low, high = question.found.low, question.found.high
    if low is None or high is None:
        return False
    return low > question.limit if question.above else high < question.limit


def inside(question: Question) -> bool:
    """Whether the whole interval lies on the right side, the bound included."""
    low, high = question.found.low, question.found.high
    if low is None or high is None:
        return False
    return high <= question.limit if question.above else low >= question.limit


def p_value(question: Question) -> float:
    """The two-sided level at which the interval would just touch the bound; 1 where the number is not beyond it.

    Read off the interval: its half-width on that side, in units of the quantile it was made with (Student's t where it
    rests on clusters, else the normal's).  Hence p < 1 - confidence exactly where the interval is wholly beyond.
    """
    found = question.found
    if found.value is None or found.low is None or found.high is None:
        return 1.0
    distance = found.value - question.limit if question.above else question.limit - found.value
    half = found.value - found.low if question.above else found.high - found.value
    if distance <= 0:
        return 1.0
    if half <= 0:
        return 0.0
    freedom = found.clusters - 1 if found.method == "t" or found.method.startswith("cluster-robust") else math.inf
    tail = 0.5 + found.confidence / 2
    if math.isinf(freedom) or freedom < 1:
        return float(2 * special.ndtr(-special.ndtri(tail) * distance / half))
    return float(2 * special.stdtr(freedom, -float(special.stdtrit(freedom, tail)) * distance / half))


def adjusted(questions: Sequence[Question]) -> list[float]:
    """p of every question, by Holm's method among those that count; the others keep their own."""
    p = [p_value(question) for question in questions]
    family = [at for at, question in enumerate(questions) if question.counts]
    for at, value in zip(family, stats.holm([p[at] for at in family]) if family else [], strict=True):
        p[at] = value
    return p


def decide(question: Question, p: float) -> Decision:
    """Violated: wholly beyond, and still so after correction.  Met: wholly within.  Otherwise inconclusive."""
    if beyond(question) and p < 1 - question.found.confidence:
        return "violated"
    return "met" if inside(question) else "inconclusive"
