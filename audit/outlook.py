"""What a run would be, before it is run: which probes, why not others, how long, how much memory.  Writes nothing."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from audit.run import Run
from audit.schedule import drive
from audit.types import SUBJECT, Trial

PATIENCE = 20.0  # seconds spent on measuring a sample
SAMPLED = 8  # trials of each entry
BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Row:
    """One entry: how many trials it would have, and why none; `seconds` None where its sample was not reached."""

    name: str
    trials: int
    reason: Mapping[str, str] | None
    seconds: float | None


@dataclass(frozen=True)
class Outlook:
    """What is known of a model and of a run of some suites on it; memory in bytes."""

    model: Mapping[str, Any]
    answers: tuple[str, ...]
    rows: tuple[Row, ...]
    seconds: float | None
    weights: int | None
    peak: int

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def outlook(ready: Run) -> Outlook:
    """Drive a small sample of every entry for at most `PATIENCE` seconds, and extrapolate."""
    cost = _costs(ready)
    rows = tuple(_row(suite["name"], entry, cost) for suite in ready.about["suites"] for entry in suite["probes"])
    known = [row.seconds for row in rows if row.seconds is not None]
    about = ready.about["model"]
    size = BYTES.get(str(about.get("dtype")))
    unit = 1 if sys.platform == "darwin" else 1024
    return Outlook(
        model=about,
        answers=tuple(sorted({kind.__name__ for cast in ready.roles.values() for kind in cast[SUBJECT].answers})),
        rows=rows,
        seconds=sum(known) if known else None,
        weights=about["parameters"] * size if size and about.get("parameters") else None,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    )


def _row(suite: str, entry: Mapping[str, Any], cost: Mapping[tuple[str, str], float]) -> Row:
    count = entry["planned"] * len(entry["settings"])
    each = cost.get((suite, entry["name"]))
    seconds = each * count if each is not None and count else None
    return Row(f"{suite}/{entry['name']}", count, entry["reason"], seconds)


def _costs(ready: Run) -> dict[tuple[str, str], float]:
    """Mean seconds a trial of each entry, from a few trials each; one not reached costs what its kin cost."""
    chosen: dict[tuple[str, str], list[Trial]] = {}
    for trial in ready.trials:
        some = chosen.setdefault((trial.suite, trial.entry), [])
        if len(some) < SAMPLED:
            some.append(trial)
    kin: dict[str, list[float]] = {}
    found: dict[tuple[str, str], float] = {}
    begun = time.monotonic()
    for key, some in chosen.items():
        if time.monotonic() - begun > PATIENCE:
            break
        found[key] = statistics.mean(record.seconds for record in drive(some, ready.roles[key[0]]))
        kin.setdefault(some[0].probe.name, []).append(found[key])
    for key, some in chosen.items():
        if key not in found and some[0].probe.name in kin:
            found[key] = statistics.mean(kin[some[0].probe.name])
    return found
