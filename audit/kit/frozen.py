"""Probes asked again of stored cases: the same example, settings and random numbers as then.  Knows no run."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from audit.errors import NotRun, UsageError
from audit.types import Example, Probe, Steps

KEPT = "origin"  # beside probes.py: the folders of the suites that the cases come from
PEERS = "peers.json"  # in-distribution examples by the name that a case gives


def frozen(folder: Path, origin: str) -> Probe:
    """The probe `SUITE:NAME` of a suite kept in folder/origin, or `module:NAME`, for rows that hold one case each.

    A row's field `case` holds: example (its fields but for the label, which is the row's), settings, draws (what its
    random numbers are seeded with) and peers ("" or a name in peers.json).  UsageError where there is no such probe.
    """
    original = _original(folder, origin)

    def run(example: Example, rng: Random) -> Steps:
        case = example.fields["case"]
        settings = case["settings"]
        if original.ready and (why := original.ready(**settings)):
            raise NotRun(why if isinstance(why, str) else why["en"])
        told = Example(**{**case["example"], "label": example.label})
        peers = {"peers": _peers(folder)[case["peers"]]} if case["peers"] else {}
        outcome = yield from original.run(told, Random(case["draws"]), **peers, **settings)
        return outcome

    return Probe(original.name, original.needs, run, original.doc, None, original.roles)


@functools.lru_cache(maxsize=4)
def _peers(folder: Path) -> Mapping[str, tuple[Example, ...]]:
    rows = json.loads((folder / PEERS).read_text("utf-8"))
    return {name: tuple(Example(**row) for row in found) for name, found in rows.items()}


def _original(folder: Path, origin: str) -> Probe:
    place, _, name = origin.rpartition(":")
    kept = folder / KEPT / place / "probes.py"
    found: Any = getattr(_loaded(kept) if kept.is_file() else importlib.import_module(place), name, None)
    if not isinstance(found, Probe):
        raise UsageError(f"{folder}: there is no probe {name!r} in {place}.")
    return found


@functools.cache
def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"audit_origin_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
