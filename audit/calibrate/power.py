"""A sweep of subjects over one bench: bias, coverage, false alarms, power, and the smallest defect that is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audit.calibrate.bench import ROUGH, Bench, Chances
from audit.numbers import value_text
from audit.say import say
from audit.types import Finding

RIGHT = 0.9  # how often a subject is right on unchanged texts, where the sweep does not vary that
STEPS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0)  # planted effects, in half-widths of an interval at the limit
FARTHEST = 0.9  # share of a lever's way that steps may reach: at its end every answer is the same
PLACES = 17  # along a lever, between which effects are found
TRIED = 40  # draws that tell the half-width
POWER = 0.8
PERFECT = Chances(1.0, 0.0)
NULL = 0.1  # how often answers change, without harm, in a subject that has no defect
FEWEST = 500  # repetitions of the subject without a defect, and of all others together
Made = Callable[[float], Chances]


def _levers(bench: Bench) -> Mapping[str, Made]:
    """What a subject does more and more of, from 0 to 1, by the name of the chance that this is.

    A subject that treats some rows of an observation apart errs on single ones of the others too: without that nothing
    within an observation would differ by chance.
    """
    slips = NULL if bench.population.sizes.max() > bench.population.beliefs else 0.0
    return {
        "change": lambda t: Chances(RIGHT, t),
        "right": lambda t: Chances(RIGHT * (1 - t), 0.0),
        "apart": lambda t: Chances(RIGHT, slips, RIGHT * (1 - t)),
    }


# The same where the ideal lies in the middle: from all the one way to all the other.
EITHER: Mapping[str, Made] = {
    "right": lambda t: Chances(1 - t, 0.0),
    "change": lambda t: Chances(0.5, t),
    "apart": lambda t: Chances(0.5, 0.0, 1 - t),
}


def lever(bench: Bench) -> str:
    """Which chance moves the measure: of changed answers, of right ones, or of right ones in one part; "" for none."""

    def at(chances: Chances) -> float:
        return bench.truth(chances, ROUGH)

    if bench.base.direction == "zero":
        reach = {name: abs(at(made(1.0)) - at(made(0.0))) for name, made in EITHER.items()}
    else:
        reach = {name: abs(at(made(0.5)) - at(made(0.0))) for name, made in _levers(bench).items()}
    most = max((r for r in reach.values() if r == r), default=0.0)
    once = not {"changed", "correct_before"} & {*bench.measure.columns} and not bench.use.across
    names = sorted(reach, key=lambda name: name != "right") if once else reach  # what was asked once changes nothing
    return next((name for name in names if reach[name] >= most / 2), "") if most > _noise(bench) else ""


def sweep(bench: Bench) -> tuple[Chances | None, list[Chances]]:
    """A subject whose truth lies exactly on the limit (None where there is none), and ever worse ones.

    How much worse is told in half-widths of the interval at the start (STEPS): what this n can tell apart, so that the
    sweep leads from defects that are missed to such that are found at every n.  In place of steps that lead to the end
    of the lever or beyond it, others divide the whole way evenly.
    """
    limit, kind = bench.bands.low if bench.bands else None, lever(bench)
    if bench.base.direction == "zero":
        ideal = bench.base.ideal or 0.0
        sign = 1 if bench.truth(EITHER[kind](1.0)) >= ideal else -1
        at = None if limit is None else _root(bench, EITHER[kind], ideal + sign * limit)
        start = at if at is not None else _root(bench, EITHER[kind], ideal)
        return None if at is None else EITHER[kind](at), _worse(
            bench, _from(EITHER[kind], 0.5 if start is None else start)
        )
    edge = None if limit is None else _edge(bench, limit, kind)
    if kind == "right" and edge is not None:
        return edge, _worse(bench, lambda t: replace(edge, right=edge.right * (1 - t)))
    if edge is None and kind == "right" and null(bench, edge) == PERFECT:
        return edge, _worse(bench, lambda t: Chances(1 - t, 0.0))
    way = _way(bench, kind)
    start = _root(bench, way, limit) if edge is not None and limit is not None else None
    return edge, _worse(bench, _from(way, start or 0.0))


def _way(bench: Bench, kind: str) -> Made:
    """The lever from where the measure is best to where it is worst: of two outcomes the best may lie between them."""
    made, places = _levers(bench)[kind], np.linspace(0.0, 1.0, PLACES)
    sign = -1 if bench.base.direction == "higher" else 1
    harm = np.array([sign * bench.truth(made(float(place)), ROUGH) for place in places])
    if not np.isfinite(harm).all() or harm.max() - harm[0] >= 0.9 * (harm.max() - harm.min()):
        return made
    best, worst = float(places[harm.argmin()]), float(places[harm.argmax()])
    return lambda t: made(best + t * (worst - best))


def _from(made: Made, start: float) -> Made:
    """The rest of a lever's way."""
    return lambda t: made(start + (1 - start) * t)


def _worse(bench: Bench, path: Made) -> list[Chances]:
    """Subjects along a path from a healthy one (0) to the worst (1), spaced by what n can tell apart."""
    places, moved = _moved(bench, path, np.linspace(0.0, 1.0, PLACES))
    if not len(moved) or moved[-1] <= _noise(bench):
        return [path(n / len(STEPS)) for n in range(1, len(STEPS) + 1)]
    reach = float(moved[-1])
    first, last = np.flatnonzero(moved <= 0.01 * reach)[-1], np.flatnonzero(moved >= 0.99 * reach)[0]
    if last - first < PLACES / 2:  # a steep measure: look closer at where it moves
        closer, between = _moved(bench, path, np.linspace(places[first], places[last], PLACES))
        places, moved = closer, between + moved[first]
    half = _half(bench, path(0.0))
    wanted = [step * half for step in STEPS if 0 < step * half < FARTHEST * reach]
    missing = len(STEPS) - len(wanted)
    wanted += [reach * (n + 1) / (missing + 1) for n in range(missing)]
    return [path(float(np.interp(size, moved, places))) for size in sorted(wanted)]


def _moved(bench: Bench, path: Made, places: Any) -> tuple[Any, Any]:
    """How far the truth has moved from its start at each place of a path, up to the farthest; empty if undefined."""
    truths = np.array([bench.truth(path(float(place))) for place in places])
    if not np.isfinite(truths).all():
        return places[:0], truths[:0]
    far = int(np.abs(truths - truths[0]).argmax())
    moved = (truths[: far + 1] - truths[0]) * np.sign(truths[far] - truths[0])
    return places[: far + 1], np.maximum.accumulate(moved)


def _half(bench: Bench, chances: Chances) -> float:
    """The half-width of an interval, in the middle of some draws; a tenth of the scale where none has one."""
    rng = np.random.default_rng(11)
    every = [bench.estimate(bench.draw(chances, rng), n) for n in range(TRIED if bench.sums else TRIED // 4)]
    halves = [(e.high - e.low) / 2 for e in every if e.low is not None and e.high is not None]
    return float(np.median(halves)) if halves else 0.1


def null(bench: Bench, edge: Chances | None) -> Chances | None:
    """The subject whose confirmed defects are false: the one on the limit, else one without a defect within it."""
    if edge is not None or not bench.bands or bench.base.direction not in ("lower", "higher"):
        return edge
    sign = 1 if bench.base.direction == "lower" else -1
    room = 0.0 if bench.sums else _noise(bench) / 4
    for healthy in (_way(bench, lever(bench))(0.0), PERFECT):
        if sign * bench.truth(healthy) <= sign * bench.bands.low + room:
            return healthy
    return None


def _noise(bench: Bench) -> float:
    """How far a truth may be off: nothing but rounding for sums, else what copies of the items leave open."""
    return 1e-6 if bench.sums else 0.02 * (100 if bench.base.unit == "percent" else 1)


def _edge(bench: Bench, limit: float, kind: str) -> Chances | None:
    """The subject on the limit: how often it is right, at some harmless change; else how often it changes."""

    def found(made: Made) -> Chances | None:
        at = _root(bench, made, limit)
        return None if at is None else made(at)

    if kind == "apart" or (bench.sums is None and kind == "right"):
        return found(_levers(bench)[kind])
    right = found(lambda r: Chances(r, NULL)) if bench.sums is not None else None
    return right or found(_levers(bench)["change"]) or found(lambda t: Chances(1 - t, 0.0))


def _root(bench: Bench, made: Made, wanted: float) -> float | None:
    """The first place where the truth is as wanted, by halving; None where there is none."""
    places = (0.0, 1.0) if bench.sums is not None else (0.0, 0.25, 0.5, 1.0)
    off = [bench.truth(made(place)) - wanted for place in places]
    steps = zip(places, places[1:], off, off[1:], strict=False)
    found = next(((a, b, low) for a, b, low, high in steps if low * high <= 0 and abs(high - low) > 1e-12), None)
    if found is None:
        return None
    a, b, low = found
    for _ in range(40 if bench.sums is not None else 10):
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
    """So many repetitions that have an interval; fewer where most have none."""
    seen: list[Finding] = []
    for turn in range(2 * repetitions):
        found = bench.once(chances, rng)
        if found is not None and None not in (found.value, found.low, found.high):
            seen.append(found)
        if len(seen) == repetitions or (turn == TRIED and not seen):
            break
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
    each = repetitions if start else max(repetitions, -(-FEWEST // len(STEPS)))
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
    """Coverage over the sweep, in which each subject counts once."""
    return _round(np.mean([d.covered for d in every]) if every else None)


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
