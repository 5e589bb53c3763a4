"""Robustness of a label: small changes that should not change it, at growing strength."""

from audit import Classify, Outcome, probe
from audit.kit.behaviour import perturbed


@probe(Classify)
def clean(example, rng):
    """The unchanged text: is the label right?  The bar that every other number is held against."""
    [answer] = yield [Classify(example.text, example.pair)]
    evidence = {"before": example.text, "predicted": answer.top}
    if example.label is None:
        return Outcome(None, {"item": example.id, "is_original": 1}, evidence)
    right = int(answer.top == example.label)
    values = {"correct": right, "value": right, "is_original": 1, "confidence": answer.of(answer.top)}
    return Outcome(bool(right), values, {**evidence, "gold": example.label})


@probe(Classify)
def typos(example, rng, rate=0.1):
    """Slips on the keyboard: a share of the letters becomes a neighbouring key."""
    return (yield from perturbed(example, rng, "typos", rate))


@probe(Classify)
def perturbation(example, rng, kind, rate=0.1):
    """Any change of audit.kit.perturb, at a strength from 0 to 1."""
    return (yield from perturbed(example, rng, kind, rate))
