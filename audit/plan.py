"""Suites + data + model into a plan: which probe is asked of which example, and why some are not.  Asks nothing yet."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from audit import data, suite
from audit.errors import UsageError, nearest
from audit.models import LoadedModel, LoadOptions
from audit.say import cannot, say
from audit.suite import Bound, Entry, Suite
from audit.types import SUBJECT, Classify, Example, Model, Trial


@dataclass(frozen=True)
class Spec:
    """What was asked for, as saved in run.json.

    `labels`, `helpers` and `blocks` are (name, value) pairs; `blocks` says where a suite's data block is to be read.
    """

    suites: tuple[str, ...]
    model: str
    revision: str | None = None
    head: str = ""
    data: str | None = None
    blocks: tuple[tuple[str, str], ...] = ()
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
    device_map: str = ""
    chat: str = "auto"
    overlong: str = ""
    verbalisers: tuple[tuple[str, str], ...] = ()
    template: str = ""
    helpers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Part:
    """One suite of a run: its bound entries and the data they are asked of."""

    suite: Suite
    bound: list[Bound]
    blocks: list[data.Loaded]

    @property
    def absent(self) -> dict[str, str]:
        """The data blocks that were not loaded, and where each would be read."""
        loaded = {block.source.name for block in self.blocks}
        return {b.name: b.load for b in self.suite.sheet.data if b.optional and b.name not in loaded}


@dataclass(frozen=True)
class Planned:
    """One entry of a plan: on which examples, or why on none."""

    bound: Bound
    examples: tuple[Example, ...]
    reason: Mapping[str, str] | None


def prepare(spec: Spec) -> list[Part]:
    """Read suites and data and check every setting, before any model is loaded.  UsageError for what is wrong."""
    parts: list[Part] = []
    for reference in spec.suites:
        found = suite.load(reference)
        bound = [_helped(b, dict(spec.helpers)) for b in suite.bind(found)]
        parts.append(Part(found, bound, [data.load(s, spec.seed) for s in _sources(spec, found)]))
    names = [part.suite.name for part in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"two of the suites have the same name ({', '.join(names)}); run them apart.")
    known = [block.name for part in parts for block in part.suite.sheet.data]
    for name, _ in spec.blocks:
        if name not in known:
            raise UsageError(f"--data {name}=...: the suites have no data block {name!r}: {nearest(name, known)}")
    return parts


def _sources(spec: Spec, found: Suite) -> list[data.Source]:
    """The suite's own data blocks, or the user's data in their place; optional ones only where they are asked for."""
    given = dict(spec.blocks)
    blocks = []
    for block in found.sheet.data:
        own = data.Source(**block.model_dump(exclude={"optional"}), folder=found.folder)
        if block.name in given:
            blocks.append(_placed(own, given[block.name], spec))
        elif not block.optional:
            blocks.append(own)
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


def _placed(block: data.Source, load: str, spec: Spec) -> data.Source:
    """A data block read from elsewhere, with its own columns where the user names none.

    The block's own subset, split and revision are those of the data set it names, and go with it.
    """
    named = {key: getattr(spec, key) for key in ("split", "text", "pair", "label") if getattr(spec, key) is not None}
    elsewhere = {} if load == block.load else {"load": load, "subset": None, "split": None, "revision": None}
    return replace(block, **{**elsewhere, **named})


def _helped(bound: Bound, helpers: Mapping[str, str]) -> Bound:
    """An entry whose probe has a setting named after a helper gets that helper's folder."""
    names = list(inspect.signature(bound.probe.run).parameters)[2:]
    extra = {name: value for name, value in helpers.items() if name in names and name not in bound.entry.settings}
    if not extra:
        return bound
    entry = bound.entry.model_copy(update={"settings": {**bound.entry.settings, **extra}})
    return Bound(entry, bound.probe, tuple(suite.cells(entry)))


def options(spec: Spec, parts: list[Part]) -> LoadOptions:
    """How to load the subject; a suite's verbalisers let a language model classify, the command line's go first.

    UsageError where two suites want different ones.
    """
    sheets = [part.suite.sheet for part in parts if part.suite.sheet.verbalisers]
    if len({(tuple(s.verbalisers.items()), s.template) for s in sheets}) > 1 and not spec.verbalisers:
        raise UsageError(
            "these suites let a language model classify in different words; run them apart, or give --verbalise."
        )
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
        verbalisers=dict(spec.verbalisers) or (dict(sheets[0].verbalisers) if sheets else None),
        template=spec.template or (sheets[0].template if sheets else ""),
    )


def settings(parts: list[Part]) -> set[str]:
    """The names of all settings that the probes have."""
    return {name for part in parts for b in part.bound for name in inspect.signature(b.probe.run).parameters}


def aligned(part: Part, subject: LoadedModel) -> list[data.Loaded]:
    """The data with its labels under a classifier's names, where a probe compares them with its answers.

    UsageError where they are not the model's.
    """
    names = subject.about.get("labels")
    if not names or Classify not in subject.answers:
        return part.blocks
    asking = {bound.entry.data for bound in part.bound if Classify in bound.probe.needs}
    return [
        replace(b, examples=data.align(b.examples, names, b.source.load)[0])
        if asking & {None, b.source.name} or len(part.blocks) == 1
        else b
        for b in part.blocks
    ]


def plan(bound: Bound, part: Part, roles: Mapping[str, Model]) -> Planned:
    """On which examples an entry is asked, or why on none; `roles` are the subject and the helpers, by role."""
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
    examples = list(_wanted(entry, part.blocks))
    if not examples:
        return Planned(bound, (), _no_rows(entry))
    for cell in bound.cells:
        if bound.probe.ready and (why := bound.probe.ready(**dict(cell))):
            return Planned(bound, (), say("not_ready", why=why))
    return Planned(bound, tuple(data.sample(examples, entry.limit, 0)), None)


def _wanted(entry: Entry, blocks: list[data.Loaded]) -> Iterator[Example]:
    for block in blocks:
        if entry.data in (None, block.source.name) or len(blocks) == 1:
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
                for cell in plan.bound.cells:
                    yield Trial(part.suite.name, plan.bound.entry.label, plan.bound.probe, example, cell, spec.seed)
