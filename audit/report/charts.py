"""Severity curves and forest plots as Vega-Lite dicts.  Knows no findings, no language and nothing of drawing.

Every number is also in a table beside its chart: where drawing fails, the page is complete without it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from audit.report.marks import clean

Spec = dict[str, Any]
# A colour by name, for dark mode and print, and the colour itself, for a page without styles.
INK, SOFT, LINE = "var(--ink,#1b1f24)", "var(--soft,#59636e)", "var(--line,#d5dae0)"
COLOURS = {
    "confirmed": "var(--bad,#b3261e)",
    "inconclusive": "var(--warn,#8a5a00)",
    "not_detected": "var(--good,#1a6b3c)",
    "described": SOFT,
}
SHAPES = {"confirmed": "circle", "inconclusive": "diamond", "not_detected": "square", "described": "triangle"}
CURVE = 270  # px
FOREST = 300  # px
LINE_HEIGHT = 22  # px
TEXT: Spec = {"type": "text", "fontSize": 11, "color": INK}
DOT: Spec = {"type": "point", "filled": True, "size": 60, "opacity": 1}


@dataclass(frozen=True)
class Point:
    """One number of a chart, in the unit shown; `x` is a curve's setting, `text` the number's printed form.

    `label` names a curve's line or a forest's row.
    """

    value: float
    low: float | None
    high: float | None
    verdict: str
    text: str
    x: float = 0.0
    label: str = ""
    limit: float | None = None


def curve(points: Sequence[Point], limit: str, suffix: str, title: str, whole: bool) -> Spec:
    """A number against the strength of the setting `title`, with its intervals, one line a label.

    `limit` is the limit's printed form, `suffix` follows the numbers of the axis ("%"), `whole` says that they are
    percentages of a whole.
    """
    points = sorted(points, key=lambda p: (p.label, p.x))
    lines = sorted({p.label for p in points})
    xs = sorted({p.x for p in points})
    rows = [_row(p) | {"x": p.x, "at": f"{p.x:g}", "line": p.label} for p in points]
    x, y = _strengths(xs, title), _numbers("y", points, suffix, whole)
    y["axis"]["tickCount"] = 4
    layers = [
        layer({"type": "rule", "strokeWidth": 1.5}, x=x, y=_at(y, "lo"), y2={"field": "hi"}, color=_colour()),
        layer({"type": "line", "strokeWidth": 2, "color": SOFT}, x=x, y=y, detail={"field": "line"}),
        layer(DOT, x=x, y=y, color=_colour(), shape=_shape()),
    ]
    if len(lines) == 1:
        layers.append(layer(TEXT | {"baseline": "bottom", "dy": -4}, x=x, y=_at(y, "top"), text={"field": "text"}))
    else:
        ends = layer(TEXT | {"align": "left", "dx": 8}, x=x, y=y, text={"field": "line"})
        layers.append(ends | {"data": {"values": [row for row in rows if row["x"] == xs[-1]]}})
    if points[0].limit is not None:
        data: Spec = {"data": {"values": [{"y": points[0].limit, "text": limit}]}}
        layers.append(layer({"type": "rule", "strokeDash": [4, 3], "color": INK}, y=y) | data)
        aside = TEXT | {"align": "left", "color": SOFT}
        layers.append(layer(aside, x={"value": CURVE + 5}, y=y, text={"field": "text"}) | data)
    return picture(rows, layers, width=CURVE, height=140, right=8 + max(map(width_of, [limit, *lines])))


def forest(points: Sequence[Point], suffix: str, whole: bool, reference: float | None = None) -> Spec:
    """One labelled row for each point: interval, number, limit as a tick; `reference` draws one line across all."""
    names = [f"{at}" for at in range(len(points))]
    rows = [_row(p) | {"row": name} for name, p in zip(names, points, strict=True)]
    x, y = _numbers("y", points, suffix, whole), _names(names, [clean(p.label) for p in points])
    limits = layer({"type": "tick", "color": INK, "thickness": 1.5, "height": 12}, x=_at(x, "limit"), y=y)
    layers = [
        layer({"type": "rule", "strokeWidth": 2}, x=_at(x, "lo"), x2={"field": "hi"}, y=y, color=_colour()),
        layer(DOT, x=x, y=y, color=_colour(), shape=_shape()),
        limits | {"transform": [{"filter": "isValid(datum.limit)"}]},
        layer(TEXT | {"align": "left"}, x={"value": FOREST + 8}, y=y, text={"field": "text"}),
    ]
    if reference is not None:
        layers.insert(0, layer({"type": "rule", "color": SOFT}, x=x) | {"data": {"values": [{"y": reference}]}})
    right = max(width_of(p.text) for p in points) + 14
    return picture(rows, layers, width=FOREST, height=LINE_HEIGHT * len(points), right=right)


def _strengths(xs: Sequence[float], title: str) -> Spec:
    """The axis of a setting: to scale, or evenly spaced where its values would lie on one another."""
    axis: Spec = {"title": title, "grid": False, "labelAngle": 0, "tickSize": 4}
    if len(xs) > 1 and min(b - a for a, b in pairwise(xs)) < 0.1 * (xs[-1] - xs[0]):
        sort = [f"{x:g}" for x in xs]
        return {"field": "at", "type": "ordinal", "sort": sort, "axis": axis, "scale": {"padding": 0.5}}
    scale = {"domain": [min(0, xs[0]), xs[-1]], "nice": False, "padding": 18}
    return {"field": "x", "type": "quantitative", "axis": axis | {"values": list(xs), "format": "~g"}, "scale": scale}


def _numbers(field: str, points: Sequence[Point], suffix: str, whole: bool) -> Spec:
    """The axis of the numbers, zero always on it."""
    numbers = [n for p in points for n in (p.value, p.low, p.high, p.limit) if n is not None]
    low, high = min(0.0, *numbers), max(0.0, *numbers)
    room = 0.12 * (high - low or 1.0)
    top = min(high + room, 100.0) if whole and high <= 100 else high + room
    scale = {"domain": [low - room if low < 0 else 0.0, top], "nice": False}
    axis = {
        "title": None,
        "tickCount": 5,
        "ticks": False,
        "labelPadding": 6,
        "labelExpr": f"datum.label + {json.dumps(suffix)}",
    }
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def _names(names: list[str], labels: list[str]) -> Spec:
    """The axis of a forest's rows; rows are numbered, so that two of one name stay two."""
    axis: Spec = {"title": None, "grid": False, "domain": False, "ticks": False, "labelPadding": 8, "labelLimit": 0}
    axis["labelExpr"] = f"{json.dumps(dict(zip(names, labels, strict=True)))}[datum.value]"
    axis["minExtent"] = max(map(width_of, labels)) + 8
    return {"field": "row", "type": "ordinal", "sort": names, "axis": axis}


def _row(point: Point) -> Spec:
    row = {"y": point.value, "lo": point.low, "hi": point.high, "verdict": point.verdict, "text": point.text}
    return row | {"limit": point.limit, "top": point.value if point.high is None else point.high}


def layer(mark: Spec, **encoding: Spec) -> Spec:
    """One layer of a picture."""
    return {"mark": mark, "encoding": encoding}


def _at(axis: Spec, field: str) -> Spec:
    return axis | {"field": field}


def _colour() -> Spec:
    scale = {"domain": list(COLOURS), "range": list(COLOURS.values())}
    return {"field": "verdict", "type": "nominal", "legend": None, "scale": scale}


def _shape() -> Spec:
    scale = {"domain": list(SHAPES), "range": list(SHAPES.values())}
    return {"field": "verdict", "type": "nominal", "legend": None, "scale": scale}


def width_of(text: str) -> int:
    """Room in px for a label at 11 px: the drawing program's fonts are not the reader's."""
    return sum(13 if ord(char) > 0x2E7F else 7 for char in text)


def picture(rows: list[Spec], layers: list[Spec], *, width: int, height: int, right: int) -> Spec:
    """A whole specification: sizes and `right` (room beside the drawing) in px."""
    axis: Spec = {"labelColor": SOFT, "titleColor": SOFT, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE}
    axis |= {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": 0}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "padding": {"left": 4, "top": 14, "bottom": 4, "right": right},
        "background": None,
        "data": {"values": rows},
        "layer": layers,
        "config": {"view": {"stroke": None}, "axis": axis},
    }
