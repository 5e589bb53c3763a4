"""Subjects and probes that several tests share: real small ones, no mocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit import Answer, Classify, Example, Labels, Outcome, Request, Steps, Trial, probe
from audit.types import Probe

HOME = Path(__file__).parents[1]
SHARED = HOME.parent / "shared"


class Sums:
    """A subject whose label is a fixed function of the characters; it keeps the sizes of its batches."""

    answers: frozenset[type[Request]] = frozenset({Classify})

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.asked: list[Request] = []

    def run(self, batch: list[Request]) -> list[Answer]:
        self.batches.append(len(batch))
        self.asked += batch
        return [self.one(request) for request in batch]

    def one(self, request: Request) -> Answer:
        assert isinstance(request, Classify)
        share = 0.9 if sum(map(ord, request.text)) % 97 else 0.1
        return Labels((share, 1 - share), ("positive", "negative"))


@probe(Classify)
def wander(example: Example, rng, rounds: int = 5, width: int = 8) -> Steps:
    """A small random search for a text with another label."""
    text = example.text
    for _ in range(rounds):
        tries = []
        for _ in range(width):
            at = rng.randrange(len(text))
            tries.append(text[:at] + rng.choice("abcdefgh ") + text[at + 1 :])
        answers = yield [Classify(t) for t in tries]
        for tried, answer in zip(tries, answers, strict=True):
            if answer.top == "negative":
                return Outcome(False, {"changed": 1}, {"after": tried})
        text = tries[0]
    return Outcome(True, {"changed": 0})


def trials(count: int, ask: Probe = wander, **params) -> list[Trial]:
    """Trials of one probe on `count` short texts."""
    settings = tuple(params.items())
    rows = [Example(str(i), f"the quick brown fox {i}") for i in range(count)]
    return [Trial("suite", ask.name, ask, row, settings, 7) for row in rows]


@pytest.fixture
def shared() -> Path:
    """The folder of real data and models beside the checkout; its tests skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder 'shared' with real data and models is not beside this checkout")
    return SHARED
