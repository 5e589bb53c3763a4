"""Greedy and beam search over words: by hand, step by step, and through the scheduler."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import Answer, Classify, Example, Labels, Request, Steps, Trial, probe
from audit.kit.search import Found, Sentence, away_from, beam, ended, greedy, towards, verdict
from audit.schedule import drive

WEIGHTS = {"good": 2.0, "fine": 1.0, "film": 0.2, "bad": -3.0, "poor": -1.0, "okay": -0.5}
SWAPS = {"good": ["okay", "fine"], "fine": ["poor"], "film": ["movie"]}


class Words:
    """A subject that adds up word weights: above 0 is positive."""

    answers: frozenset[type[Request]] = frozenset({Classify})

    def __init__(self) -> None:
        self.asked: list[str] = []

    def run(self, batch: list[Request]) -> list[Answer]:
        self.asked += [r.text for r in batch if isinstance(r, Classify)]
        return [self.one(r.text) for r in batch if isinstance(r, Classify)]

    @staticmethod
    def one(text: str) -> Labels:
        total = sum(WEIGHTS.get(text[a:b].lower(), 0.0) for a, b in spans(text))
        share = min(max(0.5 + total / 10, 0.01), 0.99)
        return Labels((share, 1 - share), ("positive", "negative"))


def spans(text: str) -> list[tuple[int, int]]:
    sentence, found, at = Sentence.of(text), [], 0
    for place, piece in enumerate(sentence.pieces):
        if place in sentence.places:
            found.append((at, at + len(piece)))
        at += len(piece)
    return found


def swaps(word: str) -> list[str]:
    return SWAPS.get(word.lower(), [])


def alone(steps: object) -> tuple[Found, list[int]]:
    """Drive a search by hand; what it found and how many requests each step asked."""
    sizes, answers = [], None
    while True:
        try:
            asked = steps.send(answers)  # type: ignore[attr-defined]
        except StopIteration as stop:
            return stop.value, sizes
        sizes.append(len(asked))
        answers = Words().run(asked)


def test_greedy_takes_the_weightiest_word_first_and_asks_one_list_a_step() -> None:
    found, sizes = alone(greedy("A good film, fine cast.", swaps, away_from("positive")))
    assert found == Found("A okay film, poor cast.", Words.one("A okay film, poor cast."), 2, 6 + 2 + 1, True)
    assert sizes == [6, 2, 1]


def test_greedy_keeps_to_its_number_of_changes() -> None:
    found, _ = alone(greedy("A good film, fine cast.", swaps, away_from("positive"), most=1))
    assert (found.text, found.changed, found.reached) == ("A okay film, fine cast.", 1, False)


def test_greedy_keeps_no_swap_that_does_not_help() -> None:
    found, _ = alone(greedy("A film.", lambda w: ["good"], away_from("positive")))
    assert (found.text, found.changed) == ("A film.", 0)


def test_beam_finds_the_pair_that_no_single_step_shows() -> None:
    traps = {"good": ["plain"], "fine": ["poor", "film"]}
    found, sizes = alone(beam("good fine", lambda w: traps.get(w, []), away_from("positive"), most=2, width=2))
    assert (found.text, found.reached, found.changed) == ("plain poor", True, 2)
    assert sizes == [1, 3, 2]  # two texts of the second round are one


def test_beam_stops_at_the_fewest_changes() -> None:
    found, sizes = alone(beam("fine", lambda w: ["poor", "bad"], away_from("positive"), most=5))
    assert (found.text, found.changed, sizes) == ("bad", 1, [1, 2])


def test_towards_a_label() -> None:
    found, _ = alone(beam("A bad film.", lambda w: ["good"], towards("positive"), most=1))
    assert (found.text, found.reached) == ("A good film.", True)


@given(st.text(max_size=60))
def test_a_sentence_is_its_text(text: str) -> None:
    sentence = Sentence.of(text)
    assert sentence.text == text
    assert all(sentence.pieces[place] for place in sentence.places)


def test_words_keep_their_apostrophes_and_chinese_characters_stand_alone() -> None:
    sentence = Sentence.of("Don't re-read 电影, ok?")
    assert [sentence.pieces[p] for p in sentence.places] == ["Don't", "re-read", "电", "影", "ok"]


@given(st.text(alphabet="abc ,.电影'", max_size=30), st.integers(1, 3))
def test_any_text_ends_in_a_text_with_no_more_changes_than_allowed(text: str, most: int) -> None:
    for search in (greedy, beam):
        found, _ = alone(search(text, lambda w: ["good", "bad"], away_from(Words.one(text).top), most=most))
        assert found.changed <= most
        assert found.answer == Words.one(found.text)
        assert found.reached == (found.answer.top != Words.one(text).top)


@probe(Classify)
def synonyms(example: Example, rng: random.Random) -> Steps:
    [before] = yield [Classify(example.text)]
    found = yield from greedy(example.text, swaps, away_from(before.top))
    return verdict(example, before, ended(example, before, found))


@pytest.mark.parametrize("live", [1, 50])
def test_as_a_probe_whatever_the_number_of_live_ones(live: int) -> None:
    rows = [Example(str(n), f"A good film, take {n}.", label="positive") for n in range(9)]
    rows.append(Example("wrong", "A bad film.", label="positive"))
    records = {
        r.example: r.outcome
        for r in drive([Trial("s", "e", synonyms, r) for r in rows], {"subject": Words()}, live=live)
    }
    assert all(records[str(n)].values["outcome"] == "successful" for n in range(9))
    assert records["wrong"].passed is None
    assert records["wrong"].values["outcome"] == "skipped"


def test_a_verdict_without_a_gold_label_judges_the_models_own() -> None:
    example = Example("x", "A good film.")
    before = Words.one(example.text)
    outcome = verdict(
        example, before, ended(example, before, Found("A bad film.", Words.one("A bad film."), 1, 3, True))
    )
    assert outcome.passed is False
    assert (outcome.values["correct"], outcome.values["value"]) == (None, 0)
    assert "own prediction" in outcome.evidence["note"]
