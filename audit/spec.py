"""What a user asks for, and where the data of a run are read: the suite's own, or the user's.  Reads none of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from audit.errors import UsageError, nearest
from audit.rows import Source
from audit.suite import Suite


@dataclass(frozen=True)
class Spec:
    """What was asked for, as saved in run.json.

    `labels`, `helpers` and `blocks` are (name, value) pairs; `blocks` says where a suite's data block is to be read,
    or, under a name that no block has, a domain of the user's own.
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
    group: str | None = None
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
    concurrency: int = 8
    timeout: float = 60.0
    rate: float = 0.0
    helpers: tuple[tuple[str, str], ...] = ()


def domains(spec: Spec, suites: list[Suite]) -> dict[str, str]:
    """The user's own domains: where each is read, by a name that no data block has.

    UsageError where no suite compares domains, so that such a name can only be a slip, and for a name given twice.
    """
    known = [block.name for found in suites for block in found.sheet.data]
    given = [name for name, _ in spec.blocks]
    for name in given:
        if given.count(name) > 1:
            raise UsageError(f"--data {name}=... is given {given.count(name)} times; give each data a name of its own.")
        if name not in known and not any(block.inside for found in suites for block in found.sheet.data):
            raise UsageError(f"--data {name}=...: the suites have no data block {name!r}: {nearest(name, known)}")
    return {name: where for name, where in spec.blocks if name not in known}


def joined(domains: Mapping[str, str], blocks: list[Source], spec: Spec) -> list[Source]:
    """The user's domains in place of the suite's own; beside them where there is one only, which has nothing to be
    compared with.  `in`, or else the first, is the in-distribution one.
    """
    instead = tuple(block.name for block in blocks if block.inside)
    if not domains or not instead:
        return blocks
    inside = "in" if "in" in domains else next(iter(domains))
    own = [
        replace(_whole(spec, where), name=name, domain=name, inside=name if name == inside else None, instead=instead)
        for name, where in domains.items()
    ]
    return own + [block for block in blocks if len(own) == 1 or block.name not in instead]


def _whole(spec: Spec, where: str) -> Source:
    """A file or data set of the user's, with the columns that the user names."""
    return Source(
        where,
        split=spec.split,
        text=spec.text or "text",
        pair=spec.pair,
        label=spec.label or "label",
        group=spec.group,
        limit=spec.limit,
    )


def sources(spec: Spec, found: Suite) -> list[Source]:
    """The suite's own data blocks, or the user's data in their place; optional ones only where they are asked for."""
    given = dict(spec.blocks)
    blocks = []
    for block in found.sheet.data:
        own = Source(**block.model_dump(exclude={"optional"}), folder=found.folder)
        if block.name in given:
            blocks.append(_placed(own, given[block.name], spec))
        elif not block.optional:
            blocks.append(own)
    if spec.data is not None:
        names = tuple(block.name for block in found.sheet.data)
        return [replace(_whole(spec, spec.data), inside="in", instead=names)]
    if spec.limit is None:
        return blocks
    return [replace(block, limit=min(spec.limit, block.limit or spec.limit)) for block in blocks]


def _placed(block: Source, load: str, spec: Spec) -> Source:
    """A data block read from elsewhere, with its own columns where the user names none.

    The block's own subset, split and revision are those of the data set it names, and go with it.
    """
    named = {
        key: getattr(spec, key) for key in ("split", "text", "pair", "label", "group") if getattr(spec, key) is not None
    }
    elsewhere = {} if load == block.load else {"load": load, "subset": None, "split": None, "revision": None}
    return replace(block, **{**elsewhere, **named})
