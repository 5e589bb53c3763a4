"""Vega-Lite dicts into small safe inline SVG, drawn in a child process.  Knows no findings and no language."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from audit.report.marks import clean

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {"svg", "g", "path", "line", "rect", "circle", "text", "tspan"}
ATTRIBUTES = {
    "width", "height", "viewBox", "transform", "d", "x", "y", "x1", "x2", "y1", "y2", "r", "fill", "stroke",
    "stroke-width", "stroke-dasharray", "opacity", "fill-opacity", "stroke-opacity", "font-size", "font-weight",
    "text-anchor",
}  # fmt: skip
PLAIN_VALUES = {
    ("opacity", "1"), ("fill-opacity", "1"), ("stroke-opacity", "1"), ("transform", "translate(0,0)"), ("x2", "0"),
    ("y2", "0"), ("stroke-width", "1"), ("font-size", "11px"), ("font-weight", "normal"), ("text-anchor", "start"),
}  # fmt: skip
VALUE = re.compile(r"[-#\w(),. %+]*")
LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")
PROGRAM = (sys.executable, "-P", str(Path(__file__).with_name("draw.py")))
PATIENCE = 20.0  # seconds for the drawing program to start, then one more for each chart
ATTEMPTS = 4

_DRAWN: dict[str, str | None] = {}  # the two languages of a report share most of their charts


def key(spec: Mapping[str, object]) -> str:
    """Equal specifications are drawn once: their text."""
    return json.dumps(_cleaned(spec), sort_keys=True)


def draw(specs: Iterable[Mapping[str, object]], program: Sequence[str] = PROGRAM) -> dict[str, str | None]:
    """SVG for each specification, by `key`; None where it could not be drawn.

    A chart that ends the drawing program is left out, and the program started again for the rest, a few times at most.
    """
    cleaned = [_cleaned(spec) for spec in specs]
    wanted = {json.dumps(spec, sort_keys=True): spec for spec in cleaned}
    kept = _DRAWN if program is PROGRAM else {}
    waiting = [name for name in wanted if name not in kept]
    for _attempt in range(ATTEMPTS):
        if not waiting:
            break
        lines = _child([wanted[name] for name in waiting], program)
        kept.update({name: line and small(line) for name, line in zip(waiting, lines, strict=False)})
        fatal, waiting = waiting[len(lines) : len(lines) + 1], waiting[len(lines) + 1 :]
        kept.update(dict.fromkeys(fatal))
    return {name: kept.get(name) for name in wanted}


def small(svg: str) -> str | None:
    """The drawing with known elements and attributes only, numbers rounded.  None if it is no SVG."""
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError:
        return None
    _strip(root)
    for name in ("width", "height"):
        root.attrib.setdefault(name, "100")
    _hoist(root)
    root.set("font-family", "system-ui,sans-serif")
    root.set("font-size", "11")
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


def inline(svg: str, label: str) -> Markup:
    """The drawing as a picture with a text alternative."""
    head, tail = svg.split("<svg", 1)[1].split(">", 1)
    return Markup('<svg role="img" aria-label="{}"').format(label) + Markup(head + ">" + tail)


def _cleaned(value: Any) -> Any:
    """The same with no hidden character in any text: one control character would end the drawing process."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list | tuple) else value


def _child(specs: Sequence[Any], program: Sequence[str]) -> list[str | None]:
    wait = PATIENCE + len(specs)
    try:
        done = subprocess.run(
            program, input=json.dumps(specs), capture_output=True, text=True, timeout=wait, check=False
        )
        out: str | bytes | None = done.stdout
    except subprocess.TimeoutExpired as late:
        out = late.stdout
    except OSError:
        out = ""
    text = out.decode("utf-8", "replace") if isinstance(out, bytes) else out or ""
    drawn: list[str | None] = []
    for line in text.splitlines()[: len(specs)]:
        try:
            svg = json.loads(line)
        except ValueError:
            break
        drawn.append(svg if isinstance(svg, str) else None)
    return drawn


def _strip(element: ElementTree.Element) -> None:
    element.tag = element.tag.removeprefix(SVG)
    for name, value in list(element.attrib.items()):
        if name not in ATTRIBUTES or (name, value) in PLAIN_VALUES or not VALUE.fullmatch(value):
            del element.attrib[name]
        else:
            element.set(name, LONG_NUMBER.sub(lambda found: f"{float(found[0]):.1f}", value).replace("px", ""))
    for child in list(element):
        if (
            child.tag.removeprefix(SVG) not in TAGS
            or child.get("display") == "none"
            or child.get("class") == "background"
        ):
            element.remove(child)
            continue
        _strip(child)
        if child.tag == "g" and not len(child):
            element.remove(child)
        elif child.tag == "g" and not child.attrib:
            at = list(element).index(child)
            element.remove(child)
            for offset, inner in enumerate(child):
                element.insert(at + offset, inner)


def _hoist(root: ElementTree.Element) -> None:
    """Say the most frequent colour of texts once, on the root; shapes without a colour then need `none`."""
    colours = Counter(text.get("fill", "") for text in root.iter("text"))
    most = max(colours, key=lambda colour: colours[colour], default="")
    if not most:
        return
    for element in root.iter():
        if (element.tag == "g" and element.get("fill") == "none") or (
            element.tag == "text" and element.get("fill") == most
        ):
            del element.attrib["fill"]
        elif element.tag in ("path", "rect", "circle") and "fill" not in element.attrib:
            element.set("fill", "none")
    root.set("fill", most)
