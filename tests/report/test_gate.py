"""The gate, the changes and the noise floor on the page: what gate.json and noise.json say, in both languages."""

from __future__ import annotations

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from made_run import HOSTILE, build, gate, noise
from test_page import Reader

from audit import report


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    home = build(tmp_path_factory.mktemp("judged"), 3)
    noise(home)
    gate(home)
    report.write(home)
    return home


@pytest.fixture
def english(folder) -> str:
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture
def chinese(folder) -> str:
    return (folder / "report.zh.html").read_text("utf-8")


def section(page: str, name: str) -> str:
    """The words of one section."""
    return words_of(re.search(rf'<section aria-labelledby="{name}">.*?</section>', page, re.S)[0])


def words_of(part: str) -> str:
    """What is read, with single spaces."""
    return " ".join(Reader(part).visible().split())


def test_head_and_title_carry_the_state_and_the_counts_of_rules(english, chinese):
    title = re.search("<title>(.*?)</title>", english)[1]
    assert title.startswith("Gate not passed: 1 violated, 1 inconclusive, 1 not run · ")
    assert "<title>门禁未通过：违反 1、证据不足 1、未运行 1 · " in chinese
    head = words_of(english[english.index("<header") : english.index('<div class="columns">')])
    assert "✗ Gate not passed" in head
    assert "● 1 violated" in head
    assert "◆ 1 inconclusive" in head
    assert "○ 1 not run" in head
    assert "No gate policy" not in english
    assert "do not release" not in english.lower()


@pytest.mark.parametrize(
    ("state", "said", "icon"),
    [
        ("met", "Gate passed", "✓"),
        ("violated", "Gate not passed", "✗"),
        ("undecided", "Gate not passed", "◆"),
        ("nothing", "Gate: nothing to judge", "○"),
    ],
)
def test_each_state_has_its_icon_word_and_colour(tmp_path, state, said, icon):
    gate(build(tmp_path, 1), state=state)
    page = report.render(tmp_path, "en")
    assert f'<span class="g g-{state}"><i aria-hidden="true">{icon}</i> <strong>{said}</strong>' in page
    assert f"<title>{said}" in page
    assert f".g-{state} i" in page
    assert ("Gate passed" in page) == (state == "met")


def test_an_undecided_gate_of_an_unfinished_run_says_that(tmp_path):
    gate(build(tmp_path, 1), state="undecided", blocking=0)
    assert "an unfinished run passes nothing" in section(report.render(tmp_path, "en"), "gate")


def test_the_first_section_names_what_stops_the_gate_with_a_link(english):
    part = re.search(r'<section aria-labelledby="gate">.*?</section>', english, re.S)[0]
    assert "Of 5 checks, 1 violate a rule of level fail" in part
    assert '<b>flips</b>: <a href="#p.robustness.keyboard_typos">Keyboard typos, Flip rate, kind keyboard_typos' in part
    assert "wholly beyond the limit" in part
    assert "soft" not in section(english, "gate")  # warns only


def test_rules_checks_and_waivers(english, chinese):
    said = section(english, "rules")
    for words in (
        "at most 10.0%", "violates the gate", "blocks", "warns", "the vectors are not here",
        "fixed in 1.5", "team-reviews", "risk", "2099-12-31", "≤ 45.0%", "in force", "expired, counts again",
    ):  # fmt: skip
        assert words in said
    assert "at 95% confidence; the 4 comparisons" in said
    for words in ("阻断", "生效中", "已到期，重新计入", "整个区间超出限值"):
        assert words in section(chinese, "rules")


def test_changes_since_the_baseline(english, chinese):
    said = section(english, "change")
    for words in (
        "Previous baseline: runs/v1.3", "1 ● Worse", "1 ■ Better", "1 ■ No detectable change", "2 ◆ Not comparable",
        "+10.0 pp", "+6.2 … +13.8", "30 / 5", "the data differ", "Pinned baseline", "there is no such folder",
    ):  # fmt: skip
        assert words in said
    assert said.count("the data differ") == 1
    assert "数据不同" in section(chinese, "change")


def test_without_gate_and_noise_the_page_says_as_before(tmp_path):
    page = report.render(build(tmp_path, 1), "en")
    assert "No gate policy was given" in section(page, "gate")
    assert "No baseline was given" in section(page, "change")
    assert "there are no rules and no waivers" in section(page, "rules")
    assert "Noise floor" not in page


def test_the_noise_floor_by_probe(english, chinese):
    said = section(english, "limits")
    assert "Keyboard typos, Flip rate 1.2%" in said  # the larger of two settings
    assert "Keyboard typos, Accuracy drop < 0.1 pp" in said
    assert "this machine has no bfloat16" in said
    assert "噪声基线" in section(chinese, "limits")


@pytest.mark.parametrize("name", ["gate.json", "noise.json"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ('{"schema": 9}', "of a schema"),
        ('{"schema": 1, "run": "other"}', "from other findings"),
        ('{"schema": 1, "run": "5eed5eed"}', "lacks what it should hold"),
    ],
)
def test_a_file_that_is_not_of_these_findings_is_not_shown(tmp_path, name, content, said):
    home = build(tmp_path, 1)
    (home / name).write_text(content)
    page = report.render(home, "en")
    assert said in Reader(page).visible()
    assert "Gate passed" not in page


def test_a_gate_from_before_the_last_findings_is_not_shown(tmp_path):
    home = build(tmp_path, 2)
    gate(home, state="met")
    assert "Gate passed" in report.render(home, "en")
    (home / "findings.json").write_text((home / "findings.json").read_text() + " ")
    page = report.render(home, "en")
    assert "Gate passed" not in page
    assert "made from other findings" in page


def test_a_gate_from_before_the_noise_floor_is_not_shown(tmp_path):
    home = build(tmp_path, 2)
    gate(home, state="met")
    noise(home)
    for language, said in (("en", "measured after the gate was judged"), ("zh", "在门禁裁决之后测量")):
        page = report.render(home, language)
        assert said in page
        assert "Gate passed" not in page
        assert "门禁通过" not in page
    gate(home, state="met")
    assert "Gate passed" in report.render(home, "en")


def test_hostile_text_of_policy_and_baseline_stays_text(folder, english):
    tree = json.loads((folder / "gate.json").read_text())
    assert tree["waivers"][1]["reason"] == HOSTILE
    read = Reader(english)
    assert english.count("<script") == 1
    assert not read.all("img")
    assert "<script>alert(1)</script>" in section(english, "rules")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_judged_page_is_well_formed(folder, language):
    page = report.render(folder, language)
    read = Reader(page)
    assert read.open == []
    levels = [int(tag[1]) for tag, _a in read.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.count("<table") == page.count('class="scroll"')
    ids = [a["id"] for _tag, a in read.elements if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a["href"] for a in read.all("a") if a["href"].startswith("#")}
    assert links <= {f"#{name}" for name in ids}


def test_a_thousand_checks_and_changes_are_cut_and_counted(tmp_path):
    home = build(tmp_path, 1)
    gate(home, times=500)
    page = report.render(home, "en")
    assert len(page.encode()) < report.LARGEST
    assert "more are in gate.json" in section(page, "rules")
    assert "more are in gate.json" in section(page, "change")


def test_what_calibration_says_stands_with_the_probe(tmp_path):
    home = build(tmp_path, 1)
    tree = json.loads((home / "findings.json").read_text())
    for row in tree["findings"]:
        if row["measure"] == "flip_rate":
            row["detail"]["power"] = {"en": "It confirms 12% or more.", "zh": "可确认 12% 及以上。"}
    (home / "findings.json").write_text(json.dumps(tree))
    page = report.render(home, "en")
    assert "Flip rate: It confirms 12% or more." in page
    assert page.count("It confirms 12% or more.") == 2  # keyboard typos, and the hostile one
    assert "翻转率：可确认 12% 及以上。" in report.render(home, "zh")


def test_a_headline_names_its_group_once(tmp_path):
    home = build(tmp_path, 1, hostile=False)
    tree = json.loads((home / "findings.json").read_text())
    rows = [row for row in tree["findings"] if row["verdict"] == "confirmed"]
    assert len(rows) > 1
    rows[0] |= {"group": "books"}
    rows[1] |= {"group": "films"}
    rows[0] |= {"probe": "a", "statement": {"en": "Many flip.", "zh": "常有翻转。"}}
    rows[1] |= {"probe": "b", "statement": {"en": f"Many {rows[1]['group']} flip.", "zh": "常有翻转。"}}
    tree["findings"] = rows[:2]
    (home / "findings.json").write_text(json.dumps(tree))
    page = report.render(home, "en")
    assert f"<b>{rows[0]['group']}: </b>Many flip." in page
    assert f'<p class="said">Many {rows[1]["group"]} flip.' in page


def test_the_real_gate_is_shown_by_the_page_it_writes(tmp_path, capsys):
    sys.path.append(str(Path(__file__).parents[1] / "gate"))
    import made

    from audit.commands import gate as command

    made.one(tmp_path / "base", id="base")
    made.one(tmp_path / "run", flips=0.2, id="run")
    path = made.policy(
        tmp_path / "release.yaml",
        "version: 1\nname: release\nrules:\n"
        "  - {id: flips, select: {measure: flip_rate}, limit: {max: 0.1}}\n"
        "  - {id: same, select: {measure: accuracy}, regression: {max_worse: 0.02}}\n"
        "waivers:\n"
        "  - {rule: flips, reason: later, owner: team, approved_by: risk, expires: 2999-01-01, max_value: 0.9}\n",
    )
    report.write(tmp_path / "run")
    assert "No gate policy" in (tmp_path / "run" / "report.html").read_text("utf-8")
    judgement = command.judged(tmp_path / "run", path, (str(tmp_path / "base"),), None)
    command.finish(judgement, (None, None, None), False, False, "en")
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "<title>Gate not passed: 1 violated, 0 inconclusive, 0 not run" in page
    assert "● Worse" in section(page, "change")
    assert "▲ waived" in section(page, "rules")
    assert "<title>门禁未通过：违反 1" in (tmp_path / "run" / "report.zh.html").read_text("utf-8")


def test_a_run_with_a_noise_floor_shows_it(tmp_path, capsys):
    from audit.cli import main

    with pytest.raises(SystemExit):
        main(["new", str(tmp_path / "mine")])
    out = tmp_path / "out"
    asked = ["run", str(tmp_path / "mine"), "--model", "simulated:flip=0.3", "--out", str(out), "--noise-floor"]
    with pytest.raises(SystemExit) as done:
        main(asked)
    assert done.value.code == 0
    assert (out / "noise.json").exists()
    for name, words in (("report.html", "Noise floor"), ("report.zh.html", "噪声基线")):
        assert words in section((out / name).read_text("utf-8"), "limits")
