"""Which charts show which findings: severity curves, groups, the overview.  Knows findings and charts, no HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from audit import numbers
from audit.report import charts, drawing
from audit.report.rows import Row, beyond, params_text, rank, reading, row
from audit.report.words import Words
from audit.types import Finding

SUFFIX = {"proportion": "%", "percent": "%", "points": " pp"}
WHOLE = ("proportion", "percent")
ALIKE = {"worse": "confirmed", "better": "not_detected", "no_detectable_change": "not_detected"}
MOST_GROUPS = 20
MOST_PROBES = 60
MOST_LINES = 5
CURVES = 2  # a probe


@dataclass(frozen=True)
class Table:
    """A chart's numbers as text: a head, and lines whose first cell names them."""

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A chart to draw, its title, what it shows in words, and its numbers: findings, or a table of its own.

    Without either they stand elsewhere.
    """

    title: str
    label: str
    spec: Mapping[str, object]
    rows: tuple[Row, ...] = ()
    table: Table | None = None

    @cached_property
    def key(self) -> str:
        """Under which its drawing is kept."""
        return drawing.key(self.spec)


def curves(
    findings: Sequence[Finding], first: str, words: Words, besides: frozenset[str] = frozenset()
) -> list[Figure]:
    """Severity curves of one probe's measures that were taken at several strengths: `first`, then one of another unit.

    A difference beside a rate tells more than two rates that mirror each other.  `besides` are drawn otherwise.
    """
    found = [f for f in findings if not f.group and numbers.usable(f.value) and f.measure not in besides]
    units = {f.measure: f.unit for f in found}
    order = sorted(units, key=lambda measure: measure != first)
    figures = [
        (units[name], figure) for name in order if (figure := _curve([f for f in found if f.measure == name], words))
    ]
    figures[1:] = sorted(figures[1:], key=lambda item: item[0] == figures[0][0])
    return [figure for _unit, figure in figures[:CURVES]]


def groups(findings: Sequence[Finding], words: Words) -> Figure | None:
    """A forest plot of the groups, at the worst of the settings that were split; None for fewer than two groups."""
    split = [(f.measure, f.params) for f in findings if f.group]
    worst = min((f for f in findings if (f.measure, f.params) in split), key=rank, default=None)
    if worst is None:
        return None
    same = [f for f in findings if f.measure == worst.measure and f.params == worst.params and numbers.usable(f.value)]
    sliced = sorted((f for f in same if f.group), key=lambda f: (-beyond(f), f.group))
    if len(sliced) < 2:
        return None
    rows = tuple(row(f, words, f.group) for f in sliced[:MOST_GROUPS])
    whole = next((f for f in same if not f.group), None)
    reference = numbers.scaled(whole.value, whole.unit) if whole and whole.value is not None else None
    points = [point(r, r.text, short(r.name)) for r in rows]
    spec = charts.forest(points, SUFFIX.get(worst.unit, ""), worst.unit in WHOLE, reference)
    title = words(
        "chart.groups", {"measure": rows[0].measure, "setting": f" ({rows[0].setting})" if rows[0].setting else ""}
    )
    return Figure(title, _told(title, rows, words), spec, rows)


def overview(probes: Sequence[tuple[str, Sequence[Finding]]], words: Words) -> list[Figure]:
    """Forest plots with one row a probe (its title, its findings), at its worst setting.

    The measure that leads most probes comes first; a further one follows for what is left, if at least two probes are.
    """
    waiting = [(title, [f for f in found if not f.group and numbers.usable(f.value)]) for title, found in probes]
    figures = []
    while waiting:
        leading = Counter(_kind(found[0]) for _title, found in waiting if found)
        kind = max(leading, key=lambda kind: leading[kind], default=None)
        plotted = [(title, [f for f in found if _kind(f) == kind]) for title, found in waiting]
        if sum(bool(found) for _title, found in plotted) < 2:
            break
        figures.append(_overview([(title, found) for title, found in plotted if found], words))
        waiting = [item for item, (_title, found) in zip(waiting, plotted, strict=True) if not found]
    return figures


def axis(findings: Sequence[Finding]) -> str:
    """The numeric setting that these findings sweep, the one with most values of several; "" for none."""
    values: dict[str, set[float]] = {}
    for finding in findings:
        for name, value in finding.params.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(name, set()).add(float(value))
    swept = {name: found for name, found in values.items() if len(found) > 1}
    return max(sorted(swept), key=lambda name: len(swept[name])) if swept else ""


def point(row: Row, text: str, label: str = "", x: float = 0.0) -> charts.Point:
    """A printed finding as a point of a chart, in the unit shown."""
    finding = row.finding

    def shown(value: float | None) -> float | None:
        return numbers.scaled(value, finding.unit) if numbers.usable(value) else None

    verdict = ALIKE.get(row.verdict, row.verdict)
    return charts.Point(
        shown(finding.value) or 0.0,
        shown(finding.low),
        shown(finding.high),
        verdict,
        text,
        x,
        label,
        shown(min(numbers.limits(finding), key=lambda limit: abs(limit - (finding.value or 0.0)), default=None)),
    )


def short(text: str, most: int = 40) -> str:
    """A label that fits beside a chart."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _kind(finding: Finding) -> tuple[str, str, str]:
    return finding.measure, finding.unit, finding.direction


def _overview(probes: Sequence[tuple[str, Sequence[Finding]]], words: Words) -> Figure:
    worst = [row(min(found, key=rank), words, title) for title, found in probes]
    rows = tuple(sorted(worst, key=lambda r: (rank(r.finding)[0], -beyond(r.finding), rank(r.finding)))[:MOST_PROBES])
    points = [point(r, r.text, short(r.name) + (f" · {short(r.setting, 18)}" if r.setting else "")) for r in rows]
    title = words("chart.overview", {"measure": rows[0].measure})
    unit = rows[0].finding.unit
    spec = charts.forest(points, SUFFIX.get(unit, ""), unit in WHOLE)
    return Figure(title, _told(title, rows, words), spec, rows)


def _curve(findings: Sequence[Finding], words: Words) -> Figure | None:
    swept = axis(findings)
    found = sorted((f for f in findings if isinstance(f.params.get(swept), int | float)), key=reading)
    if len(found) < 2 or len({(f.limit, f.unit) for f in found}) > 1:
        return None
    rows = [row(f, words) for f in found]
    lines = [params_text({k: v for k, v in f.params.items() if k != swept}) for f in found]
    if len(set(lines)) > MOST_LINES:
        return None
    points = [
        point(r, r.value.removesuffix(" pp"), short(line), float(r.finding.params[swept] or 0))
        for r, line in zip(rows, lines, strict=True)
    ]
    unit = found[0].unit
    spec = charts.curve(points, rows[0].limit, SUFFIX.get(unit, ""), swept, unit in WHOLE)
    title = words("chart.curve", {"measure": rows[0].measure, "setting": swept})
    return Figure(title, _told(title, rows, words, by=True), spec)


def _told(title: str, rows: Sequence[Row], words: Words, *, by: bool = False) -> str:
    """The chart in words: its title and its first rows."""
    told = [f"{r.setting if by else r.name}: {r.text}" for r in rows[:12]]
    more = words("chart.more", {"count": len(rows) - 12}) if len(rows) > 12 else ""
    return f"{title}: {words.list(told)}{more}"
