"""HotFlip: a white-box search that lets the model's own gradient propose the words.  Knows no model.

Ebrahimi, Rao, Lowd, Dou: HotFlip: White-Box Adversarial Examples for Text Classification (ACL 2018), on whole words of
the model's own vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from audit.errors import NotRun, UsageError
from audit.kit.search import Found, Goal, Search, Sentence, away_from, ended, fittest, target_of, verdict
from audit.types import Classify, Example, Gradient, Labels, Saliency, Steps, probe

TRIES = 5  # proposals that are asked about, for each place in the beam


@probe(Classify, Gradient)
def hotflip(example: Example, rng: random.Random, changes: int = 2, width: int = 5, flips: int = 10) -> Steps:
    """THE MODEL'S OWN GRADIENT proposes the words whose replacement should hurt most.

    At most `changes` words are replaced by whole words of the model's vocabulary: for each text in a beam of `width`
    the loss gradient proposes `flips` replacements a word, and those of the largest estimated gain are asked about.
    Nothing keeps the meaning of the text: the finding says how few words decide, and a flip may be a right answer to
    another sentence.  An item passes when the search fails; it has no verdict when the model had it wrong before.
    Needs gradients, so a white box.
    """
    if min(changes, width, flips) < 1:
        raise UsageError(f"changes, width and flips are at least 1, not {changes}, {width}, {flips}")
    if example.pair:
        raise NotRun("HotFlip changes single texts; this example is a pair")
    [before] = yield [Classify(example.text)]
    label = target_of(example, before)
    if before.top != label:
        return verdict(example, before, ended(example, before, Found(example.text, before, 0, 1, False)))
    found = yield from flip(example.text, before, label, changes=changes, width=width, flips=flips)
    return verdict(example, before, ended(example, before, found))


@dataclass(frozen=True)
class Proposal:
    """A text with one more word replaced, and what the gradients promise of all its replacements."""

    gain: float
    sentence: Sentence


def flip(text: str, before: Labels, label: str, *, changes: int, width: int, flips: int) -> Search:
    """Beam search over replacements proposed by gradients, away from `label`; `before` is the answer to `text`."""
    goal = away_from(label)
    best = (Sentence.of(text), before)
    alive = [(best[0], 0.0)]
    queries = 1
    for _ in range(changes):
        pull = yield [Gradient(sentence.text, label, flips) for sentence, _ in alive]
        queries += len(pull)
        found = {
            each.sentence.text: each for (s, gain), p in zip(alive, pull, strict=True) for each in _propose(s, gain, p)
        }
        tries = sorted(found.values(), key=lambda each: -each.gain)[: width * TRIES]
        if not tries:
            break
        answers = yield [Classify(each.sentence.text) for each in tries]
        queries += len(tries)
        gains = {each.sentence.text: each.gain for each in tries}
        kept = fittest([(each.sentence, answer) for each, answer in zip(tries, answers, strict=True)], goal, width)
        best = _better(best, kept[0], goal)
        if goal.reached(best[1]):
            break
        alive = [(sentence, gains[sentence.text]) for sentence, _ in kept]
    return Found(best[0].text, best[1], len(best[0].touched), queries, goal.reached(best[1]))


def _better(one: tuple[Sentence, Labels], other: tuple[Sentence, Labels], goal: Goal) -> tuple[Sentence, Labels]:
    return max(one, other, key=lambda found: (goal.reached(found[1]), goal.score(found[1])))


def _propose(sentence: Sentence, gain: float, pull: Saliency) -> Iterator[Proposal]:
    """Replacements of untouched words that are one token of the model's."""
    whole = _whole_words(sentence)
    for span, proposals in zip(pull.spans, pull.flips, strict=False):
        place = whole.get(span)
        if place is None:
            continue
        word = sentence.pieces[place]
        for new, more in proposals:
            if new.isalpha() and new.casefold() != word.casefold() and more > 0:
                yield Proposal(gain + more, sentence.put(place, _like(new, word)))


def _whole_words(sentence: Sentence) -> dict[tuple[int, int], int]:
    """The untouched words by where they begin and end."""
    spans: dict[tuple[int, int], int] = {}
    start = 0
    free = set(sentence.free)
    for place, piece in enumerate(sentence.pieces):
        if place in free:
            spans[start, start + len(piece)] = place
        start += len(piece)
    return spans


def _like(new: str, word: str) -> str:
    """The new word with the old one's capital letters."""
    if word.isupper() and len(word) > 1:
        return new.upper()
    return new.capitalize() if word[:1].isupper() else new
