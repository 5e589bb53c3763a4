"""Classification by a language model: the label whose words it finds likeliest after the text.  Knows no tensor."""

from __future__ import annotations

import math
from typing import Any, cast

from audit.errors import UsageError
from audit.models import LoadedModel, LoadOptions
from audit.types import Answer, Classify, Failed, Labels, LogProb, Number, Request

TEMPLATE = "{text}\nAnswer: "
TEMPLATE_PAIR = "{text}\n{pair}\nAnswer: "


class Verbal:
    """A model that answers `LogProb`, made to answer `Classify` too.

    The probability of a label is the softmax, over labels, of the summed log-probability of its words after the
    template (the plain sum: longer words are not helped).
    """

    def __init__(self, model: LoadedModel, options: LoadOptions) -> None:
        words = dict(options.verbalisers or {})
        place = model.about["reference"]
        if LogProb not in model.answers:
            raise UsageError(
                f"verbalisers are for language models that give log-probabilities, and {place} (head "
                f"{model.about['head']}) gives none: leave them out, or choose another model"
            )
        if len(words) < 2 or not all(words.values()):
            raise UsageError(f"verbalisers must give at least two labels some words each, and are {words}")
        if options.template and "{text}" not in options.template:
            raise UsageError(f"the template {options.template!r} has no {{text}}, so the text would not be asked about")
        self.model, self.words, self.template = model, words, options.template
        self.answers: frozenset[type[Request]] = model.answers | {Classify}
        self.about: dict[str, Any] = {
            **model.about,
            "labels": list(words),
            "verbalisers": words,
            "template": self.template or TEMPLATE,
        }

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; the batch holds one kind."""
        if not batch or not isinstance(batch[0], Classify):
            return self.model.run(batch)
        asked = cast(list[Classify], batch)
        found = self.model.run([LogProb(self.prompt(r), words) for r in asked for words in self.words.values()])
        size = len(self.words)
        return [self.labels(found[i * size : (i + 1) * size]) for i in range(len(asked))]

    def prompt(self, request: Classify) -> str:
        """The template with the request's texts in it (texts may hold braces)."""
        template = self.template or (TEMPLATE_PAIR if request.pair else TEMPLATE)
        before, *rest = template.split("{text}")
        fill = [part.replace("{pair}", request.pair) for part in (before, *rest)]
        return request.text.join(fill)

    def labels(self, found: list[Answer]) -> Answer:
        """One answer from the log-probability of every label's words."""
        if failed := next((a for a in found if isinstance(a, Failed)), None):
            return failed
        values = [cast(Number, answer).value for answer in found]
        top = max(values)
        mass = [math.exp(value - top) for value in values]
        probs = tuple(share / sum(mass) for share in mass)
        dropped, unknown = max(a.dropped for a in found), max(a.unknown for a in found)
        return Labels(probs, tuple(self.words), tuple(values), dropped=dropped, unknown=unknown)
