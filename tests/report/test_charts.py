"""Charts are drawn elsewhere, are safe, and may fail."""

from __future__ import annotations

import json
import sys
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


@pytest.fixture(scope="module")
def curve():
    return charts.curve(POINTS, "≤ 15%", "%", "rate", whole=True)


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag == "text"]


def test_a_curve_shows_its_numbers_settings_and_limit(curve):
    (svg,) = drawing.draw([curve]).values()
    assert {"8%", "20%", "38%", "0.02", "0.05", "0.1", "rate", "≤ 15%"} <= set(texts(svg))
    assert len(svg) < 8000


def test_a_curve_shows_the_intervals(curve):
    plain = drawing.draw([curve])[drawing.key(curve)]
    wide = charts.curve(
        [*POINTS[:2], Point(38.0, 1.0, 99.0, "confirmed", "38%", 0.1, limit=15.0)], "≤ 15%", "%", "rate", True
    )
    assert drawing.draw([wide])[drawing.key(wide)] != plain


def test_a_forest_keeps_rows_of_one_name_apart_and_labels_uncut():
    rows = [
        Point(1.0, 0.5, 2.0, "confirmed", "1%", label="电子产品与家居用品" * 2),
        Point(3.0, None, None, "error", "3%", label="x" * 28),
    ]
    spec = charts.forest([*rows, rows[0]], "%", whole=True)
    (svg,) = drawing.draw([spec]).values()
    assert texts(svg).count("电子产品与家居用品" * 2) == 2
    assert "x" * 28 in texts(svg)


def test_hostile_labels_stay_text_and_control_characters_never_reach_the_drawing_program(tmp_path):
    seen = tmp_path / "seen.json"
    program = tmp_path / "program.py"
    program.write_text(f"import sys; open({str(seen)!r}, 'w').write(sys.stdin.read()); print('null')")
    spec = charts.forest([Point(1.0, 0.5, 2.0, "confirmed", HOSTILE, label=HOSTILE)] * 2, "%", whole=True)
    drawing.draw([spec], [sys.executable, str(program)])
    strings = list(every_string(json.loads(seen.read_text())))
    assert any("<script>" in text for text in strings)
    assert not any(HIDDEN.search(text) for text in strings)
    (svg,) = drawing.draw([spec]).values()
    assert any("<script>" in text for text in texts(svg))
    assert "<script" not in svg
    assert "<img" not in svg


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


def test_the_picture_carries_its_text_alternative_escaped(curve):
    (svg,) = drawing.draw([curve]).values()
    picture = drawing.inline(svg, 'say "<b>"')
    assert picture.startswith('<svg role="img" aria-label="say &#34;&lt;b&gt;&#34;"')
    assert picture.count("<svg") == 1
