"""Judgements: limits, regressions, what is missing, what is waived, and the exit code that follows."""

from __future__ import annotations

import datetime
import json

import made
import pytest

from audit.errors import Exit, UsageError
from audit.gate import baseline, files, judge, pairs, stored
from audit.gate import policy as policies

TODAY = datetime.date(2026, 6, 1)
REGRESSION = "  - {{id: r, select: {{measure: {measure}}}, regression: {{max_worse: {worse}}}}}\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return made.three(tmp_path_factory.mktemp("runs"))


def judged(folder, text, where, *given, today=TODAY):
    path = made.policy(where / "release.yaml", text)
    policy = policies.read(path)
    references = baseline.references(policy.baseline, where, [str(g) for g in given])
    return judge(path, policy, stored.read(folder), references, today)


def limit(rule="limit: {max: 0.15}", select="{measure: flip_rate}", head="", tail=""):
    return f"version: 1\n{head}rules:\n  - {{id: r, select: {select}, {rule}}}\n{tail}"


def regression(measure="flip_rate", worse=0.02, head=""):
    return f"version: 1\n{head}rules:\n" + REGRESSION.format(measure=measure, worse=worse)


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ("limit: {max: 0.1}", "violated", Exit.VIOLATED),
        ("limit: {max: 0.3}", "met", Exit.DONE),
        ("limit: {max: 0.2}", "inconclusive", Exit.DONE),
        ("limit: {max: 0.2}, on_inconclusive: fail", "inconclusive", Exit.UNDECIDED),
        ("limit: {max: 0.1}, level: warn", "violated", Exit.DONE),
        ("limit: {min: 0.3}", "violated", Exit.VIOLATED),
        ("limit: {max: 0.1}, min_n: 500", "inconclusive", Exit.DONE),
    ],
)
def test_limits(runs, tmp_path, rule, status, code):
    found = judged(runs / "worse", limit(rule), tmp_path)
    assert {light.status for light in found.lights} == {status}
    assert found.exit == code
    assert found.summary["en"].startswith(
        {0: "Gate passed", 1: "Gate not passed", 4: "Gate not passed: nothing is violated"}[code]
    )


def test_inconclusive_says_how_many_items_would_decide(runs, tmp_path):
    light = judged(runs / "worse", limit("limit: {max: 0.2}"), tmp_path).lights[0]
    assert light.needed > 400
    assert f"about {light.needed:,} items would be needed" in light.why["en"]
    assert f"{light.needed:,}" in light.why["zh"]


def test_a_regression_is_paired_by_item(runs, tmp_path):
    found = judged(runs / "worse", regression(), tmp_path, runs / "base")
    assert (found.exit, [light.status for light in found.lights]) == (Exit.VIOLATED, ["violated"] * 2)
    light = found.lights[0]
    flips = [stored.read(runs / name).findings[light.finding.id].value for name in ("worse", "base")]
    assert light.question.found.value == pytest.approx(flips[0] - flips[1])
    assert light.question.found.method == "bonett-price"
    same = judged(runs / "again", regression(), tmp_path, runs / "base")
    assert [light.status for light in same.lights] == ["met"] * 2


def test_worse_is_lower_accuracy(runs, tmp_path):
    found = judged(runs / "worse", regression("accuracy"), tmp_path, runs / "base")
    assert all(light.question.found.value > 0.05 for light in found.lights)
    back = judged(runs / "base", regression("accuracy"), tmp_path, runs / "worse")
    assert [light.status for light in back.lights] == ["met"] * 2
    change = back.changes["previous"][2]
    assert (change.finding.measure, change.verdict) == ("accuracy", "better")
    assert change.difference.value > 0
    assert len(change.pair.improved) > 0


def test_no_baseline_fails_unless_the_policy_says_otherwise(runs, tmp_path):
    found = judged(runs / "base", regression(), tmp_path)
    assert (found.exit, found.lights[0].status) == (Exit.UNDECIDED, "not_comparable")
    assert "given with --baseline" in found.lights[0].why["en"]
    head = "baseline: {source: nowhere, on_missing: warn}\n"
    found = judged(runs / "base", regression(head=head), tmp_path)
    assert found.exit == Exit.DONE
    assert "nowhere does not exist" in found.lights[0].why["en"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"plan": {"hash": "q"}}, "probe: p then, q now"),
        ({"data": {"hash": "e"}}, "data: d then, e now"),
        ({"model": {"dtype": "bfloat16"}}, "dtype: float32 then, bfloat16 now"),
        ({"model": {"chat_template": "1f"}}, "chat_template: None then, 1f now"),
    ],
)
def test_what_cannot_be_compared_is_named_and_gets_no_number(runs, tmp_path, changed, said):
    other = made.one(tmp_path / "other", n=40, **changed)
    made.one(tmp_path / "then", n=40)
    found = judged(other, regression(), tmp_path, tmp_path / "then")
    assert (found.exit, found.lights[0].status, found.lights[0].question) == (Exit.UNDECIDED, "not_comparable", None)
    assert said in found.lights[0].why["en"]
    assert all(change.difference.value is None for change in found.changes["previous"])
    ignored = f"baseline: {{source: then, ignore: [{said.partition(':')[0]}]}}\n"
    assert judged(other, regression(head=ignored), tmp_path).lights[0].question is not None


def test_two_chat_templates_are_not_comparable(tmp_path):
    then, now = (made.one(tmp_path / key, n=40, model={"chat_template": key}) for key in ("1f", "2e"))
    found = judged(now, regression(), tmp_path, then)
    assert "chat_template: 1f then, 2e now" in found.lights[0].why["en"]
    assert found.lights[0].question is None


def test_another_measure_card_is_not_comparable(runs, tmp_path):
    then = made.one(tmp_path / "then", n=40)
    tree = json.loads((then / "findings.json").read_text())
    tree["findings"][0]["card_hash"] = "other"
    (then / "findings.json").write_text(json.dumps(tree))
    found = judged(made.one(tmp_path / "now", n=40), regression(), tmp_path, then)
    assert [light.status for light in found.lights] == [
        "not_comparable",
        "met" if found.lights[1].status == "met" else "inconclusive",
    ]


def test_runs_of_other_items_are_not_comparable(runs, tmp_path):
    now, then = made.one(tmp_path / "now", n=100), made.one(tmp_path / "then", n=200)
    light = judged(now, regression(), tmp_path, then).lights[0]
    assert "100 rows were measured in one of the two runs only" in light.why["en"]


def test_previous_and_pinned(runs, tmp_path):
    found = judged(runs / "worse", regression(), tmp_path, f"previous={runs / 'worse'}", f"pinned={runs / 'base'}")
    assert sorted((light.baseline, light.status) for light in found.lights) == [
        ("pinned", "violated"), ("pinned", "violated"), ("previous", "met"), ("previous", "met"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="two baselines are named"):
        judged(runs / "worse", regression(), tmp_path, runs / "base", runs / "again")


def test_accepted_baselines(runs, tmp_path):
    file = tmp_path / "baselines.json"
    baseline.accept(file, runs / "base", "first", "2026-01-01T00:00:00Z", pin=True)
    baseline.accept(file, runs / "worse", "known", "2026-02-01T00:00:00Z")
    found = baseline.references(policies.Baseline(source="baselines.json"), tmp_path)
    assert [(r.name, r.run.about["id"], r.reason) for r in found] == [
        ("previous", "worse", "known"),
        ("pinned", "base", "first"),
    ]
    with pytest.raises(UsageError, match="for a reason"):
        baseline.accept(file, runs / "base", "  ", "")
    made.one(tmp_path / "torn", n=5, finished=None)
    with pytest.raises(UsageError, match="not finished"):
        baseline.accept(file, tmp_path / "torn", "x", "")
    moved = made.one(tmp_path / "moved", n=5, id="one")
    baseline.accept(file, moved, "x", "")
    made.one(tmp_path / "moved", n=6, id="two")
    assert (
        "is not the run that was accepted"
        in baseline.references(policies.Baseline(source=str(file)), tmp_path)[0].missing["en"]
    )


def test_not_run_and_errors_never_pass(tmp_path):
    reason = {"en": "no masks.", "zh": "无。"}
    run = made.folder(tmp_path / "run", made.rows([1] * 9, [1] * 9), plan={"reason": reason, "status": "not_run"})
    found = judged(run, limit(), tmp_path)
    assert (found.exit, found.lights[0].status) == (Exit.UNDECIDED, "not_run")
    assert "This is not a pass" in found.lights[0].why["en"]
    excused = judged(run, limit(head="defaults: {on_not_run: pass}\n"), tmp_path)
    assert excused.exit == Exit.DONE


def test_nothing_to_judge(tmp_path):
    run = made.one(tmp_path / "run", n=3)
    tree = json.loads((run / "findings.json").read_text())
    (run / "findings.json").write_text(json.dumps({**tree, "findings": []}))
    assert judged(run, limit(), tmp_path).exit == Exit.NOTHING


def test_an_unfinished_run_does_not_pass(tmp_path):
    found = judged(made.one(tmp_path / "run", n=400, finished=None), limit(), tmp_path)
    assert {light.status for light in found.lights} == {"met"}
    assert found.exit == Exit.UNDECIDED
    assert "not finished" in found.summary["en"]


WAIVER = "waivers:\n  - {{rule: r, reason: known, owner: o, approved_by: a, expires: {expires}, max_value: {most}}}\n"


@pytest.mark.parametrize(
    ("expires", "most", "code", "state"),
    [
        ("2026-12-31", 0.45, Exit.DONE, "active"),
        ("2026-06-01", 0.45, Exit.DONE, "active"),
        ("2026-05-31", 0.45, Exit.VIOLATED, "expired"),
        ("2026-12-31", 0.12, Exit.VIOLATED, "exceeded"),
    ],
)
def test_waivers_end(runs, tmp_path, expires, most, code, state):
    text = limit("limit: {max: 0.1}", tail=WAIVER.format(expires=expires, most=most))
    found = judged(runs / "worse", text, tmp_path)
    assert (found.exit, found.waivers[0][1]) == (code, state)
    assert {"active": "Waived until", "expired": "expired on", "exceeded": "up to 12.0% only"}[state] in found.lights[
        0
    ].why["en"]


def test_an_unused_waiver_is_shown(runs, tmp_path):
    text = limit("limit: {max: 0.4}", tail=WAIVER.format(expires="2026-12-31", most=1))
    assert judged(runs / "worse", text, tmp_path).waivers[0][1] == "unused"


def test_a_difference_under_the_noise_floor_violates_nothing(tmp_path):
    then, now = made.one(tmp_path / "then"), made.one(tmp_path / "now", flips=0.2)
    assert judged(now, regression(), tmp_path, then).exit == Exit.VIOLATED
    names = stored.read(now).findings
    (now / "noise.json").write_text(json.dumps({"findings": dict.fromkeys(names, 0.3)}))
    found = judged(now, regression(), tmp_path, then)
    assert (found.exit, found.lights[0].status) == (Exit.DONE, "inconclusive")
    assert "noise floor of 30.0%" in found.lights[0].why["en"]


def test_another_confidence_is_computed_from_the_records(runs, tmp_path):
    wide = judged(runs / "worse", limit(head="defaults: {confidence: 0.99}\n"), tmp_path).lights[0].question.found
    usual = judged(runs / "worse", limit(), tmp_path).lights[0].question.found
    assert wide.low < usual.low < usual.high < wide.high


def test_slices_are_judged_where_they_are_selected(tmp_path):
    sheet = {"probes": [{"probe": "typos"}], "measures": [{"measure": "flip_rate", "by": ["group"]}]}
    records = made.rows(*made.draw(200, 0.9, 0.3, 1), rate=0.1)
    records = [type(r)(**{**vars(r), "params": {}}) for r in records]
    run = made.folder(tmp_path / "run", records, sheet)
    found = judged(run, limit("limit: {max: 0.1}", '{measure: flip_rate, group: "*"}'), tmp_path)
    assert [light.finding.group for light in found.lights] == ["a", "b"]


@pytest.mark.parametrize("measure", ["breaking_strength.median", "breaking_strength.share_broken"])
def test_statistics_without_rows_are_paired_too(tmp_path, measure):
    sheet = {
        **made.SHEET,
        "measures": [{"measure": measure.partition(".")[0], "key": measure.partition(".")[2], "across": True}],
    }
    then, now = (made.one(tmp_path / str(flips), 100, flips=flips, sheet=sheet) for flips in (0.1, 0.4))
    [name] = stored.read(now).findings
    pair = pairs.pair(name, stored.read(now), stored.read(then))
    if measure.endswith("broken"):
        assert pair.worse.low > 0
    else:
        assert pair.worse.value is not None


def test_gate_json_is_the_whole_judgement(runs, tmp_path):
    found = judged(runs / "worse", regression(), tmp_path, runs / "base")
    tree = files.tree(found)
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree
    assert (tree["state"], tree["exit"]) == ("violated", int(found.exit))
    assert tree["rules"][0] | {"text": 0} == {
        "id": "r", "kind": "regression", "level": "fail", "status": "violated", "effect": "violates", "text": 0,
        "line": 3, "cells": 2,
    }  # fmt: skip
    assert tree["counts"]["violated"] == 2
    assert {row["verdict"] for row in tree["changes"]["previous"]} == {"worse"}
    assert files.tree(judged(runs / "worse", regression(), tmp_path, runs / "base")) == tree
