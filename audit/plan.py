"""Suites + data + model into a plan: which probe is asked of which example, and why some are not.  Asks nothing yet."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from audit import data, suite
from audit.errors import UsageError
from audit.models import LoadedModel
from audit.say import cannot, say
from audit.suite import Bound, Suite
from audit.types import Example, Trial


@dataclass(frozen=True)
class Spec:
    """What was asked for, as saved in run.json.  `labels` and `helpers` are (name, value) pairs."""

    suites: tuple[str, ...]
    model: str
    revision: str | None = None
    head: str = ""
    data: str | None = None
    split: str | None = None
    text: str | None = None
    pair: str | None = None
    label: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    batch_tokens: int = 0
    trust_remote_code: bool = False
    allow_pickle: bool = False
    helpers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Part:
    """One suite of a run: its bound entries and the data they are asked of."""

    suite: Suite
    bound: list[Bound]
    blocks: list[data.Loaded]


@dataclass(frozen=True)
class Planned:
    """One entry of a plan: on which examples, or why on none."""

    bound: Bound
    examples: tuple[Example, ...]
    reason: Mapping[str, str] | None


def prepare(spec: Spec) -> list[Part]:
    """Read suites and data and check every setting, before any model is loaded.  UsageError for what is wrong."""
    parts = []
    for reference in spec.suites:
        found = suite.load(reference)
        bound = [_helped(b, dict(spec.helpers)) for b in suite.bind(found)]
        parts.append(Part(found, bound, [data.load(s, spec.seed) for s in _sources(spec, found)]))
    names = [part.suite.name for part in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"two of the suites have the same name ({', '.join(names)}); run them apart.")
    return parts


def _sources(spec: Spec, found: Suite) -> list[data.Source]:
    """The suite's own data blocks, or the user's data in their place."""
    blocks = [data.Source(**block.model_dump(), folder=found.folder) for block in found.sheet.data]
    if spec.data is not None:
        own = data.Source(
            spec.data,
            split=spec.split,
            text=spec.text or "text",
            pair=spec.pair,
            label=spec.label or "label",
            limit=spec.limit,
        )
        return [own]
    if spec.limit is None:
        return blocks
    return [replace(block, limit=min(spec.limit, block.limit or spec.limit)) for block in blocks]


def _helped(bound: Bound, helpers: Mapping[str, str]) -> Bound:
    """An entry whose probe has a setting named after a helper gets that helper's folder."""
    names = list(inspect.signature(bound.probe.run).parameters)[2:]
    extra = {name: value for name, value in helpers.items() if name in names and name not in bound.entry.settings}
    if not extra:
        return bound
    entry = bound.entry.model_copy(update={"settings": {**bound.entry.settings, **extra}})
    return Bound(entry, bound.probe, tuple(suite.cells(entry)))


def settings(parts: list[Part]) -> set[str]:
    """The names of all settings that the probes have."""
    return {name for part in parts for b in part.bound for name in inspect.signature(b.probe.run).parameters}


def aligned(blocks: list[data.Loaded], subject: LoadedModel) -> list[data.Loaded]:
    """The data with its labels under the model's names.  UsageError where they are not the model's."""
    names = subject.about.get("labels")
    if not names:
        return blocks
    return [replace(b, examples=data.align(b.examples, names, b.source.load)[0]) for b in blocks]


def plan(bound: Bound, blocks: list[data.Loaded], subject: LoadedModel) -> Planned:
    """On which examples an entry is asked, or why on none."""
    entry = bound.entry
    if missing := bound.probe.needs - subject.answers:
        return Planned(bound, (), cannot(missing))
    wanted = [b for b in blocks if entry.data in (None, b.source.name) or len(blocks) == 1]
    examples = [e for b in wanted for e in b.examples if entry.language in (None, e.language)]
    if not examples:
        return Planned(bound, (), say("no_language", language=say(entry.language or "en")))
    for cell in bound.cells:
        if bound.probe.ready and (why := bound.probe.ready(**dict(cell))):
            return Planned(bound, (), say("not_ready", why=why))
    return Planned(bound, tuple(data.sample(examples, entry.limit, 0)), None)


def trials(spec: Spec, parts: list[Part], plans: Mapping[str, list[Planned]]) -> Iterator[Trial]:
    """Example by example, so that what several probes ask of one text is asked while its answers are remembered."""
    for part in parts:
        by_example: dict[str, list[tuple[Example, Planned]]] = {}
        for plan in plans[part.suite.name]:
            for example in plan.examples:
                by_example.setdefault(f"{example.id}\0{example.text}", []).append((example, plan))
        for asked in by_example.values():
            for example, plan in asked:
                for cell in plan.bound.cells:
                    yield Trial(part.suite.name, plan.bound.entry.label, plan.bound.probe, example, cell, spec.seed)
