"""A subject that answers by chance, and the same each time it is asked.  For calibration.

It knows the examples it will be asked about, since what it writes and points at is taken from them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from audit.types import (
    Answer,
    Choices,
    Classify,
    Embed,
    Example,
    Failed,
    Fill,
    Generate,
    Gradient,
    Labels,
    LogProb,
    Number,
    PseudoLogProb,
    Request,
    Saliency,
    Span,
    SpanAnswer,
    Tag,
    Tags,
    Text,
    Tokens,
    Vector,
)

WIDTH = 8  # of embeddings
CONTEXT = 2048  # tokens
HARDEST, UNSURE = 5.0, 2.0  # nats a token: how much more the hardest text costs any reader, and what is chance
WORD = re.compile(r"[㐀-鿿]|[^\s㐀-鿿]+")


def chance(*parts: Any) -> float:
    """A number in (0, 1) that depends on the parts alone."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=7).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**56


def count(text: str) -> int:
    """Tokens of a text: words, and Chinese characters, and two marks around them."""
    return len(WORD.findall(text)) + 2


class Guessing:
    """Answers every kind of request by chance alone: equal requests alike, another `seed` otherwise.

    It must be told of which example a request is before it is asked.  Of embeddings only the example's own text depends
    on the seed, so that what it is held against stays where it is.
    """

    answers: frozenset[type[Request]] = frozenset(
        {Classify, Tag, Span, Fill, Generate, LogProb, PseudoLogProb, Embed, Tokens, Gradient}
    )

    def __init__(self, names: Sequence[str] = (), seed: int = 0) -> None:
        self.names = tuple(names) or ("no", "yes")
        self.seed = seed
        self.about: dict[str, Any] = {
            "reference": "planted", "name": "planted", "revision": None, "weights_hash": f"guess{seed}",
            "architecture": "Planted", "head": "planted", "parameters": 0, "dtype": "float64", "device": "cpu",
            "labels": list(self.names), "context": CONTEXT,
            "notes": ["a planted subject: its findings say nothing of any real model"],
        }  # fmt: skip
        self._example: dict[Request, Example] = {}
        self._how: Mapping[type[Request], Callable[[Any, Example], Answer]] = {
            Classify: self._classify, Tag: self._tag, Span: self._span, Fill: self._fill, Generate: self._generate,
            LogProb: self._score, PseudoLogProb: self._score, Embed: self._embed, Gradient: self._gradient,
            Tokens: lambda r, e: Number(float(count(r.text)), count(r.text)),
        }  # fmt: skip

    def learn(self, requests: Sequence[Request], example: Example) -> None:
        """Remember of which example these requests are; equal requests of two examples belong to the first."""
        for request in requests:
            self._example.setdefault(request, example)

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request; `Failed` for one it was not told of."""
        return [self._one(request) for request in batch]

    def _one(self, request: Request) -> Answer:
        example = self._example.get(request)
        if example is None:
            return Failed("a planted subject answers only what it was told of")
        return self._how[type(request)](request, example)

    def _draw(self, *parts: Any) -> float:
        return chance(self.seed, *parts)

    def _classify(self, request: Classify, example: Example) -> Labels:
        names, about = self.names, (request.text, request.pair)
        top = int(self._draw(*about) * len(names))
        sure = 1 / len(names) + (1 - 1 / len(names)) * self._draw("sure", *about)
        lost = int(count(example.text) * (2 * self._draw("lost", *about) - 1)) if request.text != example.text else 0
        return replace(labelled(names, top, sure), dropped=max(lost, 0))

    def _tag(self, request: Tag, example: Example) -> Tags:
        found = tuple(f"TAG{int(2 * self._draw(n, *request.words))}" for n in range(len(request.words)))
        return Tags(found, (0.9,) * len(found))

    def _span(self, request: Span, example: Example) -> SpanAnswer:
        inside = [text for text in known(example) if text in request.context]
        words = request.context.split()
        said = self._pick(["", *inside, *words[:3]], request.question, request.context)
        start = max(request.context.find(said), 0)
        return SpanAnswer(said, start, start + len(said), 0.5)

    def _fill(self, request: Fill, example: Example) -> Choices:
        return Choices(tuple(-0.1 - 8 * self._draw(request.text, choice) for choice in request.choices))

    def _generate(self, request: Generate, example: Example) -> Text:
        prompt = request.prompt or "\n".join(content for _, content in request.messages)
        half = len(prompt) // 2
        listed = [*known(example), "planted words of no use", prompt, prompt[:half], prompt[half:]]
        variety = (1, 2, len(listed))[self.seed % 3]  # of what it says: always the same, one of two, anything
        first = int(self._draw(example.id) * len(listed))
        some = [listed[(first + n) % len(listed)] for n in range(variety)]
        said = self._pick(some, prompt, request.sample)
        return Text(said, count(said))

    def _score(self, request: LogProb | PseudoLogProb, example: Example) -> Number:
        before = request.prefix if isinstance(request, LogProb) else request.shared
        words = count(request.text) - 2
        nats = 0.1 + HARDEST * chance("hard", example.id) + UNSURE * self._draw(before, request.text)
        return Number(-nats * max(words, 1), max(words, 1))

    def _embed(self, request: Embed, example: Example) -> Vector:
        seed = self.seed if request.text == example.text else 0
        return Vector(tuple(_normal(*(chance(seed, part, n, request.text) for part in "ab")) for n in range(WIDTH)))

    def _gradient(self, request: Gradient, example: Example) -> Saliency:
        words = list(re.finditer(r"\S+", request.text))
        norms = tuple(self._draw(request.text, n) for n in range(len(words)))
        flips = tuple(
            tuple((f"{word[0]}{n}", self._draw(request.text, word.start(), n)) for n in range(request.flips))
            for word in words
        )
        return Saliency(tuple(word.span() for word in words), norms, flips)

    def _pick(self, listed: Sequence[str], *about: Any) -> str:
        return listed[int(self._draw(*about) * len(listed))]


def labelled(names: Sequence[str], top: int, sure: float) -> Labels:
    """One label with its probability, the others alike."""
    rest = (1 - sure) / max(len(names) - 1, 1)
    probs = tuple(sure if n == top else rest for n in range(len(names)))
    return Labels(probs, tuple(names), tuple(math.log(max(p, 1e-12)) for p in probs))


def _normal(first: float, second: float) -> float:
    return math.sqrt(-2 * math.log(first)) * math.cos(2 * math.pi * second)


def known(example: Example) -> list[str]:
    """The texts that an example holds beside its own: its label and what its columns say."""
    return [text for text in ([example.label] if example.label else []) + list(_texts(example.fields.values())) if text]


def _texts(values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _texts(value)
