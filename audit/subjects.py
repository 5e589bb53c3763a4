"""Which model answers for which suite: the one asked for, or of the embedded ones the one that fits a suite best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit import models
from audit.models import LoadedModel, LoadOptions
from audit.plan import Part, Spec, options, settings
from audit.types import SUBJECT, Classify, LogProb, Model

Cast = Mapping[str, Mapping[str, Model]]  # suite -> role -> model
REFERENCE = "reference"


def cast(spec: Spec, parts: list[Part]) -> tuple[dict[str, LoadedModel], Cast]:
    """The subject of each suite, and every role of each.  UsageError, CannotMeasure where one cannot be loaded.

    `reference` stands, for each suite, for the embedded model that can be asked most of its probes.
    """
    helpers = _helpers(spec, parts)
    whole = None if spec.model == REFERENCE else models.load(spec.model, options=options(spec))
    embedded: dict[str, LoadedModel] = {}
    subjects = {part.suite.name: _answering(whole or _fitting(part, spec, embedded), part) for part in parts}
    return subjects, {name: {SUBJECT: subject, **helpers} for name, subject in subjects.items()}


def _fitting(part: Part, spec: Spec, embedded: dict[str, LoadedModel]) -> LoadedModel:
    """The embedded model that can be asked most of a suite's probes; the first one on a tie."""
    for name in models.embedded():
        if name not in embedded:
            embedded[name] = models.load(f"{REFERENCE}:{name}", options=options(spec))
    return max(embedded.values(), key=lambda model: sum(b.probe.needs <= model.answers for b in part.bound))


def _answering(subject: LoadedModel, part: Part) -> LoadedModel:
    """The subject; a language model that cannot label texts is made to by the words that the suite gives."""
    sheet = part.suite.sheet
    if Classify in subject.answers or LogProb not in subject.answers or not sheet.verbalisers:
        return subject
    return models.verbalised(subject, sheet.verbalisers, sheet.template)


def _helpers(spec: Spec, parts: list[Part]) -> dict[str, Model]:
    """The helpers that are models to be asked, not settings of a probe."""
    known = settings(parts)
    plain = LoadOptions(device=spec.device, dtype=spec.dtype, trust_remote_code=spec.trust_remote_code)
    return {role: models.load(reference, options=plain) for role, reference in spec.helpers if role not in known}


def about(subjects: Mapping[str, LoadedModel]) -> dict[str, Any]:
    """What run.json says of the model: one card, or, where suites have their own, the cards joined."""
    cards = {card["weights_hash"]: card for card in (subject.about for subject in subjects.values())}
    first, *others = cards.values()
    if not others:
        return {**first}
    joined = {
        key: " + ".join(str(card.get(key)) for card in cards.values()) for key in ("architecture", "head", "tokenizer")
    }
    notes = [note for card in cards.values() for note in card.get("notes", [])]
    total = {"parameters": sum(card.get("parameters") or 0 for card in cards.values()), "labels": None, "notes": notes}
    named = {"reference": REFERENCE, "name": REFERENCE, "weights_hash": "+".join(str(key)[:16] for key in cards)}
    return {**first, **joined, **total, **named}
