"""Suites + data + model into a plan: which probe is asked of which example, and why some are not.  Asks nothing yet."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from audit import data, lengths, suite
from audit import spec as where
from audit.errors import UsageError
from audit.models import LoadedModel, LoadOptions
from audit.say import cannot, say
from audit.spec import Spec
from audit.suite import PEERS, Bound, Entry, Suite
from audit.types import SUBJECT, Classify, Example, Model, Probe, Scalar, Trial

__all__ = [
    "Cell", "Part", "Planned", "Spec", "aligned", "has_peers", "options", "peers", "plan", "prepare", "renamed",
    "settings", "trials", "wanted",
]  # fmt: skip

Cell = tuple[tuple[str, Scalar], ...]
MOST_PEERS = 128  # enough for distances and demonstrations; every trial of an entry is given the same ones


@dataclass(frozen=True)
class Part:
    """One suite of a run: its bound entries and the data they are asked of."""

    suite: Suite
    bound: list[Bound]
    blocks: list[data.Loaded]
    reference: str = ""

    @property
    def absent(self) -> dict[str, str]:
        """The data blocks that were not loaded, and where each would be read."""
        loaded = {block.source.name for block in self.blocks}
        return {b.name: b.load for b in self.suite.sheet.data if b.optional and b.name not in loaded}


@dataclass(frozen=True)
class Planned:
    """One entry of a plan: on which examples, or why on none; `peers` and their hash for a probe that wants them.

    `refused` says of some of its cells why they cannot be asked.
    """

    bound: Bound
    examples: tuple[Example, ...]
    reason: Mapping[str, str] | None
    peers: tuple[Example, ...] = ()
    company: str = ""
    refused: Mapping[Cell, Mapping[str, str]] = field(default_factory=dict)


def prepare(spec: Spec) -> list[Part]:
    """Read suites and data and check every setting, before any model is loaded.  UsageError for what is wrong."""
    references = [folder for reference in spec.suites for folder in suite.expand(reference)]
    suites = [suite.load(reference) for reference in references]
    names = [found.name for found in suites]
    if len(set(names)) < len(names):
        raise UsageError(f"two of the suites have the same name ({', '.join(names)}); run them apart.")
    domains = where.domains(spec, suites)
    parts: list[Part] = []
    for reference, found in zip(references, suites, strict=True):
        bound = [_helped(b, dict(spec.helpers)) for b in suite.bind(found)]
        sources = where.joined(domains, where.sources(spec, found), spec)
        parts.append(Part(found, bound, [data.load(s, spec.seed) for s in sources], reference))
    return parts


def _helped(bound: Bound, helpers: Mapping[str, str]) -> Bound:
    """An entry whose probe has a setting named after a helper gets that helper's folder."""
    names = suite.parameters(bound.probe)
    extra = {name: value for name, value in helpers.items() if name in names and name not in bound.entry.settings}
    if not extra:
        return bound
    entry = bound.entry.model_copy(update={"settings": {**bound.entry.settings, **extra}})
    return Bound(entry, bound.probe, tuple(suite.cells(entry)))


def options(spec: Spec) -> LoadOptions:
    """How to load the subject."""
    return LoadOptions(
        head=spec.head,
        revision=spec.revision,
        device=spec.device,
        dtype=spec.dtype,
        batch_tokens=spec.batch_tokens,
        labels={label: name for name, label in spec.labels} or None,
        trust_remote_code=spec.trust_remote_code,
        allow_pickle=spec.allow_pickle,
        device_map=spec.device_map,
        chat=spec.chat,
        overlong=spec.overlong,
        verbalisers=dict(spec.verbalisers) or None,
        template=spec.template,
        concurrency=spec.concurrency,
        timeout=spec.timeout,
        rate=spec.rate,
    )


def settings(parts: list[Part]) -> set[str]:
    """The names of all settings that the probes have."""
    return {name for part in parts for b in part.bound for name in suite.parameters(b.probe)}


def aligned(part: Part, subject: LoadedModel) -> list[data.Loaded]:
    """The data with its labels under a classifier's names, where a probe compares them with its answers.

    UsageError where they are not the model's.
    """
    names = subject.about.get("labels")
    return renamed(part, names) if names and Classify in subject.answers else part.blocks


def renamed(part: Part, names: list[str]) -> list[data.Loaded]:
    """The data with a classifier's names for its labels, in the blocks of which a label is asked."""
    asking = {n for b in part.bound if Classify in b.probe.needs for n in (b.entry.data, *b.entry.also)}
    return [
        replace(b, examples=data.align(b.examples, names, b.source.load)[0])
        if asking & {None, b.source.name, *b.source.instead}
        else b
        for b in part.blocks
    ]


def plan(bound: Bound, part: Part, roles: Mapping[str, Model], seed: int = 0) -> Planned:
    """On which examples an entry is asked, or why on none; `roles` are the subject and the helpers, by role."""
    context = getattr(roles[SUBJECT], "about", {}).get("context")
    bound = _measured(bound, context)
    entry = bound.entry
    if missing := bound.probe.needs - roles[SUBJECT].answers:
        return Planned(bound, (), cannot(missing))
    for role, kind in bound.probe.roles.items():
        if role not in roles:
            return Planned(bound, (), say("no_helper", role=role))
        if kind not in roles[role].answers:
            return Planned(bound, (), say("helper_cannot", role=role, why=cannot(frozenset({kind}))))
    if entry.data in part.absent:
        return Planned(bound, (), say("no_block", name=entry.data, load=part.absent[entry.data]))
    examples = list(wanted(entry, part.blocks))
    if not examples:
        return Planned(bound, (), _no_rows(entry))
    for cell in bound.cells:
        if bound.probe.ready and (why := bound.probe.ready(**dict(cell))):
            return Planned(bound, (), say("not_ready", why=why))
    refused = {cell: long for cell in bound.cells if (long := _beyond(cell, context))}
    if len(refused) == len(bound.cells):
        return Planned(bound, (), refused[bound.cells[0]])
    asked = tuple(data.sample(examples, entry.limit, 0))
    if not has_peers(bound.probe):
        return Planned(bound, asked, None, refused=refused)
    company = peers(entry, part.blocks, seed)
    if not company:
        return Planned(bound, (), say("no_peers"))
    return Planned(bound, asked, None, company, data.content_hash(company), refused)


def has_peers(probe: Probe) -> bool:
    """Whether a probe is given in-distribution examples."""
    return PEERS in inspect.signature(probe.run).parameters


def peers(entry: Entry, blocks: list[data.Loaded], seed: int) -> tuple[Example, ...]:
    """The in-distribution examples that every trial of an entry is given; none where no block is in-distribution."""
    return tuple(data.sample(_inside(entry, blocks), MOST_PEERS, seed))


def _measured(bound: Bound, context: int | None) -> Bound:
    """An entry whose lengths are in tokens, those given as shares of the model's context too."""
    entry = bound.entry
    if lengths.NAME not in {**entry.settings, **entry.over}:
        return bound
    over = {
        name: tuple(dict.fromkeys(map(_tokens(context), values))) if name == lengths.NAME else values
        for name, values in entry.over.items()
    }
    fixed = {k: _tokens(context)(v) if k == lengths.NAME else v for k, v in entry.settings.items()}
    entry = entry.model_copy(update={"over": over, "settings": fixed})
    return Bound(entry, bound.probe, tuple(suite.cells(entry)))


def _tokens(context: int | None) -> Callable[[Any], int]:
    return lambda value: lengths.tokens(value, context)


def _beyond(cell: Cell, context: int | None) -> Mapping[str, str] | None:
    """Why a length cannot be asked for: the model reads less."""
    length = dict(cell).get(lengths.NAME)
    if context and isinstance(length, int) and length > context:
        return say("too_long", length=f"{length:,}", context=f"{context:,}")
    return None


def _inside(entry: Entry, blocks: list[data.Loaded]) -> list[Example]:
    """The in-distribution examples in the entry's language: the user's own before the suite's."""
    for block in blocks:
        own = [e for e in block.examples if entry.language in (None, e.language)]
        groups = {e.group for e in own}
        inside = block.source.inside
        if own and inside is not None and block.source.instead and inside not in groups:
            inside = own[0].group  # one file of the user's, with groups of its own or none
        if inside in groups:
            return [e for e in own if e.group == inside]
    return []


def wanted(entry: Entry, blocks: list[data.Loaded]) -> Iterator[Example]:
    """The examples that an entry is about, before its limit."""
    names = {entry.data, *entry.also}
    for block in blocks:
        if entry.data is None or names & {block.source.name, *block.source.instead}:
            for e in block.examples:
                if entry.language in (None, e.language) and all(e.fields.get(k) == v for k, v in entry.where.items()):
                    yield e


def _no_rows(entry: Entry) -> Mapping[str, str]:
    if entry.where:
        return say("no_such_rows", where=", ".join(f"{column} = {value}" for column, value in entry.where.items()))
    return say("no_language", language=say(entry.language or "en"))


def trials(spec: Spec, parts: list[Part], plans: Mapping[str, list[Planned]]) -> Iterator[Trial]:
    """Example by example, so that what several probes ask of one text is asked while its answers are remembered."""
    for part in parts:
        by_example: dict[str, list[tuple[Example, Planned]]] = {}
        for plan in plans[part.suite.name]:
            for example in plan.examples:
                by_example.setdefault(f"{example.id}\0{example.text}", []).append((example, plan))
        for asked in by_example.values():
            for example, plan in asked:
                for cell in (cell for cell in plan.bound.cells if cell not in plan.refused):
                    name, found = plan.bound.entry.label, plan.bound.probe
                    yield Trial(part.suite.name, name, found, example, cell, spec.seed, plan.peers, plan.company)
