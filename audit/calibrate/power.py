"""A sweep of subjects over one bench: bias, coverage, false alarms, power, and the smallest defect that is found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from audit.calibrate.bench import Bench, Chances
from audit.numbers import value_text
from audit.say import say

RIGHT = 0.9  # how often a subject is right on unchanged texts, where the sweep does not vary that
GRID = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
POWER = 0.8
NULL = 0.1  # how often answers change, without harm, in a subject that has no defect


def lever(bench: Bench) -> str:
    """Which chance moves the measure: of changed answers, of right ones, or of right ones in one group; "" for none."""
    healthy = bench.truth(Chances(RIGHT, 0.0))
    tries = {"change": Chances(RIGHT, 0.5), "right": Chances(RIGHT / 2, 0.0), "apart": Chances(RIGHT, 0.0, RIGHT / 2)}
    return next((name for name, chances in tries.items() if abs(bench.truth(chances) - healthy) > 1e-6), "")


def sweep(bench: Bench) -> tuple[Chances | None, list[Chances]]:
    """A subject whose truth lies exactly on the limit (None where there is none), and ever worse ones."""
    limit, kind = bench.bands.low if bench.bands else None, lever(bench)
    edge = None if limit is None else _edge(bench, limit, kind)
    if kind == "change":
        return edge, [Chances(RIGHT, change) for change in GRID]
    if kind == "apart":
        return edge, [Chances(RIGHT, 0.0, RIGHT - step) for step in GRID]
    start = edge.right if edge else RIGHT
    return edge, [Chances(max(0.0, start - step), 0.0) for step in GRID]


def _edge(bench: Bench, limit: float, kind: str) -> Chances | None:
    """The subject on the limit: how often it is right, at some harmless change; else how often it changes."""

    def root(made: Callable[[float], Chances]) -> Chances | None:
        low, high = bench.truth(made(0.0)) - limit, bench.truth(made(1.0)) - limit
        if not low * high <= 0 or abs(high - low) < 1e-12:
            return None
        a, b = 0.0, 1.0
        for _ in range(40 if bench.sums is not None else 12):
            middle = (a + b) / 2
            a, b = (middle, b) if (bench.truth(made(middle)) - limit) * low > 0 else (a, middle)
        return made((a + b) / 2)

    if kind == "apart":
        return root(lambda drop: Chances(RIGHT, 0.0, RIGHT * (1 - drop)))
    if bench.sums is None and kind == "right":
        return root(lambda drop: Chances(RIGHT * (1 - drop), 0.0))
    right = root(lambda r: Chances(r, NULL))
    return right or root(lambda c: Chances(RIGHT, c))


def row(bench: Bench, repetitions: int, seed: int) -> dict[str, Any]:
    """The operating characteristics of one measure on one probe."""
    key = hashlib.sha256(f"{seed}/{bench.base.id}".encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(key, "big"))
    edge, subjects = sweep(bench)
    covered, count, sizes = 0, 0, [0]
    biases: list[float] = []
    power: list[tuple[float, float]] = []
    for chances in [*([edge] if edge else []), *subjects]:
        drawn = [bench.once(chances, rng) for _ in range(repetitions)]
        seen = [f for f in drawn if f is not None and None not in (f.value, f.low, f.high)]
        truth, confirmed = bench.truth(chances), sum(f.verdict == "confirmed" for f in seen)
        if not seen:
            continue
        table = np.array([(f.low, f.value, f.high, f.n) for f in seen], dtype=float)
        covered += int(((table[:, 0] <= truth + 1e-12) & (truth <= table[:, 2] + 1e-12)).sum())
        biases += list(table[:, 1] - truth)
        count, sizes = count + len(seen), [*sizes, int(table[:, 3].max())]
        power.append((truth, confirmed / len(seen)))
    alarm = power.pop(0)[1] if edge and power else None
    smallest = _smallest(power)
    found = {
        "unit": bench.base.unit, "direction": bench.base.direction, "n": max(sizes), "repetitions": count,
        "limit": bench.bands.low if bench.bands else None, "bias": _round(np.mean(biases) if biases else None),
        "coverage": _round(covered / count if count else None), "false_alarm": _round(alarm),
        "power": [[_round(truth), _round(share)] for truth, share in power], "smallest": _round(smallest),
    }  # fmt: skip
    return {**found, "says": says(found)}


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
    if row["limit"] is None:
        return {}
    n = f"{row['n']:,}"
    if row["smallest"] is None:
        return say("power_none", n=n)
    text = value_text(row["smallest"], row["unit"], 1 if row["unit"] != "score" else 2).removeprefix("+")
    smallest = {"en": text, "zh": text.replace(" pp", " 个百分点")}
    return say("power_less" if row["direction"] == "higher" else "power_more", n=n, smallest=smallest)


def _round(value: Any) -> float | None:
    return None if value is None else float(f"{float(value):.4g}")
