"""Charts are drawn elsewhere, are safe, and may fail."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from made_run import HOSTILE

from audit.report import charts, drawing
from audit.report.charts import Point
from audit.report.marks import HIDDEN

POINTS = [
    Point(8.0, 5.0, 12.0, "not_detected", "8%", 0.02, limit=15.0),
    Point(20.0, 14.0, 26.0, "inconclusive", "20%", 0.05, limit=15.0),
    Point(38.0, 33.0, 43.0, "confirmed", "38%", 0.1, limit=15.0),
]


NAME = "电子产品与家居用品" * 2
ROWS = [Point(1.0, 0.5, 2.0, "confirmed", "1%", label=NAME), Point(3.0, None, None, "error", "3%", label="x" * 28)]
CURVE = charts.curve(POINTS, "≤ 15%", "%", "rate", whole=True)
UNSURE = charts.curve([*POINTS[:2], replace(POINTS[2], low=1.0, high=99.0)], "≤ 15%", "%", "rate", whole=True)
FOREST = charts.forest([*ROWS, ROWS[0]], "%", whole=True)
HOSTILE_FOREST = charts.forest([Point(1.0, 0.5, 2.0, "confirmed", HOSTILE, label=HOSTILE)] * 2, "%", whole=True)


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """All charts of these tests, drawn at once."""
    specs = {"curve": CURVE, "unsure": UNSURE, "forest": FOREST, "hostile": HOSTILE_FOREST}
    found = drawing.draw(specs.values())
    return {name: found[drawing.key(spec)] for name, spec in specs.items()}


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag == "text"]


def test_a_curve_shows_its_numbers_settings_and_limit(drawn):
    assert {"8%", "20%", "38%", "0.02", "0.05", "0.1", "rate", "≤ 15%"} <= set(texts(drawn["curve"]))
    assert len(drawn["curve"]) < 5000


def test_a_curve_shows_the_intervals(drawn):
    assert drawn["unsure"] != drawn["curve"]


def test_a_forest_keeps_rows_of_one_name_apart_and_labels_uncut(drawn):
    assert texts(drawn["forest"]).count(NAME) == 2
    assert "x" * 28 in texts(drawn["forest"])


def test_hostile_labels_stay_text(drawn):
    assert any("<script>" in text for text in texts(drawn["hostile"]))
    assert "<script" not in drawn["hostile"]
    assert "<img" not in drawn["hostile"]


def test_control_characters_never_reach_the_drawing_program(tmp_path):
    seen = tmp_path / "seen.json"
    program = tmp_path / "program.py"
    program.write_text(f"import sys; open({str(seen)!r}, 'w').write(sys.stdin.read()); print('null')")
    drawing.draw([HOSTILE_FOREST], [sys.executable, str(program)])
    strings = list(every_string(json.loads(seen.read_text())))
    assert any("<script>" in text for text in strings)
    assert not any(HIDDEN.search(text) for text in strings)


def every_string(tree):
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from every_string(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from every_string(value)


def test_a_chart_that_kills_the_program_is_left_out_and_the_others_are_drawn(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import json, os, sys\n"
        "for spec in json.load(sys.stdin):\n"
        "    if spec.get('bad'): os.abort()\n"
        "    print(json.dumps('<svg xmlns=\"http://www.w3.org/2000/svg\"><text>fine</text></svg>'), flush=True)\n"
    )
    specs = [{"n": 1}, {"bad": 1}, {"n": 2}]
    drawn = drawing.draw(specs, [sys.executable, str(program)])
    assert [drawn[drawing.key(spec)] is not None for spec in specs] == [True, False, True]


@pytest.mark.parametrize("program", ["import sys; sys.exit(1)", "print('no json')", "print(5)", "print('\"<svg\"')"])
def test_a_broken_program_draws_nothing_and_raises_nothing(tmp_path, program):
    path = tmp_path / "program.py"
    path.write_text(program)
    assert set(drawing.draw([{"n": n} for n in range(3)], [sys.executable, str(path)]).values()) == {None}
    assert set(drawing.draw([{"n": 1}], [str(tmp_path / "missing")]).values()) == {None}


def test_unknown_elements_and_attributes_are_dropped():
    svg = drawing.small(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="alert(1)">'
        '<script>alert(1)</script><a xlink:href="https://evil.example"><text>a</text></a>'
        '<image href="https://evil.example"/>'
        '<g style="color:red" onclick="x"><path d="M1.23456,2" fill="url(https://evil.example)" stroke="#123"/></g>'
        "</svg>"
    )
    assert svg is not None
    for word in ("script", "evil", "style", "onload", "onclick", "href", "alert"):
        assert word not in svg
    assert 'd="M1.2,2"' in svg
    assert 'stroke="#123"' in svg


def test_the_picture_carries_its_text_alternative_escaped(drawn):
    picture = drawing.inline(drawn["curve"], 'say "<b>"')
    assert picture.startswith('<svg role="img" aria-label="say &#34;&lt;b&gt;&#34;"')
    assert picture.count("<svg") == 1
