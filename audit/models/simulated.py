"""A subject with planted, exactly known defects, for tests, demos and calibration.  Needs no torch and no weights."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from typing import Any

from audit.errors import UsageError, nearest
from audit.models import LoadOptions
from audit.models.labels import label_map
from audit.models.lexicon import BAD, GOOD, VALUES, VALUES_ZH, lexicon, words
from audit.types import (
    Answer,
    Choices,
    Classify,
    Embed,
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

NAMES = ("negative", "positive")
SETTINGS = {"accuracy": 1.0, "flip": 0.0, "seed": 0}
WIDTH = 32


class Simulated:
    """Labels text as negative or positive by a small English and Chinese lexicon, with planted errors.

    `accuracy` is the chance that the words of a text are read as the lexicon reads them (errors are drawn by letters
    and digits alone, so case, spacing and punctuation do not change them).  `flip` (at most 0.5) is the chance that two
    wordings of such a text get different labels.  Hence, on texts that the lexicon reads rightly, the expected accuracy
    is a(1-p) + (1-a)p with p = (1 - sqrt(1 - 2 flip)) / 2.  `seed` draws another subject of the same kind.
    """

    def __init__(self, reference: str, options: LoadOptions) -> None:
        self.settings = settings(reference.partition(":")[2])
        self.invert = (1 - math.sqrt(1 - 2 * self.settings["flip"])) / 2
        self.labels = label_map(NAMES, options.labels, reference)
        self._how: dict[type[Request], Callable[[Any], Answer]] = {
            Classify: self._classify,
            Gradient: self._gradient,
            Embed: lambda r: Vector(tuple(embed(r.text))),
            Tag: lambda r: Tags(tuple(map(tag, r.words)), (1.0,) * len(r.words)),
            Span: span,
            Fill: lambda r: Choices(tuple(self._fluency(r.text.replace("[MASK]", c)) for c in r.choices)),
            PseudoLogProb: lambda r: Number(self._fluency(r.text), len(words(r.text))),
            LogProb: lambda r: Number(self._fluency(r.text, r.prefix), len(words(r.text))),
            Generate: self._generate,
            Tokens: lambda r: Number(float(len(words(r.text))), len(words(r.text))),
        }
        self.answers: frozenset[type[Request]] = frozenset(self._how)
        self.about: dict[str, Any] = {
            "reference": reference,
            "name": reference,
            "revision": None,
            "weights_hash": hashlib.sha256(repr(sorted(self.settings.items())).encode()).hexdigest(),
            "architecture": "Simulated",
            "head": "simulated",
            "parameters": 0,
            "dtype": "float64",
            "device": "cpu",
            "context": None,
            "vocabulary": len(VALUES) + len(VALUES_ZH),
            "labels": list(self.labels.names),
            "tokenizer": "words",
            "transformers": None,
            "torch": None,
            "notes": ["a simulated subject: its defects are planted, its findings say nothing of any real model"],
        }

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order, whatever else is in the batch."""
        return [self._how[type(request)](request) for request in batch]

    def score(self, text: str, pair: str = "") -> float:
        """The log-odds of positive, planted errors included."""
        whole = f"{text} {pair}" if pair else text
        value = lexicon(whole)
        letters = "".join(c for c in whole.casefold() if c.isalnum())
        if value == 0:
            value = 0.5 if self._draw("tie", letters) < 0.5 else -0.5
        if self._draw("wrong", letters) >= self.settings["accuracy"]:
            value = -value
        return -value if self._draw("flip", whole) < self.invert else value

    def _draw(self, *key: str) -> float:
        return draw(str(self.settings["seed"]), *key)

    def _classify(self, request: Classify) -> Answer:
        value = max(min(self.score(request.text, request.pair), 4.0), -4.0)
        up = 1 / (1 + math.exp(-value))
        probs, logits = (1 - up, up), (-value / 2, value / 2)
        if self.labels.plain:
            return Labels(probs, self.labels.names, logits)
        summed = tuple(sum(probs[i] for i in columns) for columns in self.labels.columns)
        return Labels(summed, self.labels.names, tuple(math.log(p) for p in summed))

    def _gradient(self, request: Gradient) -> Answer:
        if request.label not in self.labels.names:
            known = ", ".join(self.labels.names)
            return Failed(f"the model has no label {request.label!r} (it has {known})")
        found = list(re.finditer(r"[^\W_]+(?:'\w+)?", request.text))
        weights = [abs(lexicon(m.group())) or 0.1 * draw("norm", m.group()) for m in found]
        worse = BAD if request.label == self.labels.names[-1] else GOOD
        flips = tuple(
            tuple((worse[int(draw(m.group(), str(n)) * len(worse))], weight / (n + 1)) for n in range(request.flips))
            for m, weight in zip(found, weights, strict=True)
        )
        return Saliency(tuple(m.span() for m in found), tuple(weights), flips if request.flips else ())

    def _fluency(self, text: str, before: str = "") -> float:
        """A stand-in log-probability: every word costs 2 to 10 nats, drawn by the word and the one before it."""
        last, total = (words(before) or [""])[-1], 0.0
        for word in words(text):
            total -= 2 + 8 * self._draw("word", last, word)
            last = word
        return total

    def _generate(self, request: Generate) -> Answer:
        """Repeats the words of the prompt's last sentence, up to the limit: a parrot."""
        prompt = request.prompt or " ".join(content for _, content in request.messages[-1:])
        spoken = words(re.split(r"[.!?。！？\n]", prompt.strip().rstrip(".!?。！？"))[-1])[: request.limit]
        if request.sample:
            spoken.sort(key=lambda word: self._draw("sample", str(request.sample), word))
        text = " ".join(spoken)
        for stop in request.stop:
            text = text.split(stop)[0] if stop else text
        return Text(text, len(words(text)), self._fluency(text, prompt))


def settings(text: str) -> dict[str, float]:
    """`accuracy=0.9,flip=0.2,seed=1` as numbers; UsageError for an unknown key or a value out of range."""
    found: dict[str, float] = dict(SETTINGS)
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key not in SETTINGS:
            raise UsageError(f"simulated:{text} sets {key!r}, which no simulated model has: {nearest(key, SETTINGS)}")
        try:
            found[key] = int(value) if key == "seed" else float(value)
        except ValueError:
            raise UsageError(f"simulated:{text} gives {key} the value {value!r}, which is not a number") from None
        top = {"accuracy": 1.0, "flip": 0.5}.get(key)
        if top is not None and not 0 <= found[key] <= top:
            raise UsageError(f"simulated:{text} gives {key} the value {value}: it must be between 0 and {top}")
    return found


def draw(*key: str) -> float:
    """A number in [0, 1) fixed by its key."""
    raw = hashlib.blake2b("\x1f".join(key).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(raw, "big") / 2**64


def embed(text: str) -> list[float]:
    """A unit vector of hashed words (length 32; all zeros for a text without words)."""
    vector = [0.0] * WIDTH
    for word in words(text.casefold()):
        vector[int(draw("place", word) * WIDTH)] += 1 if draw("sign", word) < 0.5 else -1
    norm = math.sqrt(sum(v * v for v in vector))
    return [v / norm for v in vector] if norm else vector


def tag(word: str) -> str:
    """NUM for digits, NAME for a capital, WORD for other letters, PUNCT for the rest."""
    if word[:1].isdigit():
        return "NUM"
    return "NAME" if word[:1].isupper() else "WORD" if word[:1].isalpha() else "PUNCT"


def span(request: Span) -> SpanAnswer:
    """The sentence of the context that shares most words with the question; "" where none does."""
    asked = set(words(request.question.casefold()))
    best, score = (0, 0), 0.0
    for m in re.finditer(r"[^.!?。！？]+", request.context):
        shared = len(asked & set(words(m.group().casefold())))
        if shared > score:
            lead = len(m.group()) - len(m.group().lstrip())
            best, score = (m.start() + lead, m.start() + lead + len(m.group().strip())), float(shared)
    return SpanAnswer(request.context[best[0] : best[1]], best[0], best[1], score)
