"""Numbers as a reader sees them: percentages, percentage points, intervals.  Knows the units of findings, no words."""

from __future__ import annotations

import math
from typing import TypeGuard

from audit.types import Finding

MINUS = "−"
SCALE = {"proportion": 100.0, "points": 100.0}
MOST = 3  # decimals


def scaled(value: float, unit: str) -> float:
    """A proportion or a difference of proportions as percent; other units unchanged."""
    return value * SCALE.get(unit, 1.0)


def decimals(finding: Finding) -> int:
    """The fewest decimals at which no rounded number contradicts its finding.

    Rounding contradicts where a number lands on the other side of the limit, or on 0% or 100% without being there.
    """
    least = {"proportion": 0, "percent": 0, "points": 1, "count": 0}.get(finding.unit, 2)
    numbers = [scaled(v, finding.unit) for v in (finding.value, finding.low, finding.high) if usable(v)]
    bounds = [0.0, 100.0] if finding.unit in ("proportion", "percent") else []
    if usable(finding.limit):
        bounds += [scaled(limit, finding.unit) for limit in limits(finding)]
    for places in range(least, MOST + 1):
        if not any(_contradicts(number, bound, places) for number in numbers for bound in bounds):
            return places
    return MOST


def limits(finding: Finding) -> list[float]:
    """Where the limit lies on the scale of the value: for direction zero on both sides of the ideal."""
    if not usable(finding.limit):
        return []
    if finding.direction == "zero" and finding.ideal:
        return [finding.ideal - finding.limit, finding.ideal + finding.limit]
    return [finding.limit]


def limit_text(finding: Finding, places: int) -> str:
    """The limit with its unit, `50% ± 5%` where it is a distance from an ideal other than zero."""
    text = value_text(finding.limit, finding.unit, places).lstrip("+")
    if finding.direction == "zero" and finding.ideal and usable(finding.limit):
        return f"{value_text(finding.ideal, finding.unit, places)} ± {text}"
    return text


def usable(value: float | None) -> TypeGuard[float]:
    """Whether this is a number that can be shown."""
    return isinstance(value, int | float) and math.isfinite(value)


def plain(value: float, places: int, *, signed: bool = False) -> str:
    """`3,100`, `−1.2`, and with `signed` also `+0.8`."""
    text = f"{abs(value):,.{places}f}"
    if float(text.replace(",", "")) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def value_text(value: float | None, unit: str, places: int) -> str:
    """One number with its unit: `38%`, `−1.2 pp`, `0.73`, `40`; an em dash where there is none."""
    if not usable(value):
        return "—"
    number = plain(scaled(value, unit), places, signed=unit == "points")
    return number + {"proportion": "%", "percent": "%", "points": " pp"}.get(unit, "")


def interval_text(finding: Finding, places: int) -> str:
    """`33–43%` or `−3.2 to +0.8 pp` (an en dash between signed numbers would read as a minus); "" without interval."""
    if not (usable(finding.low) and usable(finding.high)):
        return ""
    low, high = scaled(finding.low, finding.unit), scaled(finding.high, finding.unit)
    signed = finding.unit == "points" or low < 0
    ends = [plain(bound, places, signed=signed) for bound in (low, high)]
    suffix = {"proportion": "%", "percent": "%", "points": " pp"}.get(finding.unit, "")
    return (" … " if signed else "–").join(ends) + suffix


def setting_text(value: object) -> str:
    """A probe's setting: `0.1`, `true`, `none`, a text as it is."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def params_text(finding: Finding) -> str:
    """`rate 0.1, mode swap`; "" where the probe has no settings."""
    return ", ".join(f"{key} {setting_text(value)}" for key, value in sorted(finding.params.items()))


def duration_text(seconds: float) -> str:
    """`4.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _contradicts(number: float, bound: float, places: int) -> bool:
    rounded, edge = round(number, places), round(bound, MOST + 3)
    if number == edge:
        return False
    return rounded == edge or (rounded < edge) != (number < edge)
