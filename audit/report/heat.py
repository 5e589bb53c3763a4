"""Heat maps of what was measured at two settings at once, such as lengths and depths.  Knows findings, no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from audit import numbers
from audit.report import charts
from audit.report.figures import ALIKE, MOST_LINES, SUFFIX, WHOLE, Figure, Table, short
from audit.report.rows import LIMITATION, Row, rank, reading, row
from audit.report.words import Words
from audit.types import Finding, Scalar

FEWEST, MOST = 6, 20  # cells of a map; values of one of its settings
FILLED = 0.8  # share of the cells that must be measured
MARKS = {"confirmed": "●", "inconclusive": "◆", "not_detected": "■", "described": "▲"}
LINE, CELL = 24, 62  # px
BAD, GOOD = charts.COLOURS["confirmed"], charts.COLOURS["not_detected"]


class Step(NamedTuple):
    """One colour of the scale: up to where it goes, what it is called, how strong it is."""

    top: float
    label: str
    colour: str
    opacity: float


def maps(findings: Sequence[Finding], first: str, words: Words) -> dict[str, Figure]:
    """A heat map for each measure, `first` before the others, whose findings fill a grid of two settings."""
    found = [f for f in findings if not f.group and numbers.usable(f.value)]
    order = sorted(dict.fromkeys(f.measure for f in found), key=lambda measure: measure != first)
    drawn = {name: _map([f for f in found if f.measure == name], words) for name in order}
    return {name: figure for name, figure in drawn.items() if figure}


def axes(findings: Sequence[Finding]) -> tuple[str, str] | None:
    """The settings across and down: exactly two that differ, both numbers, or one with too many texts for lines."""
    values: dict[str, set[Scalar]] = {}
    for finding in findings:
        for name, value in finding.params.items():
            values.setdefault(name, set()).add(value)
    swept = {name: found for name, found in values.items() if len(found) > 1}
    if len(swept) != 2 or max(map(len, swept.values())) > MOST:
        return None
    numeric = {name: max(map(_number, found)) for name, found in swept.items() if all(map(_numeric, found))}
    texts = [name for name in swept if name not in numeric]
    if not numeric or (texts and len(swept[texts[0]]) <= MOST_LINES):
        return None
    across = max(numeric, key=lambda name: (numeric[name], name))  # counts of tokens across, shares of them down
    return across, next(name for name in swept if name != across)


def steps(findings: Sequence[Finding]) -> list[Step]:
    """The colours of a map, in the unit shown: what keeps to the limit, and three degrees of what does not.

    Without a limit on one side there is nothing good or bad: four degrees of grey.
    """
    one = findings[0]
    shown = [numbers.scaled(f.value, f.unit) for f in findings if f.value is not None]
    low, high = min(shown), max(shown)
    places = 0 if one.unit in WHOLE or max(abs(low), abs(high)) >= 10 else 2
    limit = numbers.scaled(one.limit, one.unit) if numbers.usable(one.limit) else None
    if limit is not None and one.direction == "higher":
        cuts = _thirds(0.0 if one.unit in WHOLE else min(low, limit), limit, places)
        return _named([*cuts, limit], [(BAD, 0.5), (BAD, 0.32), (BAD, 0.16), (GOOD, 0.2)], one.unit, places)
    if limit is not None and one.direction == "lower":
        cuts = _thirds(limit, 100.0 if one.unit in WHOLE else max(high, limit), places)
        return _named([limit, *cuts], [(GOOD, 0.2), (BAD, 0.16), (BAD, 0.32), (BAD, 0.5)], one.unit, places)
    tops = [round(low + (high - low) * n / 4, places) for n in (1, 2, 3)]
    return _named(tops, [(charts.SOFT, n) for n in (0.08, 0.2, 0.32, 0.45)], one.unit, places)


def _thirds(low: float, high: float, places: int) -> list[float]:
    return [round(low + (high - low) * n / 3, places) for n in (1, 2)]


def _named(cuts: Sequence[float], colours: Sequence[tuple[str, float]], unit: str, places: int) -> list[Step]:
    """Steps between cuts, empty ones left out."""
    suffix = SUFFIX.get(unit, "")
    said = [numbers.plain(cut, max(places, 0 if cut == round(cut) else 1)) + suffix for cut in cuts]
    labels = [f"< {said[0]}", *(f"{a} – {b}" for a, b in pairwise(said)), f"≥ {said[-1]}"]
    tops = [*cuts, float("inf")]
    made = [Step(top, label, *colour) for top, label, colour in zip(tops, labels, colours, strict=True)]
    return [step for at, step in enumerate(made) if at == 0 or step.top > made[at - 1].top]


def _map(findings: Sequence[Finding], words: Words) -> Figure | None:
    names = axes(findings)
    if names is None or len({(f.unit, f.limit, f.direction) for f in findings}) > 1:
        return None
    across, down = names
    cells = {(f.params.get(across), f.params.get(down)): f for f in findings}
    xs, ys = ([*dict.fromkeys(f.params[name] for f in sorted(findings, key=reading))] for name in (across, down))
    xs, ys = (sorted(found, key=_number) if all(map(_numeric, found)) else found for found in (xs, ys))
    if len(cells) < len(findings) or not FEWEST <= len(xs) * len(ys) <= len(cells) / FILLED:
        return None
    rows = {at: row(f, words) for at, f in cells.items()}
    scale = steps(findings)
    data = [_cell(r, at, scale) for at, r in rows.items()]
    first = next(iter(rows.values()))
    title = words("chart.heat", {"measure": first.measure, "x": across, "y": down})
    spec = _drawn(data, [_shown(x) for x in xs], [_shown(y) for y in ys], scale, names)
    head = (words("chart.heat.cells", {"x": across, "y": down}), *map(_shown, xs))
    body = tuple((_shown(y), *(_text(rows.get((x, y))) for x in xs)) for y in ys)
    return Figure(title, _told(title, list(rows.values()), words), spec, table=Table(head, body))


def _drawn(
    data: list[charts.Spec], xs: list[str], ys: list[str], scale: Sequence[Step], names: tuple[str, str]
) -> charts.Spec:
    axis: charts.Spec = {"grid": False, "domain": False, "ticks": False, "labelPadding": 6, "labelAngle": 0}
    x = {"field": "x", "type": "ordinal", "sort": xs, "axis": axis | {"title": names[0]}}
    y = {"field": "y", "type": "ordinal", "sort": ys, "axis": axis | {"title": names[1]}}
    labels = [step.label for step in scale]
    legend: charts.Spec = {"title": None, "orient": "top", "direction": "horizontal", "symbolType": "square"}
    legend |= {
        "labelColor": charts.INK,
        "labelLimit": 0,
        "symbolSize": 160,
        "symbolStrokeWidth": 0,
        "columnPadding": 12,
    }
    field: charts.Spec = {"field": "step", "type": "nominal", "legend": legend}
    colour = field | {"scale": {"domain": labels, "range": [step.colour for step in scale]}}
    weight = field | {"scale": {"domain": labels, "range": [step.opacity for step in scale]}}
    layers = [
        charts.layer({"type": "rect"}, x=x, y=y, fill=colour, opacity=weight),
        charts.layer(charts.TEXT | {"align": "center"}, x=x, y=y, text={"field": "text"}),
    ]
    return charts.picture(data, layers, width=CELL * len(xs), height=LINE * len(ys), right=8)


def _cell(found: Row, at: tuple[Scalar, Scalar], scale: Sequence[Step]) -> charts.Spec:
    value = numbers.scaled(found.finding.value or 0.0, found.finding.unit)
    step = next(step for step in scale if value < step.top)
    return {"x": _shown(at[0]), "y": _shown(at[1]), "text": f"{found.value} {_mark(found)}".strip(), "step": step.label}


def _text(found: Row | None) -> str:
    """A cell of the table: number, interval, mark."""
    if found is None:
        return "—"
    interval = f" [{found.interval}]" if found.interval else ""
    return f"{found.value}{interval} {_mark(found)}".strip()


def _mark(found: Row) -> str:
    return MARKS.get(ALIKE.get(found.verdict, found.verdict), "")


def _told(title: str, rows: Sequence[Row], words: Words) -> str:
    """The map in one sentence: its range, how much of it is beyond the limit, and what the worst cell says."""
    ordered = sorted(rows, key=lambda r: r.finding.value or 0.0)
    worst = min(rows, key=lambda r: rank(r.finding))
    beyond = sum(r.verdict in LIMITATION for r in rows)
    limit = words("chart.heat.limit", {"beyond": beyond, "limit": worst.limit}) if worst.limit else ""
    return words(
        "chart.heat.said",
        {
            "title": title,
            "count": len(rows),
            "low": ordered[0].value,
            "where": ordered[0].setting,
            "high": ordered[-1].value,
            "there": ordered[-1].setting,
            "limit": limit,
            "statement": words.pick(worst.finding.statement),
        },
    ).strip()


def _shown(value: Scalar) -> str:
    return short(numbers.setting_text(value), 24)


def _numeric(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Scalar) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
