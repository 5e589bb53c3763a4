"""A folder into a Suite: what it asks, of which data, with which probes and measures.  `load` runs none of its code."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from audit import document, lengths
from audit.errors import UsageError, nearest
from audit.sheet import Across, Bands, Data, Entry, MeasureUse, Said, Setting, Shape, Sheet
from audit.types import Probe, Scalar

__all__ = [
    "CALIBRATION", "PEERS", "Across", "Bands", "Bound", "Data", "Entry", "MeasureUse", "Said", "Setting", "Shape",
    "Sheet", "Suite", "bind", "cells", "expand", "find", "installed", "load", "parameters",
]  # fmt: skip

GROUP = "audit.suites"
CALIBRATION = "calibration.json"  # what `audit calibrate` found out about the suite: no part of its questions
PEERS = "peers"  # a probe with a parameter of this name is given in-distribution examples


@dataclass(frozen=True)
class Suite:
    """A suite as read from its folder; `hash` covers every file in it."""

    name: str
    folder: Path
    sheet: Sheet
    hash: str


@dataclass(frozen=True)
class Bound:
    """An entry with its probe and the settings of each of its cells."""

    entry: Entry
    probe: Probe
    cells: tuple[tuple[tuple[str, Scalar], ...], ...]


def load(reference: str) -> Suite:
    """A suite by folder or by installed name.  UsageError naming what is wrong, where, and the nearest right answer."""
    folder = find(reference)
    sheet = document.read(folder / "suite.yaml", Sheet)
    suite = Suite(folder.name, folder, sheet, _hash(folder))
    _check(suite)
    return suite


def expand(reference: str) -> list[str]:
    """The suites that a reference names: itself, or every suite in a folder of suites."""
    path = Path(reference)
    if path.is_dir() and not (path / "suite.yaml").exists():
        return sorted(str(inner.parent) for inner in path.glob("*/suite.yaml")) or [reference]
    return [reference]


def find(reference: str) -> Path:
    """The folder of a suite: a path, or a name among the installed entry points."""
    path = Path(reference)
    if (path / "suite.yaml").is_file():
        return path.resolve()
    if path.is_dir():
        inside = sorted(str(p.parent) for p in path.glob("*/suite.yaml"))
        hint = f"suites inside it: {', '.join(inside)}" if inside else "start one with: python -m audit new FOLDER"
        raise UsageError(f"{reference}: this folder has no suite.yaml; {hint}.")
    known = installed()
    if reference in known:
        return known[reference]
    hint = nearest(reference, known)
    raise UsageError(f"no suite {reference!r}: neither a folder with a suite.yaml nor an installed suite; {hint}")


def installed() -> dict[str, Path]:
    """Every suite that an installed package offers, by name; none of their code is run."""
    found: dict[str, Path] = {}
    for entry in entry_points(group=GROUP):
        folder = _package_folder(entry.module)
        if folder is not None and (folder / "suite.yaml").is_file():
            found[entry.name] = folder
    return found


def _package_folder(module: str) -> Path | None:
    """Where a package lies; the package itself is not imported."""
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def bind(suite: Suite) -> list[Bound]:
    """Import the suite's probes and check every setting against its probe's signature."""
    own = _import(suite)
    return [_bound(suite, own, index, entry) for index, entry in enumerate(suite.sheet.probes)]


def cells(entry: Entry) -> Iterator[tuple[tuple[str, Scalar], ...]]:
    """Every combination of the swept settings, each with the fixed ones; sorted by setting name."""
    for values in itertools.product(*entry.over.values()):
        swept = dict(zip(entry.over, values, strict=True))
        yield tuple(sorted({**entry.settings, **swept}.items()))


def parameters(found: Probe) -> list[str]:
    """The names of a probe's settings: its parameters without the example, its random numbers and its peers."""
    return [name for name in list(inspect.signature(found.run).parameters)[2:] if name != PEERS]


def _bound(suite: Suite, own: ModuleType | None, index: int, entry: Entry) -> Bound:
    where = f"{suite.folder / 'suite.yaml'}: probes.{index}"
    found = _lookup(suite, own, entry.probe, where)
    known = parameters(found)
    for setting in [*entry.settings, *entry.over]:
        if setting not in known:
            raise UsageError(f"{where}: probe {entry.probe!r} has no setting {setting!r}: {nearest(setting, known)}")
    place = suite.folder / "suite.yaml"
    for key, values in (("over", entry.over.get(lengths.NAME, ())), ("with", [entry.settings.get(lengths.NAME, 1)])):
        for value in values:
            lengths.check(value, f"{place}:{document.line(place, ('probes', index, key, lengths.NAME))}")
    return Bound(entry, found, tuple(cells(entry)))


def _lookup(suite: Suite, own: ModuleType | None, name: str, where: str) -> Probe:
    module, _, attribute = name.rpartition(":")
    if module:
        try:
            own = importlib.import_module(module)
        except ImportError as error:
            raise UsageError(f"{where}: cannot import {module!r} for probe {name!r}: {error}.") from None
    known = [key for key, value in vars(own).items() if isinstance(value, Probe)] if own else []
    if attribute not in known:
        raise UsageError(f"{where}: no probe {attribute!r} in {module or suite.folder}: {nearest(attribute, known)}")
    found = vars(own)[attribute]
    assert isinstance(found, Probe)
    return found


def _import(suite: Suite) -> ModuleType | None:
    path = suite.folder / "probes.py"
    if not path.is_file():
        return None
    name = f"audit_suite_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    return module


def _check(suite: Suite) -> None:
    """What only the whole sheet can tell: names are unique, and every name that is referred to exists."""
    path = suite.folder / "suite.yaml"
    labels = [entry.label for entry in suite.sheet.probes]
    names = [*labels, *(across.name for across in suite.sheet.across)]
    blocks = [block.name for block in suite.sheet.data]
    for kind, listed in (("probes", names), ("data blocks", blocks)):
        for name in listed:
            if listed.count(name) > 1:
                raise UsageError(f"{path}: two {kind} are named {name!r}; give one of them another `name`.")
    for entry in suite.sheet.probes:
        for wanted in filter(None, [entry.data, *entry.also]):
            if wanted not in blocks:
                raise UsageError(f"{path}: probe {entry.label!r}: no data block {wanted!r}: {nearest(wanted, blocks)}")
    for across in suite.sheet.across:
        for name in across.probes:
            if name not in labels:
                raise UsageError(f"{path}: across {across.name!r}: no probe {name!r}: {nearest(name, labels)}")


def _asked(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.name != CALIBRATION


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if _asked(p)):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
