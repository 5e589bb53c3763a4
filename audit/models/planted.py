"""A subject that knows the examples it will be asked about, and errs exactly where it is told to.  For calibration."""

from __future__ import annotations

from collections.abc import Sequence

from audit.models.guessing import Guessing, chance, labelled
from audit.types import (
    Answer,
    Choices,
    Classify,
    Example,
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

SURE, SPREAD = 0.9, 0.16  # how sure the subject is of what it settles on: on average, and from item to item
HELPERS = {  # the labels of the models that may play a role beside the subject
    "nli": ("entailment", "neutral", "contradiction"),
    "sentiment": ("negative", "positive"),
    "regard": ("negative", "neutral", "positive"),
}


class Planted(Guessing):
    """Answers every question about an example rightly, or where `wrong` wrongly, as long as its text is unchanged.

    Where `struck`, a question whose text was changed gets the other answer: right ones become wrong, wrong ones right
    (another wrong one, with more than two labels).  What has no right answer is guessed.
    """

    def __init__(self, names: Sequence[str], *, wrong: bool = False, struck: bool = False) -> None:
        super().__init__(names)
        self.wrong, self.struck = wrong, struck
        self.about["weights_hash"] = f"{wrong}{struck}"

    def _one(self, request: Request) -> Answer:
        example = self._example.get(request)
        if example is None:
            return super()._one(request)
        step = int(self.wrong) + int(self.struck and not unchanged(request, example))
        if isinstance(request, Classify):
            return self._chosen(example, step)
        if isinstance(request, Tag):
            return Tags((f"TAG{step}",) * len(request.words), (SURE,) * len(request.words))
        if isinstance(request, Span):
            return _span(request, example, step)
        if isinstance(request, Fill):
            return _filled(request, example, step)
        if isinstance(request, Generate):
            right = example.label and step == 0
            return Text(str(example.label) if right else f"this is the planted answer number {step}", 6)
        if isinstance(request, LogProb) and example.label is not None and request.prefix:
            return Number(-1.0 if (request.text.strip() == example.label) == (step == 0) else -9.0, 1)
        return super()._one(request)

    def _chosen(self, example: Example, step: int) -> Labels:
        names = self.names
        if example.label not in names:  # there is no right answer: the last label, or another
            return labelled(names, (len(names) - 1 + step) % len(names), SURE)
        at = names.index(example.label) + step
        return labelled(names, at % len(names), SURE + SPREAD * (chance(example.id) - 0.5))


def _filled(request: Fill, example: Example, step: int) -> Choices:
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
