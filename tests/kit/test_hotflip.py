"""HotFlip on a subject whose gradient is known, and on a real model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from audit import Answer, Classify, Example, Gradient, Labels, Outcome, Request, Saliency, Trial
from audit.kit.hotflip import hotflip
from audit.schedule import drive

WEIGHTS = {"good": 1.5, "nice": 1.0, "film": 0.1, "table": -0.2, "awful": -2.0, "dull": -1.0}


class Linear:
    """A subject that adds up word weights, so that HotFlip's first-order estimate is exact."""

    answers: frozenset[type[Request]] = frozenset({Classify, Gradient})

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def run(self, batch: list[Request]) -> list[Answer]:
        self.asked += batch
        return [self.slope(r) if isinstance(r, Gradient) else self.one(r.text) for r in batch]  # type: ignore[attr-defined]

    @staticmethod
    def one(text: str) -> Labels:
        total = sum(WEIGHTS.get(word, 0.0) for word in re.findall(r"\w+", text.lower()))
        share = min(max(0.5 + total / 10, 0.0), 1.0)
        return Labels((share, 1 - share), ("positive", "negative"))

    @staticmethod
    def slope(request: Gradient) -> Saliency:
        sign = 1 if request.label == "positive" else -1
        spans, flips = [], []
        for match in re.finditer(r"\w+", request.text):
            now = WEIGHTS.get(match[0].lower(), 0.0)
            gains = sorted(((sign * (now - weight), new) for new, weight in WEIGHTS.items()), reverse=True)
            spans.append(match.span())
            flips.append(tuple((new, gain) for gain, new in gains[: request.flips]))
        return Saliency(tuple(spans), (1.0,) * len(spans), tuple(flips))


def run(model: Any, examples: list[Example], live: int = 8, **settings: Any) -> list[Outcome]:
    trials = [Trial("s", "hotflip", hotflip, example, tuple(settings.items())) for example in examples]
    records = {r.example: r for r in drive(trials, {"subject": model}, live=live)}
    assert [r.error for r in records.values() if r.error] == []
    return [records[e.id].outcome for e in examples]  # type: ignore[misc]


def test_the_word_and_the_replacement_with_the_largest_gain() -> None:
    [found] = run(Linear(), [Example("x", "A Good film.", label="positive")], changes=1)
    assert found.evidence["after"] == "A Awful film."
    assert (found.passed, found.values["outcome"], found.values["words_changed"]) == (False, "successful", 1)


def test_a_beam_combines_changes_where_one_is_not_enough() -> None:
    text = "good nice good film"
    [one] = run(Linear(), [Example("x", text, label="positive")], changes=1)
    [two] = run(Linear(), [Example("x", text, label="positive")], changes=2)
    assert (one.passed, two.passed) == (True, False)
    assert two.evidence["after"] == "awful nice awful film"
    assert two.values["words_changed"] == 2


def test_an_item_that_is_wrong_already_is_skipped_and_costs_one_request() -> None:
    model = Linear()
    [found] = run(model, [Example("x", "An awful film.", label="positive")])
    assert (found.passed, found.values["outcome"], len(model.asked)) == (None, "skipped", 1)


def test_without_a_label_the_models_own_is_attacked() -> None:
    [found] = run(Linear(), [Example("x", "A good film.")])
    assert found.values["correct"] is None
    assert found.values["value"] == 0


@pytest.mark.parametrize("text", ["", "?!", "..."])
def test_texts_without_words_survive(text: str) -> None:
    [found] = run(Linear(), [Example("x", text)])
    assert found.values["outcome"] == "failed"


def test_number_of_live_probes_does_not_matter() -> None:
    rows = [Example(str(n), f"A good film {n} and a nice table.", label="positive") for n in range(6)]
    assert run(Linear(), rows, live=1) == run(Linear(), rows, live=6)


def test_settings_and_pairs_that_cannot_be() -> None:
    trials = [
        Trial("s", "hotflip", hotflip, Example("pair", "A", pair="B")),
        Trial("s", "hotflip", hotflip, Example("zero", "A"), (("width", 0),)),
    ]
    errors = {r.example: r.error or "" for r in drive(trials, {"subject": Linear()})}
    assert "NotRun" in errors["pair"]
    assert "at least 1" in errors["zero"]


def test_on_a_real_model_a_few_words_flip_it(shared: Path) -> None:
    from audit.models import LoadOptions, load

    model = load(str(shared / "models" / "minilm-sentiment"), options=LoadOptions(device="cpu", dtype="float32"))
    rows = [
        Example("a", "A warm and funny story, told with real affection.", label="positive"),
        Example("b", "The jokes fall flat and the second half drags.", label="negative"),
    ]
    found = run(model, rows)
    assert any(outcome.values["outcome"] == "successful" for outcome in found)
    for outcome, row in zip(found, rows, strict=True):
        after, before = outcome.evidence["after"].split(), row.text.split()
        assert len(after) == len(before)
        assert sum(a != b for a, b in zip(after, before, strict=True)) == outcome.values["words_changed"] <= 2
