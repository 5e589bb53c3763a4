"""A sweep of subjects over one bench: bias, coverage, false alarms, power, and the smallest defect that is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit.calibrate.bench import Bench, Chances
from audit.numbers import value_text
from audit.say import say

RIGHT = 0.9  # how often a subject is right on unchanged texts, where the sweep does not vary that
GRID = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
POWER = 0.8
NULL = 0.1  # how often answers change, without harm, in a subject that has no defect
FEWEST = 500  # repetitions of the subject without a defect, and of all others together
Made = Callable[[float], Chances]

# What a subject does more and more of, from 0 to 1, by the name of the chance that this is.
LEVERS: Mapping[str, Made] = {
    "change": lambda t: Chances(RIGHT, t),
    "right": lambda t: Chances(RIGHT * (1 - t), 0.0),
    "apart": lambda t: Chances(RIGHT, 0.0, RIGHT * (1 - t)),
}
# The same where the ideal lies in the middle: from all the one way to all the other.
EITHER: Mapping[str, Made] = {
    "right": lambda t: Chances(1 - t, 0.0),
    "change": lambda t: Chances(0.5, t),
    "apart": lambda t: Chances(0.5, 0.0, 1 - t),
}


def lever(bench: Bench) -> str:
    """Which chance moves the measure: of changed answers, of right ones, or of right ones in one part; "" for none."""
    if bench.base.direction == "zero":
        reach = {name: abs(bench.truth(made(1.0)) - bench.truth(made(0.0))) for name, made in EITHER.items()}
    else:
        healthy = bench.truth(Chances(RIGHT, 0.0))
        reach = {name: abs(bench.truth(made(0.5)) - healthy) for name, made in LEVERS.items()}
    most = max((r for r in reach.values() if r == r), default=0.0)
    once = not {"changed", "correct_before"} & {*bench.frame.columns} and not bench.use.across
    names = sorted(reach, key=lambda name: name != "right") if once else reach  # what was asked once changes nothing
    return next((name for name in names if reach[name] >= most / 2), "") if most > _noise(bench) else ""


def sweep(bench: Bench) -> tuple[Chances | None, list[Chances]]:
    """A subject whose truth lies exactly on the limit (None where there is none), and ever worse ones."""
    limit, kind = bench.bands.low if bench.bands else None, lever(bench)
    if bench.base.direction == "zero":
        return _either(bench, limit, EITHER[kind])
    edge = None if limit is None else _edge(bench, limit, kind)
    if kind == "change" and (edge is None or edge.change):
        return edge, [Chances(RIGHT, change) for change in GRID]
    if kind == "apart":
        return edge, [Chances(RIGHT, 0.0, RIGHT - step) for step in GRID]
    start = edge.right if edge else RIGHT
    return edge, [Chances(max(0.0, start - step), 0.0) for step in GRID]


def null(bench: Bench, edge: Chances | None) -> Chances | None:
    """The subject whose confirmed defects are false: the one on the limit, else one without a defect within it."""
    if edge is not None or not bench.bands or bench.base.direction not in ("lower", "higher"):
        return edge
    sign = 1 if bench.base.direction == "lower" else -1
    room = 0.0 if bench.sums else _noise(bench) / 4
    for healthy in (LEVERS[lever(bench)](0.0), Chances(1.0, 0.0)):
        if sign * bench.truth(healthy) <= sign * bench.bands.low + room:
            return healthy
    return None


def _noise(bench: Bench) -> float:
    """How far a truth may be off: nothing but rounding for sums, else what copies of the items leave open."""
    return 1e-6 if bench.sums else 0.02 * (100 if bench.base.unit == "percent" else 1)


def _either(bench: Bench, limit: float | None, made: Made) -> tuple[Chances | None, list[Chances]]:
    """The sweep of a measure whose ideal lies in the middle: towards the planted defect, away from the ideal."""
    ideal = bench.base.ideal or 0.0
    start = _root(bench, made, ideal)
    sign = 1 if bench.truth(made(1.0)) >= ideal else -1
    at = None if limit is None else _root(bench, made, ideal + sign * limit)
    worse = at if at is not None else start if start is not None else 0.5
    return None if at is None else made(at), [made(min(1.0, worse + step / 2)) for step in GRID]


def _edge(bench: Bench, limit: float, kind: str) -> Chances | None:
    """The subject on the limit: how often it is right, at some harmless change; else how often it changes."""

    def found(made: Made) -> Chances | None:
        at = _root(bench, made, limit)
        return None if at is None else made(at)

    if kind == "apart" or (bench.sums is None and kind == "right"):
        return found(LEVERS[kind])
    right = found(lambda r: Chances(r, NULL)) if bench.sums is not None else None
    return right or found(LEVERS["change"]) or found(lambda t: Chances(1 - t, 0.0))


def _root(bench: Bench, made: Made, wanted: float) -> float | None:
    """The first place where the truth is as wanted, by halving; None where there is none."""
    places = (0.0, 1.0) if bench.sums is not None else (0.0, 0.25, 0.5, 1.0)
    off = [bench.truth(made(place)) - wanted for place in places]
    steps = zip(places, places[1:], off, off[1:], strict=False)
    found = next(((a, b, low) for a, b, low, high in steps if low * high <= 0 and abs(high - low) > 1e-12), None)
    if found is None:
        return None
    a, b, low = found
    for _ in range(40 if bench.sums is not None else 8):
        middle = (a + b) / 2
        a, b = (middle, b) if (bench.truth(made(middle)) - wanted) * low > 0 else (a, middle)
    found_at = (a + b) / 2
    # A result that jumps over the limit has no subject on it.
    return found_at if abs(bench.truth(made(found_at)) - wanted) <= _noise(bench) else None


@dataclass(frozen=True)
class Drawn:
    """What repetitions of one subject came to."""

    truth: float
    low: Any
    value: Any
    high: Any
    n: int
    confirmed: float

    @property
    def covered(self) -> float:
        return float(((self.low <= self.truth + 1e-9) & (self.truth <= self.high + 1e-9)).mean())


def _drawn(bench: Bench, chances: Chances, repetitions: int, rng: np.random.Generator) -> Drawn | None:
    every = [bench.once(chances, rng) for _ in range(repetitions)]
    seen = [f for f in every if f is not None and None not in (f.value, f.low, f.high)]
    if not seen:
        return None
    table = np.array([(f.low, f.value, f.high, f.n) for f in seen], dtype=float)
    confirmed = sum(f.verdict == "confirmed" for f in seen) / len(seen)
    low, value, high, n = table.T
    return Drawn(bench.truth(chances), low, value, high, int(n.max()), confirmed)


def row(bench: Bench, repetitions: int, seed: int) -> dict[str, Any]:
    """The operating characteristics of one measure on one probe, from so many repetitions of each subject."""
    rng = np.random.default_rng(int.from_bytes(bytes.fromhex(bench.signature), "big") + seed)
    edge, subjects = sweep(bench)
    start = null(bench, edge)
    first = _drawn(bench, start, max(4 * repetitions, FEWEST), rng) if start else None
    each = repetitions if start else max(repetitions, -(-FEWEST // len(GRID)))
    worse = [d for d in (_drawn(bench, chances, each, rng) for chances in subjects) if d is not None]
    every = ([first] if first else []) + worse
    found = {
        "unit": bench.base.unit, "direction": bench.base.direction, "lever": lever(bench),
        "n": max((d.n for d in every), default=0), "repetitions": sum(len(d.value) for d in every),
        "limit": bench.bands.low if bench.bands else None,
        "bias": _round(np.mean(np.concatenate([d.value - d.truth for d in every])) if every else None),
        "coverage": _pooled(every), "false_alarm": _round(first.confirmed if first else None),
        "null": None if first is None else "on the limit" if edge else "no defect",
        "null_repetitions": len(first.value) if first else 0,
        "power": [[_round(d.truth), _round(d.confirmed)] for d in worse],
        "covered": [[_round(d.truth), _round(d.covered)] for d in every],
        "smallest": _round(_smallest([(d.truth, d.confirmed) for d in worse])),
    }  # fmt: skip
    return {**found, "says": says(found)}


def _pooled(every: Sequence[Drawn]) -> float | None:
    count = sum(len(d.value) for d in every)
    return _round(sum(d.covered * len(d.value) for d in every) / count if count else None)


def _smallest(power: Sequence[tuple[float, float]]) -> float | None:
    """The truth from which on the defect is confirmed four times in five, between two subjects by interpolation."""
    last: tuple[float | None, float] = (None, 0.0)
    for truth, share in power:
        if share >= POWER:
            before, low = last
            return truth if before is None else before + (truth - before) * (POWER - low) / (share - low)
        last = (truth, share)
    return None


def says(row: Mapping[str, Any]) -> dict[str, str]:
    """What a report quotes beside a finding."""
    if row["limit"] is None or row["direction"] == "zero":
        return {}
    n = f"{row['n']:,}"
    if row["smallest"] is None:
        return say("power_none", n=n)
    text = value_text(row["smallest"], row["unit"], 1 if row["unit"] != "score" else 2).removeprefix("+")
    smallest = {"en": text, "zh": text.replace(" pp", " 个百分点")}
    return say("power_less" if row["direction"] == "higher" else "power_more", n=n, smallest=smallest)


def _round(value: Any) -> float | None:
    return None if value is None or value != value else float(f"{float(value):.4g}")
