"""Heat maps and reliability diagrams: what they show is what was found, in both languages, and in text too."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from made_run import Draft, finding, write

from audit import report
from audit.report import cards, drawing, heat, reliability
from audit.report.words import Words
from audit.types import Finding

EN, ZH = Words("en"), Words("zh")
LENGTHS, DEPTHS = (256, 512, 1024, 2048), (0.0, 0.25, 0.5, 0.75, 1.0)
NEEDLE = {"unit": "proportion", "direction": "higher"}


def cell(share: float, length: object, depth: object, **rest) -> Finding:
    settings = {"length": length, "depth": depth}
    made = finding("needle", "accuracy", share, 40, params=settings, limit=0.95, **NEEDLE)
    return replace(made, id=f"longcontext/needle/{length}/{depth}", **rest)


def grid(value=lambda length, depth: 0.25 if length > 512 else 1.0) -> list[Finding]:
    found = [cell(value(length, depth), length, depth) for length in LENGTHS for depth in DEPTHS]
    random.Random(0).shuffle(found)
    return found


def bins(*points, side="in"):
    keys = ("low", "high", "n", "confidence", "accuracy")
    return [dict(zip(keys, point, strict=True), side=side) for point in points]


SURE = bins((0.5, 0.6, 20, 0.55, 0.6), (0.9, 1.0, 80, 0.97, 0.95)) + bins((0.9, 1.0, 40, 0.96, 0.5), side="out")


def shifted(group: str = "", found: object = SURE, value: float = 0.3) -> Finding:
    made = finding("domains", "overconfidence_shift", value, 100, unit="points")
    return replace(made, group=group, detail={"reliability": found})


def texts(figure) -> list[str]:
    svg = drawing.draw([figure.spec])[figure.key]
    assert svg is not None
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag == "text"]


def test_a_heat_map_has_a_number_in_every_cell_and_a_scale_that_ends_at_the_limit():
    figure = heat.maps(grid(), "accuracy", EN)["accuracy"]
    found = texts(figure)
    assert sum(text.startswith("25%") for text in found) == 10
    assert sum(text.startswith("100%") for text in found) == 10
    assert {"256", "512", "1024", "2048", "0", "0.25", "0.5", "0.75", "1", "length", "depth"} <= set(found)
    assert {"< 32%", "32% – 63%", "63% – 95%", "≥ 95%"} <= set(found)


def test_cells_lie_where_their_settings_say():
    figure = heat.maps(grid(), "accuracy", EN)["accuracy"]
    rows = {(row["x"], row["y"]): row for row in figure.spec["data"]["values"]}
    assert len(rows) == 20
    assert rows["512", "0.5"]["step"] == "≥ 95%"
    assert rows["1024", "0.5"]["step"] == "< 32%"


def test_the_table_under_a_heat_map_is_in_order_with_intervals_and_marks():
    figure = heat.maps(grid(), "accuracy", EN)["accuracy"]
    assert figure.table.head == ("depth down, length across", "256", "512", "1024", "2048")
    assert [line[0] for line in figure.table.body] == ["0", "0.25", "0.5", "0.75", "1"]
    assert all(re.fullmatch(r"25% \[\d+–\d+%\] ●", line[3]) for line in figure.table.body)


@pytest.mark.parametrize(("words", "said"), [(EN, "20 cells, from 25%"), (ZH, "共 20 格，从 25%")])
def test_a_heat_map_is_told_in_a_sentence(words, said):
    figure = heat.maps(grid(), "accuracy", words)["accuracy"]
    assert said in figure.label
    assert "≥ 95%" in figure.label
    assert "10" in figure.label


@pytest.mark.parametrize(
    ("direction", "limit", "colours"),
    [("higher", 0.9, [heat.BAD] * 3 + [heat.GOOD]), ("lower", 0.1, [heat.GOOD] + [heat.BAD] * 3)],
)
def test_what_keeps_to_the_limit_is_green(direction, limit, colours):
    found = [cell(value, length, 0, direction=direction, limit=limit) for value, length in ((0.0, 1), (1.0, 2))]
    assert [step.colour for step in heat.steps(found)] == colours


def test_without_a_limit_nothing_is_good_or_bad():
    found = [cell(value, 1, 0, direction="none", limit=None) for value in (3.0, 9.0, 12.0)]
    assert len({step.colour for step in heat.steps(found)}) == 1


def test_a_scale_is_never_empty_where_all_values_are_equal():
    for value in (0.0, 1.0, 0.95):
        figure = heat.maps(grid(lambda length, depth, value=value: value), "accuracy", EN)["accuracy"]
        assert len({row["step"] for row in figure.spec["data"]["values"]}) == 1


@pytest.mark.parametrize(
    "found",
    [
        [cell(0.5, length, 0.5) for length in LENGTHS],
        grid()[:14],
        [cell(0.5, task, depth) for task in "abc" for depth in DEPTHS],
        [*grid()[:-1], cell(0.5, 256, 0.0, limit=0.5)],
        [cell(0.5, length, depth, value=None) for length in LENGTHS for depth in DEPTHS],
    ],
    ids=["one setting", "too empty", "a curve a text is clearer", "two limits", "no numbers"],
)
def test_what_is_no_grid_has_no_heat_map(found):
    assert heat.maps(found, "accuracy", EN) == {}


def test_many_tasks_by_length_are_a_grid_with_the_tasks_down():
    found = [cell(0.5, length, task) for length in LENGTHS for task in "abcdefgh"]
    assert heat.axes(found) == ("length", "depth")


def test_a_reliability_diagram_shows_both_kinds_of_texts():
    figure = reliability.diagram([shifted("news"), shifted()], EN)
    assert {"Mean confidence", "Right", "in distribution", "out of distribution", "100%"} <= set(texts(figure))
    assert figure.table.body[0] == ("in distribution", "50–60%", "20", "55%", "60%")
    assert len(figure.table.body) == 3
    assert "in distribution, 89% sure and 88% right on average, n 100" in figure.label
    assert "分布外平均置信度 96%、正确率 50%" in reliability.diagram([shifted()], ZH).label


def test_the_worst_group_is_shown_where_no_finding_covers_all():
    figure = reliability.diagram([shifted("news", value=0.05), shifted("medical", value=0.6)], EN)
    assert "(medical)" in figure.title


@pytest.mark.parametrize("found", [None, [], "text", [3], [{"low": 0}], bins((0, 1, float("nan"), 0.5, 0.5))])
def test_a_detail_that_is_no_table_draws_nothing(found):
    assert reliability.diagram([shifted(found=found)], EN) is None


def test_both_stand_on_the_page_with_their_tables(tmp_path):
    draft = Draft(findings=[*grid(), shifted()])
    folder = write(tmp_path / "run", draft)
    for language, said in (("en", "Accuracy by length and depth"), ("zh", "准确率随 length 与 depth 的变化")):
        page = report.render(folder, language)
        assert page.count(f"<figcaption>{said}</figcaption>") == 1
        assert page.count('<table class="plane">') == 2
        assert f'aria-label="{said}' in page


def test_a_measure_with_a_heat_map_has_no_curve_as_well():
    [card] = cards.cards(grid(), {}, EN)
    whole = cards.filled(card, cards.Detail(), {}, EN, drawn=True)
    assert (len(whole.planes), whole.curves) == (1, ())
    assert cards.filled(card, cards.Detail(), {}, EN, drawn=False).planes == ()
