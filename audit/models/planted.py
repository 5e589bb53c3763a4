"""A subject that knows the examples it will be asked about, and errs exactly where it is told to.  For calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from audit.types import (
    Answer,
    Choices,
    Classify,
    Example,
    Failed,
    Fill,
    Generate,
    Labels,
    LogProb,
    Number,
    Request,
    Span,
    SpanAnswer,
    Tag,
    Tags,
    Text,
)

SURE = 0.9  # what the subject gives to the answer it settles on


class Planted:
    """Answers every question about an example rightly, or where `wrong` wrongly, as long as its text is unchanged.

    Where `struck`, a question whose text was changed gets the other answer: right ones become wrong, wrong ones right
    (another wrong one, with more than two labels).  It must be told of which example a request is before it is asked.
    """

    answers: frozenset[type[Request]] = frozenset({Classify, Tag, Span, Fill, Generate, LogProb})

    def __init__(self, names: Sequence[str], *, wrong: bool = False, struck: bool = False) -> None:
        self.names = tuple(names) or ("no", "yes")
        self.wrong, self.struck = wrong, struck
        self.about: dict[str, Any] = {
            "reference": "planted", "name": "planted", "revision": None, "weights_hash": f"{wrong}{struck}",
            "architecture": "Planted", "head": "planted", "parameters": 0, "dtype": "float64", "device": "cpu",
            "labels": list(self.names), "notes": ["a planted subject: its findings say nothing of any real model"],
        }  # fmt: skip
        self._example: dict[Request, Example] = {}
        self._how: Mapping[type[Request], Callable[[Any, Example, int], Answer]] = {
            Classify: self._classify,
            Tag: lambda r, e, step: Tags((f"TAG{step}",) * len(r.words), (SURE,) * len(r.words)),
            Span: _span,
            Fill: self._fill,
            Generate: lambda r, e, step: Text(e.label if e.label and step == 0 else f"planted answer {step}", 3),
            LogProb: lambda r, e, step: Number(-1.0 if (r.text.strip() == e.label) == (step == 0) else -9.0, 1),
        }

    def learn(self, requests: Sequence[Request], example: Example) -> None:
        """Remember of which example these requests are; equal requests of two examples belong to the first."""
        for request in requests:
            self._example.setdefault(request, example)

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request; `Failed` for one it was not told of."""
        return [self._one(request) for request in batch]

    def _one(self, request: Request) -> Answer:
        example = self._example.get(request)
        if example is None or type(request) not in self._how:
            return Failed("a planted subject answers only what it was told of")
        step = int(self.wrong) + int(self.struck and not unchanged(request, example))
        return self._how[type(request)](request, example, step)

    def _classify(self, request: Classify, example: Example, step: int) -> Labels:
        names = self.names
        at = (names.index(example.label) if example.label in names else 0) + step
        rest = (1 - SURE) / max(len(names) - 1, 1)
        return Labels(tuple(SURE if i == at % len(names) else rest for i in range(len(names))), names)

    def _fill(self, request: Fill, example: Example, step: int) -> Choices:
        choices = request.choices
        at = ((choices.index(example.label) if example.label in choices else 0) + step) % len(choices)
        return Choices(tuple(-1.0 if i == at else -5.0 for i in range(len(choices))))


def _span(request: Span, example: Example, step: int) -> SpanAnswer:
    said = example.label if example.label and step != 1 else f"planted answer {step % 2}"
    start = request.context.find(said)
    return SpanAnswer(said, max(start, 0), max(start, 0) + len(said), SURE)


def unchanged(request: Request, example: Example) -> bool:
    """Whether a request asks about the example's text as it is."""
    if isinstance(request, Classify):
        return request.text == example.text and request.pair in (example.pair, "")
    if isinstance(request, Tag):
        return list(request.words) == example.text.split()
    if isinstance(request, Span):
        return request.question == example.text
    if isinstance(request, Fill):
        return request.text.startswith(example.text)
    if isinstance(request, LogProb):
        return example.text in request.prefix
    if isinstance(request, Generate):
        said = request.prompt or "\n".join(content for _, content in request.messages)
        return said == example.text
    return False
