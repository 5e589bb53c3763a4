"""Comparisons: who is compared with whom, what is said, and the page."""

from __future__ import annotations

import json
import re

import made
import pytest
from lxml import etree

from audit.cli import main
from audit.errors import UsageError
from audit.gate import page, stored
from audit.gate.compare import compare, tree

HOSTILE = "<script>alert(1)</script>\u202e\u200b&\x07"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = made.three(tmp_path_factory.mktemp("runs"))
    for name in ("base", "worse"):
        path = home / name / "records.jsonl"
        text = path.read_text("utf-8").replace('"tekst ', json.dumps(HOSTILE)[:-1] + " ")
        path.write_text(text, "utf-8")
    return home


@pytest.fixture(scope="module")
def found(runs):
    return compare([stored.read(runs / name) for name in ("base", "again", "worse")])


def test_the_first_run_is_the_baseline_of_all(found):
    assert found.names == ["base", "again", "worse"]
    assert {change.verdict for change in found.changes["again"]} == {"no_detectable_change"}
    assert {change.verdict for change in found.changes["worse"]} == {"worse"}
    assert "6 worse, 0 better" in found.summary("worse")["en"]


def test_items_that_changed_sides(found, runs):
    content = tree(found)
    row = next(r for r in content["changes"]["worse"] if r["finding"] == "s/typos/rate=0.1/flip_rate")
    now, then = (
        {r.example for r in stored.read(runs / name).records if r.params["rate"] == 0.1 and r.outcome.passed is False}
        for name in ("worse", "base")
    )
    assert set(row["items"]["worsened"]) == now - then
    assert set(row["items"]["improved"]) == then - now
    assert json.loads(json.dumps(content, allow_nan=False)) == content


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_whole_and_hostile_text_stays_text(found, language):
    text = page.text(found, language)
    tree = etree.HTML(text)
    assert tree.get("lang") == language
    assert not tree.findall(".//script")
    assert "\u202e" not in text
    assert "[U+202E]" in text
    assert [h.tag for h in tree.iter("h1", "h2", "h3")][:2] == ["h1", "h2"]
    assert all(th.get("scope") for th in tree.iter("th"))
    assert not re.search(r"\sstyle=|\son\w+=", text)
    for key in found.runs[0].findings:
        assert key in text
    assert text == page.text(found, language)


def test_one_run_is_not_a_comparison(runs):
    with pytest.raises(UsageError, match="two runs or more"):
        compare([stored.read(runs / "base")])


def test_equal_names_are_numbered(runs):
    again = compare([stored.read(runs / "base"), stored.read(runs / "base")])
    assert again.names == ["base (1)", "base (2)"]


def test_the_command(runs, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(runs / "base"), str(runs / "worse"), "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert not stop.value.code
    assert "▼ s/typos/rate=0.1/accuracy: worse:" in out
    assert {p.name for p in tmp_path.iterdir()} == {"compare.html", "compare.zh.html"}
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(runs / "base"), str(runs / "worse"), "--ignore", "dtyp"])
    assert stop.value.code == 2
    assert "did you mean 'dtype'" in capsys.readouterr().err
