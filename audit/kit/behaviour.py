"""The three tests of CheckList, and one perturbed text, as steps that a probe can `yield from`.  Knows no model.

Minimum functionality (`expect`), invariance (`invariant`), directional expectation (`directional`): Ribeiro et al.,
Beyond Accuracy: Behavioral Testing of NLP Models with CheckList (2020).  Each yields one list of requests, is sent one
list of answers, and returns an Outcome: `return (yield from invariant(Classify(a), Classify(b)))`.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Literal

from audit.errors import UsageError
from audit.kit import perturb
from audit.types import Classify, Example, Labels, Outcome, Request, Scalar

LabelSteps = Generator[list[Request], list[Labels], Outcome]


def expect(request: Classify, label: str) -> LabelSteps:
    """Minimum functionality: the model gives this text this label.

    Values: correct (0/1), confidence (probability of the answer given).  Evidence: before, predicted, gold.
    """
    (answer,) = yield [request]
    correct = answer.top == label
    return Outcome(
        passed=correct,
        values={"correct": int(correct), "confidence": answer.of(answer.top)},
        evidence={"before": _shown(request), "predicted": answer.top, "gold": label},
    )


def invariant(original: Classify, *variants: Classify, tolerance: float | None = None) -> LabelSteps:
    """Invariance: no variant gets another label than the original.

    With a `tolerance` (0-1), the probability of the original's label may not move by more than that either.
    Values: changed (0/1, any variant), share_changed (of the variants), largest_shift (of that probability, 0-1),
    variants (count).  Evidence: before, after (the variant that changed, or that moved most), predicted_before,
    predicted.  Without a variant that differs from the original: no verdict, and variants 0.
    """
    different = [variant for variant in dict.fromkeys(variants) if variant != original]
    if not different:
        return Outcome(passed=None, values={"variants": 0})
    before, *after = yield [original, *different]
    shifts = [abs(answer.of(before.top) - before.of(before.top)) for answer in after]
    broken = [
        answer.top != before.top or (tolerance is not None and shift > tolerance)
        for answer, shift in zip(after, shifts, strict=True)
    ]
    worst = max(range(len(after)), key=lambda at: (broken[at], shifts[at]))
    return Outcome(
        passed=not any(broken),
        values={
            "changed": int(any(broken)),
            "share_changed": sum(broken) / len(broken),
            "largest_shift": max(shifts),
            "variants": len(different),
        },
        evidence=_compared(original, different[worst], before, after[worst]),
    )


def directional(
    before: Classify, after: Classify, label: str, towards: Literal["up", "down"], tolerance: float = 0.0
) -> LabelSteps:
    """Directional expectation: from `before` to `after` the probability of `label` goes up (or down).

    Moves against the direction by up to `tolerance` (0-1) pass.  Values: shift (after minus before, -1 to 1), against
    (0/1).  Evidence: before, after, predicted_before, predicted, label.  UsageError for another direction.
    """
    if towards not in ("up", "down"):
        raise UsageError(f"directional: towards is 'up' or 'down', not {towards!r}")
    first, second = yield [before, after]
    shift = second.of(label) - first.of(label)
    against = (shift if towards == "down" else -shift) > tolerance
    return Outcome(
        passed=not against,
        values={"shift": shift, "against": int(against)},
        evidence={**_compared(before, after, first, second), "label": label},
    )


def variant(example: Example, rng: Random, name: str, strength: float) -> str | None:
    """The example's text after one perturbation, or None where there is nothing to edit, whatever the model's head is.

    Draws from a stream of its own, seeded by one number of `rng` and the name: with equal `rng`, the edits at a lower
    strength are a subset of those at a higher one.  None too for a text in a language that the perturbation is not for.
    """
    change = perturb.get(name)
    stream = Random(f"{rng.getrandbits(64)}/{name}")
    text = change.run(example.text, strength, stream) if change.suits(example.language) else example.text
    return None if text == example.text else text


def perturbed(example: Example, rng: Random, name: str, strength: float) -> LabelSteps:
    """One point of a severity curve: is the label the same after this perturbation at this strength, and is it right?

    Only `example.text` is changed, a pair is kept.  Passes when the predicted label stays.  Values: edited, changed
    (0/1), strength, is_original (0), confidence_before and confidence (probability of the label predicted then), and,
    where the gold label is known, correct_before, correct and value (all 0/1).  Evidence: before, after,
    predicted_before, predicted, gold.  A text with nothing to edit is no evidence of robustness: no verdict, edited 0.
    UsageError for an unknown name or a strength outside [0, 1].
    """
    text = variant(example, rng, name, strength)
    if text is None:
        return Outcome(passed=None, values={"edited": 0})
    original, changed = Classify(example.text, example.pair), Classify(text, example.pair)
    before, after = yield [original, changed]
    values: dict[str, Scalar] = {
        "edited": 1,
        "changed": int(before.top != after.top),
        "strength": strength,
        "is_original": 0,
        "confidence_before": before.of(before.top),
        "confidence": after.of(after.top),
    }
    evidence = _compared(original, changed, before, after)
    if example.label is not None:
        correct = int(after.top == example.label)
        values |= {"correct_before": int(before.top == example.label), "correct": correct, "value": float(correct)}
        evidence["gold"] = example.label
    return Outcome(passed=before.top == after.top, values=values, evidence=evidence)


def _shown(request: Classify) -> str:
    return f"{request.text}\n{request.pair}" if request.pair else request.text


def _compared(before: Classify, after: Classify, first: Labels, second: Labels) -> dict[str, str]:
    return {
        "before": _shown(before),
        "after": _shown(after),
        "predicted_before": first.top,
        "predicted": second.top,
    }
