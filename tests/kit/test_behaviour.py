"""The behaviour steps, driven by hand: what they ask, what they make of the answers."""

from __future__ import annotations

from random import Random

import pytest

from audit import Classify, Example, Labels, UsageError
from audit.kit import behaviour


def labels(positive: float) -> Labels:
    return Labels((1 - positive, positive), ("negative", "positive"))


def drive(steps, *positive: float):
    """(requests, outcome) when the model answers with these probabilities of "positive"."""
    asked = next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send([labels(p) for p in positive])
    assert len(asked) == len(positive)
    return asked, end.value.value


def silent(steps):
    """The outcome of steps that ask nothing."""
    with pytest.raises(StopIteration) as end:
        next(steps)
    return end.value.value


def test_expect():
    asked, outcome = drive(behaviour.expect(Classify("Good."), "positive"), 0.8)
    assert asked == [Classify("Good.")]
    assert outcome.passed
    assert outcome.values == {"correct": 1, "confidence": 0.8}
    _, outcome = drive(behaviour.expect(Classify("Good."), "positive"), 0.25)
    assert outcome.passed is False
    assert outcome.values == {"correct": 0, "confidence": 0.75}
    assert outcome.evidence == {"before": "Good.", "predicted": "negative", "gold": "positive"}


def test_a_label_the_model_does_not_have_is_wrong_not_an_error():
    _, outcome = drive(behaviour.expect(Classify("Good."), "joy"), 0.8)
    assert outcome.passed is False


def test_invariant_shows_the_variant_that_broke():
    steps = behaviour.invariant(Classify("a"), Classify("b"), Classify("c"), Classify("b"), Classify("a"))
    asked, outcome = drive(steps, 0.9, 0.8, 0.4)
    assert asked == [Classify("a"), Classify("b"), Classify("c")]
    assert outcome.passed is False
    assert outcome.values == pytest.approx({"changed": 1, "share_changed": 0.5, "largest_shift": 0.5, "variants": 2})
    assert outcome.evidence == {"before": "a", "after": "c", "predicted_before": "positive", "predicted": "negative"}


def test_invariant_with_a_tolerance():
    _, outcome = drive(behaviour.invariant(Classify("a"), Classify("b")), 0.9, 0.7)
    assert outcome.passed
    _, outcome = drive(behaviour.invariant(Classify("a"), Classify("b"), tolerance=0.1), 0.9, 0.7)
    assert outcome.passed is False


def test_invariant_without_variants_is_no_evidence():
    outcome = silent(behaviour.invariant(Classify("a"), Classify("a")))
    assert outcome.passed is None
    assert outcome.values == {"variants": 0}


@pytest.mark.parametrize(
    ("towards", "after", "tolerance", "passed"),
    [
        ("up", 0.8, 0, True),
        ("up", 0.7, 0, True),
        ("up", 0.6, 0, False),
        ("up", 0.6, 0.2, True),
        ("down", 0.6, 0, True),
        ("down", 0.7, 0, True),
        ("down", 0.8, 0, False),
    ],
)
def test_directional(towards, after, tolerance, passed):
    steps = behaviour.directional(Classify("ok"), Classify("ok!"), "positive", towards, tolerance)
    _, outcome = drive(steps, 0.7, after)
    assert outcome.passed is passed
    assert outcome.values["shift"] == pytest.approx(after - 0.7)
    assert outcome.evidence["label"] == "positive"


def test_directional_refuses_other_directions_and_labels():
    with pytest.raises(UsageError, match="sideways"):
        next(behaviour.directional(Classify("a"), Classify("b"), "positive", "sideways"))
    steps = behaviour.directional(Classify("a"), Classify("b"), "joy", "up")
    next(steps)
    with pytest.raises(KeyError, match="no label 'joy'"):
        steps.send([labels(0.1), labels(0.2)])


GOOD = Example("1", "The film was truly wonderful.", "A pair.", label="positive")


def test_perturbed_keeps_the_pair_and_reports_flip_and_drop():
    asked, outcome = drive(behaviour.perturbed(GOOD, Random(1), "upper_case", 1), 0.9, 0.3)
    assert asked == [Classify(GOOD.text, "A pair."), Classify(GOOD.text.upper(), "A pair.")]
    assert outcome.passed is False
    assert outcome.values == pytest.approx({
        "edited": 1, "changed": 1, "strength": 1, "is_original": 0, "confidence_before": 0.9, "confidence": 0.7,
        "correct_before": 1, "correct": 0, "value": 0.0,
    })  # fmt: skip
    assert outcome.evidence == {
        "before": GOOD.text + "\nA pair.", "after": GOOD.text.upper() + "\nA pair.", "predicted_before": "positive",
        "predicted": "negative", "gold": "positive",
    }  # fmt: skip


def test_a_flip_that_happens_to_be_right_is_still_a_flip():
    _, outcome = drive(behaviour.perturbed(GOOD, Random(1), "typos", 0.1), 0.2, 0.9)
    assert outcome.passed is False
    assert (outcome.values["correct_before"], outcome.values["correct"], outcome.values["changed"]) == (0, 1, 1)


def test_without_a_gold_label_nothing_is_said_about_correctness():
    _, outcome = drive(behaviour.perturbed(Example("1", GOOD.text), Random(1), "typos", 0.1), 0.9, 0.8)
    assert outcome.passed
    assert not {"correct", "correct_before", "value"} & set(outcome.values)
    assert "gold" not in outcome.evidence


@pytest.mark.parametrize(
    ("example", "name", "strength"),
    [
        pytest.param(GOOD, "number_swap", 1, id="no site"),
        pytest.param(GOOD, "typos", 0, id="strength 0"),
        pytest.param(Example("1", ""), "url", 1, id="empty"),
        pytest.param(Example("1", "tout va", language="fr"), "typos", 1, id="another language"),
    ],
)
def test_nothing_to_edit_is_no_evidence_of_robustness(example, name, strength):
    outcome = silent(behaviour.perturbed(example, Random(1), name, strength))
    assert outcome.passed is None
    assert outcome.values == {"edited": 0}
    assert not outcome.evidence


def test_all_strengths_of_one_perturbation_share_their_draws():
    def after(name: str, strength: float) -> str | None:
        return behaviour.variant(GOOD, Random(7), name, strength)

    few, some = after("upper_case", 0.2), after("upper_case", 0.6)
    assert few != some
    assert {w for w in few.split() if w.isupper()} <= {w for w in some.split() if w.isupper()}
    assert after("typos", 0.3) == after("typos", 0.3) != behaviour.variant(GOOD, Random(8), "typos", 0.3)


@pytest.mark.parametrize(("name", "strength", "says"), [("typo", 0.1, "did you mean 'typos'"), ("typos", 2, "from 0")])
def test_wrong_settings_are_usage_errors(name, strength, says):
    with pytest.raises(UsageError, match=says):
        next(behaviour.perturbed(GOOD, Random(1), name, strength))
