"""A small subject that can be attacked, and how an attack on it is run by us and by TextAttack alone."""

from __future__ import annotations

import math
import random
from typing import Any

from audit import Answer, Classify, Example, Labels, Outcome, Record, Request, Trial
from audit.kit import recipes
from audit.kit.bridge import reseed
from audit.kit.textattack import attack
from audit.schedule import drive

SENTENCES = [
    ("positive", "A warm and funny story, told with real affection for its people."),
    ("negative", "The jokes fall flat and the second half drags badly."),
    ("positive", "Quiet, patient and surprisingly moving."),
    ("negative", "An overlong mess with wooden acting."),
    ("negative", "I loved every clever minute of it."),
    ("positive", "The camera work alone is worth the ticket."),
]
OFFLINE = ["deepwordbug", "pruthi", "textbugger", "input_reduction", "bad_characters", "bad_characters_deletions"]


class Taste:
    """A subject whose labels follow from the letters alone, smooth enough to be attacked and quick to ask."""

    answers: frozenset[type[Request]] = frozenset({Classify})

    def __init__(self, share: float = 0.0) -> None:
        self.share = share  # of the logits that is left out, to see that probabilities alone serve as well

    def run(self, batch: list[Request]) -> list[Answer]:
        return [self.one(r.text + r.pair) for r in batch if isinstance(r, Classify)]

    @staticmethod
    def logits(text: str) -> tuple[float, float, float]:
        sums = [sum((ord(c) * (k + at % 5)) % 23 for at, c in enumerate(text)) % 61 for k in (3, 5, 11)]
        return (sums[0] / 40 - 2, sums[1] / 30 - 2, sums[2] / 90 - 2)  # far from a sum of 1: see the test of `scores`

    def one(self, text: str) -> Labels:
        logits = self.logits(text)
        total = sum(map(math.exp, logits))
        probs = tuple(math.exp(x) / total for x in logits)
        return Labels(probs, ("negative", "positive", "mixed"), () if self.share else logits)


class Wrapper:
    """The same subject in the form that TextAttack asks for."""

    def __init__(self) -> None:
        self.model = self

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return [list(Taste.logits(text)) for text in texts]


def rows(sentences: list[tuple[str, str]] = SENTENCES) -> list[Example]:
    return [Example(f"row {at}", text, label=label) for at, (label, text) in enumerate(sentences)]


def run(model: Any, examples: list[Example], live: int = 64, **settings: Any) -> list[Record]:
    trials = [Trial("s", "attack", attack, example, tuple(settings.items()), 5) for example in examples]
    records = {r.example: r for r in drive(trials, {"subject": model}, live=live)}
    return [records[example.id] for example in examples]


def outcomes(records: list[Record]) -> list[Outcome]:
    assert [r.error for r in records if r.error] == []
    return [r.outcome for r in records if r.outcome]


def told(records: list[Record]) -> list[tuple[Any, ...]]:
    return [(o.values["outcome"], o.values["queries"], o.evidence["after"]) for o in outcomes(records)]


def alone(theirs: Any, example: Example, names: tuple[str, ...]) -> tuple[Any, ...]:
    """One example through TextAttack's own Attack, with the dice that the probe has."""
    reseed(random.Random(f"5/{example.id}").getrandbits(64))
    result = theirs.attack(example.text, names.index(example.label or ""))
    kind = type(result).__name__.removesuffix("AttackResult").lower()
    return kind, result.perturbed_result.num_queries, result.perturbed_result.attacked_text.text


def their_own(recipe: str, wrapper: Any) -> Any:
    """The recipe as TextAttack builds it, unhelped where nothing is missing."""
    from audit.kit.recipes_build import build, load, quiet

    load()
    if recipe in {"deepwordbug", "pruthi", "input_reduction"}:
        with quiet():
            return getattr(load().attack_recipes, recipes.RECIPES[recipe].build).build(wrapper)
    return build(recipe, wrapper).attack
