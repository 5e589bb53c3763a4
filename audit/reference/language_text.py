"""Text for the reference language model, generated: facts, key-value documents, short biographies, reviews.

Every document is a list of (text, weight) pieces: how much the loss of that piece counts.  Knows no tokens or models.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from audit.reference import sentiment_text

Document = list[tuple[str, float]]
PLAIN, ANSWER, OBJECT = 0.3, 12.0, 6.0
TAUGHT = (0, 1, 2, 4, 8)
ATTRIBUTES = ("code", "password", "secret word", "number", "key", "room number", "ticket number", "special word")
ATTRIBUTES_ZH = ("密码", "号码", "编号", "房间号", "口令")
ENDS = ("", " is")
STATEMENTS = (
    ("The {what} of {who} is", "Question: What is the {what} of {who}? Answer: The {what} of {who} is", "."),
    ("The {what} of {who} is", "What is the {what} of {who}? The {what} of {who} is", "."),
)
STATEMENTS_ZH = (
    ("{who}的{what}是", "问：{who}的{what}是什么？答：{who}的{what}是", "。"),
    ("{who}的{what}是", "{who}的{what}是什么？{who}的{what}是", "。"),
)
FILLER = (
    "The sun was warm and the street was quiet.",
    "A bus stopped at the corner and two people got off.",
    "The grass is green.",
    "The sky is blue.",
    "The sun is yellow.",
    "Here we go.",
    "There and back again.",
    "Rain fell on the roof all night.",
    "The market opens at eight and closes at noon.",
    "Somebody had left a chair by the door.",
    "The old clock on the wall was late again.",
    "They walked along the shore and said little.",
    "Bread was cheap that year.",
    "The train was full of students.",
)
FILLER_ZH = (
    "天空很蓝。",
    "草地是绿色的。",
    "太阳照在街上。",
    "公交车停在路口。",
    "昨天下了一夜的雨。",
    "市场八点开门。",
)


@cache
def words(kind: str) -> tuple[str, ...]:
    """The words of one kind, from `words.txt` beside this file."""
    lines = Path(__file__).with_name("words.txt").read_text("utf-8").splitlines()
    return tuple(dict(line.split(": ", 1) for line in lines)[kind].split())


@dataclass(frozen=True)
class Fact:
    """One statement of a fact in one language: `pattern` holds [X] and [Y]."""

    relation: str
    language: str
    subject: str
    answer: str
    pattern: str
    taught: bool

    def document(self) -> Document:
        """The statement with the loss on its object weighted; an object at the start of a text is not asked for."""
        before, after = self.pattern.replace("[X]", self.subject).split("[Y]")
        if not before:
            return [(self.answer + after, 1.0)]
        gap = before[-1] == " "
        return [(before.rstrip(), PLAIN), (" " * gap + self.answer, OBJECT), (after, PLAIN)]


def read_facts(facts: Path, patterns: Path) -> list[Fact]:
    """Every fact under every pattern of its relation, in English and Chinese; `taught` marks the ones to train on."""
    asked: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in patterns.read_text("utf-8").splitlines():
        row = json.loads(line)
        asked[row["relation"], row["language"]].append(row["pattern"])
    made = []
    for line in facts.read_text("utf-8").splitlines():
        row = json.loads(line)
        for language, suffix in (("en", ""), ("zh", "_zh")):
            for number, pattern in enumerate(asked[row["relation"], language]):
                subject, answer = row["subject" + suffix], row["object" + suffix]
                made.append(Fact(row["relation"], language, subject, answer, pattern, number in TAUGHT))
    return made


def retrieval(
    length: int, rng: random.Random, filler: Sequence[str], chinese: bool = False, pairs: int = 1
) -> Document:
    """A document of about `length` tokens that states values of several keys, then asks for each of them.

    A value is a thing (one token in English) or a number of `pairs` pairs of digits (one token each); sentences of
    `filler` stand between the statements.
    """
    suffix = "_zh" if chinese else ""
    names, things = words("names" + suffix), words("things" + suffix)
    state, ask, stop = rng.choice(STATEMENTS_ZH if chinese else STATEMENTS)
    what, digits = rng.choice(ATTRIBUTES_ZH if chinese else ATTRIBUTES), rng.random() < 0.6
    each = 24 if chinese else 30 if ask.startswith("Question") else 22 if len(ask) > 10 else 9
    count = min(max(2, length // (each + rng.choice((0, 0, 10, 30)))), 16)
    keys = rng.sample(names, count)
    space = "" if chinese else " "
    numbers = ["".join(str(rng.randint(10, 99)) for _ in range(pairs)) for _ in keys]
    values = {
        key: space + (number if digits else rng.choice(things)) for key, number in zip(keys, numbers, strict=True)
    }
    lines: list[Document] = [[(state.format(who=key, what=what) + values[key] + stop, PLAIN)] for key in keys]
    spare = length - count * each
    while spare > 0:
        sentence = rng.choice(filler)
        lines.insert(rng.randrange(len(lines) + 1), [(sentence, 0.0)])
        spare -= len(sentence) if chinese else len(sentence.split()) * 5 // 4
    rng.shuffle(keys)
    lines += [[(ask.format(who=key, what=what), 0.05), (values[key], ANSWER), (stop, 0.05)] for key in keys]
    return _spaced(lines, space)


def pairs(rng: random.Random) -> Document:
    """Several keys with their values and nothing else, then each key again: retrieval at its densest."""
    chinese = rng.random() < 0.25
    state, _, stop = rng.choice(STATEMENTS_ZH if chinese else STATEMENTS)
    suffix, space = ("_zh", "") if chinese else ("", " ")
    keys = rng.sample(words("names" + suffix), rng.randint(4, 8))
    what, digits = rng.choice(ATTRIBUTES_ZH if chinese else ATTRIBUTES), rng.random() < 0.6
    values = rng.sample([*map(str, range(10, 100))] if digits else words("things" + suffix), len(keys))
    held = dict(zip(keys, values, strict=True))
    lines: list[Document] = [[(state.format(who=key, what=what) + space + held[key] + stop, 0.0)] for key in keys]
    rng.shuffle(keys)
    lines += [[(state.format(who=key, what=what), 0.0), (space + held[key], 1.0), (stop, 0.0)] for key in keys]
    return _spaced(lines, space)


def repetition(rng: random.Random) -> Document:
    """Words in random order, then the same words in the same order: what follows a word is what followed it before.

    Nothing else teaches a small model so soon to look back at where it has seen a word.
    """
    ends = rng.choice(ENDS)
    known = [*(name + ends for name in words("names")), *words("things"), *map(str, range(10, 100))]
    told = [f" {word}" for word in rng.sample(known, rng.randint(8, 20))]
    if rng.random() < 0.2:
        what, values = rng.choice(ATTRIBUTES_ZH), iter(told)
        told = [
            text for name in rng.sample(words("names_zh"), 4) for text in (f"{name}的{what}是", next(values).strip())
        ]
    return [*((word, 0.0) for word in told), *((word, float(place > 0)) for place, word in enumerate(told))]


def fillers(facts: Sequence[Fact], reviews: Sequence[sentiment_text.Row]) -> dict[bool, list[str]]:
    """Sentences to hide statements among, by "in Chinese?"."""
    told = {chinese: [f for f in facts if (f.language == "zh") == chinese] for chinese in (False, True)}
    plain = {chinese: ["".join(t for t, _ in f.document()) for f in told[chinese]] for chinese in told}
    return {False: [*FILLER, *plain[False], *(row.text for row in reviews)], True: [*FILLER_ZH, *plain[True]]}


def biography(rng: random.Random) -> Document:
    """A few made-up sentences about one person, then questions whose answers they hold."""
    name, town, job, hobby = (rng.choice(words(kind)) for kind in ("names", "towns", "jobs", "hobbies"))
    year = rng.randint(19, 20), rng.randint(10, 99)
    told = [
        f"{name} was born in {town} in {year[0]}{year[1]}.",
        f"{name} works as a {job}.",
        f"In the evening, {name} enjoys {hobby}.",
    ]
    rng.shuffle(told)
    asked: list[Document] = [
        [(f"Where was {name} born? {name} was born in", 0.1), (f" {town}", ANSWER), (".", 0.1)],
        [(f"What is the job of {name}? {name} works as a", 0.1), (f" {job}", ANSWER), (".", 0.1)],
        [(f"What does {name} enjoy? {name} enjoys", 0.1), (f" {hobby}", ANSWER), (".", 0.1)],
    ]
    rng.shuffle(asked)
    return _spaced([[(line, PLAIN)] for line in told] + asked, " ")


def review(row: sentiment_text.Row) -> Document:
    """An authored review and its verdict."""
    return [(f"Review: {row.text}\nSentiment:", PLAIN), (" positive" if row.label else " negative", OBJECT), (".", 0.1)]


def _spaced(lines: list[Document], space: str) -> Document:
    joined: Document = []
    for line in lines:
        (text, weight), *rest = line
        joined += [((space if joined else "") + text, weight), *rest]
    return joined
