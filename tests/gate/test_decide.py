"""Decisions: bounds, correction, and how often a gate is wrong, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import stats
from audit.gate.decide import Question, adjusted, beyond, decide, inside, p_value
from audit.types import Estimate

ITEMS, RULES = 400, 20


def ask(value, low, high, limit, above=True, **more) -> Question:
    return Question(Estimate(value, low, high, 400, 400, **more), limit, above)


@pytest.mark.parametrize(
    ("low", "high", "limit", "above", "decision"),
    [
        (0.16, 0.24, 0.15, True, "violated"), (0.06, 0.14, 0.15, True, "met"), (0.1, 0.2, 0.15, True, "inconclusive"),
        (0.7, 0.8, 0.85, False, "violated"), (0.9, 0.95, 0.85, False, "met"), (0.8, 0.9, 0.85, False, "inconclusive"),
        (None, None, 0.15, True, "inconclusive"),
    ],
)  # fmt: skip
def test_the_whole_interval_decides(low, high, limit, above, decision):
    value = 0.2 if low is None else (low + high) / 2
    question = ask(value, low, high, limit, above)
    assert decide(question, p_value(question)) == decision


numbers = st.floats(0, 1, allow_nan=False)


@given(numbers, numbers, numbers, numbers, st.booleans(), st.sampled_from(["t", "wilson", "cluster-robust wilson"]))
def test_p_agrees_with_the_interval_and_nothing_is_both(a, b, c, limit, above, method):
    low, value, high = sorted((a, b, c))
    question = ask(value, low, high, limit, above, method=method)
    p = p_value(question)
    assert 0 <= p <= 1
    assert not (beyond(question) and inside(question))
    gap = min(abs(limit - low), abs(limit - high))
    if gap > 1e-9:
        assert (p < 0.05) == beyond(question)


def test_correction_counts_only_the_family():
    strong = [ask(0.2, 0.16, 0.24, 0.15)] * 3
    aside = Question(strong[0].found, 0.15, True, counts=False)
    p = adjusted([*strong, aside])
    assert p[:3] == pytest.approx([3 * p_value(aside)] * 3)
    assert p[3] == p_value(aside)


def repetitions(rng, before, after, count: int, margin: float) -> int:
    """How many of `count` gates of 20 regression rules on the same items are violated.

    `before` and `after` give rightness (rules, items) of one run each.
    """
    violated = 0
    for _ in range(count):
        then, now = before(rng), after(rng)
        asked = [Question(stats.difference(t, n), margin, True) for t, n in zip(then, now, strict=True)]
        decided = [decide(q, p) for q, p in zip(asked, adjusted(asked), strict=True)]
        violated += "violated" in decided
    return violated


def answers(rng, right, churn):
    """The same model again: items keep their answers but for `churn` of them, drawn anew for each rule."""
    return right[None, :] ^ (rng.random((RULES, len(right))) < churn)


@pytest.mark.parametrize(("churn", "margin"), [(0.0, 0.0), (0.02, 0.0), (0.1, 0.0), (0.1, 0.01)])
def test_the_same_model_twice_passes_twenty_rules(churn, margin):
    rng = np.random.default_rng(1)
    right = rng.random(ITEMS) < 0.9

    def again(rng):
        return answers(rng, right, churn)

    assert repetitions(rng, again, again, 200, margin) <= 0.05 * 200


def test_without_correction_the_same_model_would_fail():
    """The test above can fail: the same draws, decided rule by rule, do."""
    rng = np.random.default_rng(1)
    right = rng.random(ITEMS) < 0.9
    wrong = 0
    for _ in range(100):
        pairs = zip(answers(rng, right, 0.1), answers(rng, right, 0.1), strict=True)
        asked = [Question(stats.difference(t, n), 0.0, True) for t, n in pairs]
        wrong += any(decide(q, p_value(q)) == "violated" for q in asked)
    assert wrong > 20


@pytest.mark.parametrize(("rules", "churn"), [(1, 0.0), (1, 0.01), (RULES, 0.0)])
def test_a_planted_regression_of_five_points_is_found(rules, churn):
    """One rule of a policy of `rules` meets a model that lost exactly five points of the items it had right."""
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(200):
        right = rng.random(ITEMS) < 0.9
        lost = rng.permutation(np.flatnonzero(right))[: ITEMS // 20]
        worse = right.copy()
        worse[lost] = False
        then = [right ^ (rng.random(ITEMS) < churn) for _ in range(rules)]
        now = [(worse if rule == 0 else right) ^ (rng.random(ITEMS) < churn) for rule in range(rules)]
        asked = [Question(stats.difference(t, n), 0.0, True) for t, n in zip(then, now, strict=True)]
        found += decide(asked[0], adjusted(asked)[0]) == "violated"
    assert found >= 0.9 * 200
