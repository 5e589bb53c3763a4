"""Searches for a small change of words that moves a model's answer, as steps.  Knows no kind of change and no model.

`swaps` says what may stand in a word's place; `goal` says what counts as further and as far enough.  Both searches ask
one list a step, and return a `Found`: `found = yield from greedy(text, swaps, away_from(label))`.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from audit.types import Classify, Example, Labels, Outcome, Request, Scalar

UNLABELLED = "no gold label: the model's own prediction was attacked"
WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+(?:['’-][^\W\u3400-\u9fff]+)*")

Swaps = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Goal:
    """What a search is after: `score` grows on the way there, `reached` says when it is done."""

    score: Callable[[Labels], float]
    reached: Callable[[Labels], bool]


@dataclass(frozen=True)
class Found:
    """How a search ended: the text it came to, the answer to it, words changed, texts asked about, and success."""

    text: str
    answer: Labels
    changed: int
    queries: int
    reached: bool


Search = Generator[list[Request], list[Any], Found]


def away_from(label: str) -> Goal:
    """Any label but this one."""
    return Goal(lambda answer: 1 - answer.of(label), lambda answer: answer.top != label)


def towards(label: str) -> Goal:
    """This label."""
    return Goal(lambda answer: answer.of(label), lambda answer: answer.top == label)


@dataclass(frozen=True)
class Sentence:
    """A text as words and what lies between them; `touched` are the places of words already changed."""

    pieces: tuple[str, ...]
    places: tuple[int, ...]
    touched: frozenset[int] = frozenset()

    @classmethod
    def of(cls, text: str) -> Sentence:
        """Words are runs of letters and digits (with apostrophes and hyphens inside); each Chinese character is one."""
        pieces: list[str] = []
        places: list[int] = []
        end = 0
        for match in WORD.finditer(text):
            pieces += [text[end : match.start()], match[0]]
            places.append(len(pieces) - 1)
            end = match.end()
        return cls((*pieces, text[end:]), tuple(places))

    @property
    def text(self) -> str:
        """The text in full."""
        return "".join(self.pieces)

    @property
    def free(self) -> list[int]:
        """The places of words that nobody has changed yet."""
        return [place for place in self.places if place not in self.touched]

    def put(self, place: int, word: str) -> Sentence:
        """Another word in one place."""
        pieces = (*self.pieces[:place], word, *self.pieces[place + 1 :])
        return Sentence(pieces, self.places, self.touched | {place})


def greedy(text: str, swaps: Swaps, goal: Goal, *, most: int = 0, pair: str = "") -> Search:
    """Words in the order of what their removal does; of each word's swaps the best one stays, if it is an improvement.

    `most` bounds the words changed (0: all of them).  The order is that of word importance ranking (Gao et al. 2018).
    """
    sentence = Sentence.of(text)
    without = [sentence.put(place, "") for place in sentence.free]
    now, *answers = yield [Classify(each.text, pair) for each in (sentence, *without)]
    queries = 1 + len(without)
    weights = dict(zip(sentence.free, map(goal.score, answers), strict=True))
    for place in sorted(weights, key=lambda at: (-weights[at], at)):
        if goal.reached(now) or len(sentence.touched) >= (most or len(weights)):
            break
        tries = _variants(sentence, [place], swaps)
        if not tries:
            continue
        answers = yield [Classify(each.text, pair) for each in tries]
        queries += len(tries)
        at = max(range(len(tries)), key=lambda i: (goal.reached(answers[i]), goal.score(answers[i]), -i))
        if goal.reached(answers[at]) or goal.score(answers[at]) > goal.score(now):
            sentence, now = tries[at], answers[at]
    return Found(sentence.text, now, len(sentence.touched), queries, goal.reached(now))


def beam(text: str, swaps: Swaps, goal: Goal, *, most: int = 2, width: int = 5, pair: str = "") -> Search:
    """The `width` best texts of each round, each with one more word changed, for `most` rounds.

    The fewest changes that reach the goal are found first; among equals the one that reaches it furthest.
    """
    start = Sentence.of(text)
    [now] = yield [Classify(text, pair)]
    best = (start, now)
    alive, queries = [best], 1
    for _ in range(most):
        tries = {each.text: each for sentence, _ in alive for each in _variants(sentence, sentence.free, swaps)}
        if goal.reached(best[1]) or not tries:
            break
        answers = yield [Classify(each, pair) for each in tries]
        queries += len(tries)
        asked = list(zip(tries.values(), answers, strict=True))
        alive = fittest(asked, goal, width)
        best = max(best, alive[0], key=lambda found: (goal.reached(found[1]), goal.score(found[1])))
    return Found(best[0].text, best[1], len(best[0].touched), queries, goal.reached(best[1]))


def fittest(asked: list[tuple[Sentence, Labels]], goal: Goal, width: int) -> list[tuple[Sentence, Labels]]:
    """The `width` best, those that reach the goal before all others; the earlier one on a tie."""
    order = itertools.count()
    return heapq.nsmallest(width, asked, key=lambda one: (not goal.reached(one[1]), -goal.score(one[1]), next(order)))


def _variants(sentence: Sentence, places: list[int], swaps: Swaps) -> list[Sentence]:
    found = (sentence.put(at, new) for at in places for new in swaps(sentence.pieces[at]) if new != sentence.pieces[at])
    return list({each.text: each for each in found}.values())


# What an attack found, in the columns that the measures read.


@dataclass(frozen=True)
class Ended:
    """How an attack on one example ended: state (successful, failed, skipped), the label and the text in the end."""

    state: str
    label: str
    text: str
    queries: int
    words: int
    changed: int = 0
    notes: tuple[str, ...] = ()


def target_of(example: Example, before: Labels) -> str:
    """The label under attack: the gold one, or the model's own where there is none."""
    return before.top if example.label is None else example.label


def ended(example: Example, before: Labels, found: Found, notes: tuple[str, ...] = ()) -> Ended:
    """A search of ours in the words of the measure `attack`: an item that was wrong from the start is skipped."""
    wrong = before.top != target_of(example, before)
    state = "skipped" if wrong else "successful" if found.reached else "failed"
    words = len(Sentence.of(example.text).places)
    return Ended(state, found.answer.top, found.text, found.queries, words, found.changed, notes)


def verdict(example: Example, before: Labels, end: Ended) -> Outcome:
    """Columns outcome, queries, words, words_changed, correct_before, correct, is_original and value; texts to show.

    Passed when the attack failed; no verdict when it was skipped.  Without a gold label correctness is None, and
    `value` says whether the model kept its own answer.
    """
    labelled = example.label is not None
    label = target_of(example, before)
    values: dict[str, Scalar] = {
        "outcome": end.state,
        "queries": end.queries,
        "words": end.words,
        "words_changed": end.changed,
        "correct_before": int(before.top == label) if labelled else None,
        "correct": int(end.label == label) if labelled else None,
        "is_original": 0,
        "value": int(end.label == label),
    }
    original = "\n".join(filter(None, (example.text, example.pair)))
    evidence = {"before": original, "after": end.text, "predicted": end.label}
    evidence |= {"gold": label} if labelled else {}
    if notes := end.notes if labelled else (*end.notes, UNLABELLED):
        evidence["note"] = "; ".join(notes)
    return Outcome(None if end.state == "skipped" else end.state == "failed", values, evidence)
