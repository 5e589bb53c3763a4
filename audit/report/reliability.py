"""Reliability diagrams: how often answers of each confidence are right.  Knows findings, no HTML and no measure.

A finding has one where its detail holds a list `reliability` of bins: low, high, n, confidence, accuracy (0-1) and
`side`, which kind of texts they are of (in, out).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audit import numbers
from audit.report import charts
from audit.report.figures import Figure, Table
from audit.report.rows import rank
from audit.report.words import Words
from audit.types import Finding

SIZE = 230  # px
NEEDED = ("low", "high", "n", "confidence", "accuracy")
SIDES = ("in", "out", "all")
COLOURS = {"in": charts.COLOURS["not_detected"], "out": charts.COLOURS["confirmed"], "all": charts.SOFT}
SHAPES = {"in": "square", "out": "circle", "all": "triangle"}
Bin = Mapping[str, Any]


def diagram(findings: Sequence[Finding], words: Words) -> Figure | None:
    """The diagram of a probe: of all its texts, else of the group that it fails most; None where no finding has one."""
    having = [(f, found) for f in findings if (found := _bins(f.detail.get("reliability")))]
    if not having:
        return None
    finding, bins = min(having, key=lambda item: (bool(item[0].group), rank(item[0])))
    kept = {side: [b for b in bins if _side(b) == side] for side in SIDES}
    kept = {side: sorted(found, key=lambda b: float(b["low"])) for side, found in kept.items() if found}
    names = {"in": words("chart.side.in"), "out": words("chart.side.out"), "all": words("chart.side.all")}
    names = {side: names[side] for side in kept}
    title = words("chart.reliability", {"group": f" ({finding.group})" if finding.group else ""})
    told = words.list([_said(names[side], found, words) for side, found in kept.items()])
    label = words("chart.reliability.said", {"title": title, "sides": told})
    head = (words("col.side"), words("col.bin"), words("col.n"), words("col.confidence"), words("col.accuracy"))
    body = tuple(_line(names[side], b) for side, found in kept.items() for b in found)
    return Figure(title, label, _drawn(kept, names, words), table=Table(head, body))


def _bins(found: object) -> list[Bin]:
    """The bins that can be shown."""
    listed = found if isinstance(found, list) else []
    return [b for b in listed if isinstance(b, Mapping) and all(numbers.usable(b.get(name)) for name in NEEDED)]


def _side(found: Bin) -> str:
    return str(found["side"]) if found.get("side") in SIDES else "all"


def _said(name: str, found: Sequence[Bin], words: Words) -> str:
    """What one kind of texts shows on average."""
    rows = sum(b["n"] for b in found)
    means = {key: sum(b["n"] * b[key] for b in found) / max(rows, 1) for key in ("confidence", "accuracy")}
    shown = {key: numbers.value_text(mean, "proportion", 0) for key, mean in means.items()}
    return words("chart.reliability.side", {"side": name, "n": f"{rows:,}", **shown})


def _line(name: str, found: Bin) -> tuple[str, ...]:
    ends = "–".join(numbers.plain(100 * found[key], 0) for key in ("low", "high")) + "%"
    means = [numbers.value_text(found[key], "proportion", 0) for key in ("confidence", "accuracy")]
    return (name, ends, f"{found['n']:,}", *means)


def _drawn(kept: Mapping[str, Sequence[Bin]], names: Mapping[str, str], words: Words) -> charts.Spec:
    data = [
        {"x": 100 * b["confidence"], "y": 100 * b["accuracy"], "n": b["n"], "side": names[side], "kind": side}
        for side, found in kept.items()
        for b in found
    ]
    axis: charts.Spec = {
        "tickCount": 5,
        "ticks": False,
        "labelPadding": 6,
        "labelFlush": False,
        "labelExpr": "datum.label + '%'",
    }
    scale = {"domain": [0, 100], "nice": False}
    x = {"field": "x", "type": "quantitative", "scale": scale, "axis": axis | {"title": words("col.confidence")}}
    y = {"field": "y", "type": "quantitative", "scale": scale, "axis": axis | {"title": words("col.accuracy")}}
    legend = {
        "title": None,
        "orient": "top",
        "labelColor": charts.INK,
        "labelLimit": 0,
        "symbolSize": 70,
        "columnPadding": 16,
    }
    field: charts.Spec = {"field": "side", "type": "nominal", "legend": legend}
    colour = field | {"scale": {"domain": list(names.values()), "range": [COLOURS[side] for side in kept]}}
    shape = field | {"scale": {"domain": list(names.values()), "range": [SHAPES[side] for side in kept]}}
    line: charts.Spec = {"type": "line", "strokeWidth": 1.5, "opacity": 0.6}
    size: charts.Spec = {"field": "n", "type": "quantitative", "legend": None, "scale": {"range": [25, 160]}}
    ends = {"data": {"values": [{"x": 0, "y": 0}, {"x": 100, "y": 100}]}}
    layers = [
        charts.layer(line | {"color": charts.SOFT, "strokeDash": [4, 3]}, x=x, y=y) | ends,
        *(charts.layer(line | {"color": COLOURS[side]}, x=x, y=y) | _only(side) for side in kept),
        charts.layer(charts.DOT, x=x, y=y, color=colour, shape=shape, size=size),
    ]
    return charts.picture(data, layers, width=SIZE, height=SIZE, right=14)


def _only(side: str) -> charts.Spec:
    return {"transform": [{"filter": {"field": "kind", "equal": side}}]}
