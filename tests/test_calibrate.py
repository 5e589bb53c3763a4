"""Calibration: planted subjects do what they are told, truths are exact, and the shipped table keeps its promises."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from conftest import HOME

from audit import Classify, Example, Fill, Generate, Span, Tag, execute
from audit.calibrate import NULL, RIGHT, Chances, calibrate, lever, sweep, told
from audit.calibrate.bench import bench as benches
from audit.cli import main
from audit.manifest import calibrated
from audit.models.planted import Planted, unchanged
from audit.plan import Spec, aligned, plan, prepare, trials
from audit.types import SUBJECT

EXAMPLE = Example("1", "a fine day", "context with yes in it", "yes")
NAMES = ("no", "yes", "maybe")


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """The suite that `audit new` writes, with 120 rows."""
    folder = tmp_path_factory.mktemp("suites") / "mine"
    with pytest.raises(SystemExit):
        main(["new", str(folder)])
    rows = [
        {"text": f"Number {i} was fine and on time.", "label": "positive" if i % 3 else "negative"} for i in range(120)
    ]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("same", "other", "read"),
    [
        (Classify("a fine day"), Classify("a fime day"), lambda a: a.top),
        (Tag(("a", "fine", "day")), Tag(("a", "fime", "day")), lambda a: a.names),
        (Span("a fine day", "c"), Span("a fime day", "c"), lambda a: a.text),
        (
            Fill("a fine day [MASK]", ("no", "yes")),
            Fill("a fime day [MASK]", ("no", "yes")),
            lambda a: np.argmax(a.logprobs),
        ),
        (Generate("a fine day"), Generate("a fime day"), lambda a: a.text),
    ],
)
def test_planted_subjects_keep_or_change_their_answer(same, other, read):
    for wrong in (False, True):
        for struck in (False, True):
            subject = Planted(NAMES, wrong=wrong, struck=struck)
            subject.learn([same, other], EXAMPLE)
            before, after = subject.run([same, other])
            assert unchanged(same, EXAMPLE)
            assert not unchanged(other, EXAMPLE)
            assert (read(before) != read(after)) == struck
    right, wrong = Planted(NAMES), Planted(NAMES, wrong=True)
    right.learn([same], EXAMPLE)
    wrong.learn([same], EXAMPLE)
    assert read(right.run([same])[0]) != read(wrong.run([same])[0])


def test_a_planted_subject_answers_only_what_it_was_told_of():
    [answer] = Planted(NAMES).run([Classify("who knows")])
    assert "told of" in answer.why


def test_the_right_answer_is_the_gold_label():
    subject = Planted(NAMES)
    subject.learn([Classify("a fine day")], EXAMPLE)
    assert subject.run([Classify("a fine day")])[0].top == "yes"


def the_bench(suite, measure):
    [part] = prepare(Spec((str(suite),), "planted"))
    names = sorted({e.label for e in part.blocks[0].examples})
    part = type(part)(part.suite, part.bound, aligned(part, Planted(names)))
    planned = plan(part.bound[0], part, {SUBJECT: Planted(names)})
    use = next(u for u in part.suite.sheet.measures if u.measure == measure)
    return part, planned, benches(part, planned, use, names)


@pytest.mark.parametrize(
    ("measure", "truth"),
    [("flip_rate", lambda a, e: e), ("accuracy_drop", lambda a, e: e * (2 * a - 1))],
)
def test_truths_are_those_of_arithmetic(suite, measure, truth):
    _, _, bench = the_bench(suite, measure)
    for right in (0.5, 0.9, 1.0):
        for change in (0.0, 0.2, 1.0):
            assert bench.truth(Chances(right, change)) == pytest.approx(truth(right, change))


@pytest.mark.parametrize(("measure", "limit"), [("flip_rate", 0.02), ("accuracy_drop", 0.0)])
def test_the_edge_lies_on_the_limit(suite, measure, limit):
    _, _, bench = the_bench(suite, measure)
    edge, subjects = sweep(bench)
    assert bench.truth(edge) == pytest.approx(limit, abs=1e-6)
    assert edge == (Chances(RIGHT, pytest.approx(0.02)) if limit else Chances(pytest.approx(0.5), NULL))
    assert all(bench.truth(s) > limit for s in subjects if s.change > 0.02)


GROUPS = """\
title: T
data: {load: d.jsonl, group: group}
probes: [{probe: clean}]
measures: [accuracy, group_gap, ece]
severity: {group_gap: {low: 0.05}, gap: {low: 0.05}}
"""
CLEAN = """\
from audit import Classify, Outcome, probe

@probe(Classify)
def clean(example, rng):
    [answer] = yield [Classify(example.text)]
    right = int(answer.top == example.label)
    return Outcome(bool(right), {"correct": right, "value": right, "confidence": answer.of(answer.top)})
"""


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """A suite of one clean probe on two groups of 100 texts."""
    folder = tmp_path_factory.mktemp("groups") / "groups"
    folder.mkdir()
    (folder / "suite.yaml").write_text(GROUPS)
    (folder / "probes.py").write_text(CLEAN)
    rows = [{"text": f"text {i}", "label": "yn"[i % 3 > 1], "group": "ab"[i % 2]} for i in range(200)]
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.mark.parametrize(
    ("measure", "moved_by", "chances", "truth"),
    [
        ("accuracy", "right", Chances(0.7, 0.0), 0.7),
        ("group_gap", "apart", Chances(0.9, 0.0, 0.6), 0.3),
        ("group_gap", "apart", Chances(0.9, 0.0, 0.0), 0.9),
        ("ece", "right", Chances(0.6, 0.0), 0.3),  # it is as sure as RIGHT, on average
    ],
)
def test_gaps_and_overconfidence_are_planted_too(groups, measure, moved_by, chances, truth):
    _, _, bench = the_bench(groups, measure)
    assert lever(bench) == moved_by
    assert bench.truth(chances) == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize("measure", ["accuracy", "group_gap", "ece"])
def test_sums_give_what_tables_give(groups, measure):
    """The very intervals of a run, where no table is made for each repetition."""
    _, _, bench = the_bench(groups, measure)
    assert (bench.sums is not None) == (measure == "accuracy")
    rng = np.random.default_rng(8)
    for right in (0.0, 0.02, 0.5, 0.9, 1.0):
        for _ in range(5):
            rows = bench.draw(Chances(right, 0.1), rng)
            fast, slow = bench.estimate(rows, 4), bench.slowly(rows, 4)
            assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high), abs=1e-12)
            assert (fast.n, fast.clusters, fast.method) == (slow.n, slow.clusters, slow.method)


def test_equal_structures_are_simulated_once(groups, tmp_path):
    folder = tmp_path / "twice"
    shutil.copytree(groups, folder)
    sheet = (folder / "suite.yaml").read_text()
    sheet = sheet.replace("[{probe: clean}]", "[{probe: clean}, {probe: clean, name: again}]")
    (folder / "suite.yaml").write_text(sheet.replace("[accuracy, group_gap, ece]", "[accuracy]"))
    first, second = calibrate(str(folder), 20)
    assert second.pop("same_as") == first.pop("probe") == "clean"
    assert second.pop("probe") == "again"
    assert first == second


def test_a_gap_between_groups_is_calibrated(groups):
    right, gap, ece = calibrate(str(groups), 60)
    assert (right["n"], gap["n"]) == (200, 200)
    assert gap["coverage"] >= 0.9
    assert gap["false_alarm"] <= 0.05
    assert gap["null_repetitions"] == 500
    assert gap["power"][-1][1] > 0.9
    assert ece["lever"] == "right"


def test_a_mixture_of_records_is_what_a_mixed_subject_gives(suite):
    """Drawing among four variants' records equals running the probe on a subject that errs item by item."""
    part, planned, bench = the_bench(suite, "flip_rate")
    rng = np.random.default_rng(5)
    struck = rng.random(len(planned.examples)) < 0.3
    subjects = [Planted(("negative", "positive"), struck=bool(s)) for s in struck]

    class Mixed:
        answers = Planted.answers

        def run(self, batch):
            return [next(s for s in subjects if r in s._example).run([r])[0] for r in batch]

    todo = [t for t in trials(Spec((), ""), [part], {part.suite.name: [planned]}) if dict(t.params)["share"] == 1.0]
    asked = [type(t)(**{**vars(t), "probe": told(t.probe, s)}) for t, s in zip(todo, subjects, strict=True)]
    records = {r.example: r for r in execute.local(asked, {asked[0].suite: {SUBJECT: Mixed()}})}
    changed = np.array([records[e.id].outcome.values["changed"] for e in planned.examples])
    rows = struck * bench.items + np.arange(bench.items)
    assert (bench.frame["changed"].to_numpy()[rows] == changed).all()


def test_a_probe_is_calibrated(suite):
    flips, drops = list(calibrate(str(suite), 60))
    for row in (flips, drops):
        assert row["repetitions"] >= 500
        assert 0.92 <= row["coverage"] <= 0.99
        assert row["false_alarm"] <= 0.1
        assert abs(row["bias"]) < 0.01
        shares = [share for _, share in row["power"]]
        assert shares[-1] > 0.95
        assert shares[0] < 0.5
        assert row["power"][0][0] < row["smallest"] < 0.25
    assert "four times in five" in flips["says"]["en"]
    assert "五次中" in flips["says"]["zh"]


def test_what_cannot_be_calibrated_says_why(tmp_path):
    folder = tmp_path / "embeds"
    folder.mkdir()
    (folder / "suite.yaml").write_text(
        "title: T\ndata: {load: d.jsonl}\nprobes:\n  - {probe: helped}\n  - {probe: raises}\n"
        "  - {probe: raises, name: whole, measures: [{measure: breaking_strength, across: true}]}\n"
    )
    (folder / "probes.py").write_text(
        "from audit import Classify, Outcome, probe\n\n@probe(Classify, roles={'judge': Classify})\n"
        "def helped(example, rng):\n    yield [Classify('x', role='judge')]\n    return Outcome(True)\n\n"
        "@probe(Classify)\ndef raises(example, rng):\n"
        "    yield [Classify(example.text)]\n    raise ValueError('boom')\n"
    )
    (folder / "d.jsonl").write_text('{"text": "x", "label": "a"}\n')
    reasons = [row["reason"] for row in calibrate(str(folder), 2)]
    assert "no model plays the role judge" in reasons[0]
    assert "boom" in reasons[1]
    assert "boom" in reasons[2]


def test_the_table_is_saved_and_quoted_by_findings(suite, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["calibrate", str(suite), "--repetitions", "4"])
    assert "shouting/flip_rate" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["run", str(suite), "--model", "simulated:flip=0.2", "--out", str(tmp_path / "run")])
    found = json.loads((tmp_path / "run" / "findings.json").read_text("utf-8"))["findings"]
    assert all("planted defects" in row["detail"]["power"]["en"] for row in found if row["measure"] == "flip_rate")
    (suite / "probes.py").write_text((suite / "probes.py").read_text().replace("calm, shout =", "calm, shout  ="))
    with pytest.raises(SystemExit):
        main(["run", str(suite), "--model", "simulated:flip=0.2", "--out", str(tmp_path / "changed")])
    found = json.loads((tmp_path / "changed" / "findings.json").read_text("utf-8"))["findings"]
    assert not any("power" in row["detail"] for row in found)


def test_an_interrupted_calibration_of_one_probe_keeps_the_earlier_rows(suite, monkeypatch):
    with pytest.raises(SystemExit):
        main(["calibrate", str(suite), "--repetitions", "4"])
    before = json.loads((suite / "calibration.json").read_text("utf-8"))["rows"]

    def broken(*asked):
        yield {**before[0], "coverage": 0.5, "repetitions": 7}
        raise KeyboardInterrupt

    monkeypatch.setattr("audit.calibrate.calibrate", broken)
    with pytest.raises(SystemExit):
        main(["calibrate", str(suite), "--probe", before[0]["probe"], "--repetitions", "4"])
    after = json.loads((suite / "calibration.json").read_text("utf-8"))["rows"]
    assert after == [{**before[0], "coverage": 0.5, "repetitions": 7}, *before[1:]]


def test_an_unknown_probe(suite, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["calibrate", str(suite), "--probe", "shoutin"])
    assert stop.value.code == 2
    assert "did you mean 'shouting'?" in capsys.readouterr().err


TABLES = sorted((HOME / "suites").glob("*/calibration.json"))
shipped = pytest.mark.parametrize("path", TABLES, ids=lambda p: p.parent.name)


def rows_of(path):
    return json.loads(path.read_text("utf-8"))["rows"]


@shipped
def test_shipped_tables_are_whole_and_of_the_probes_as_they_are(path):
    """One row for each measure of each entry; a probe that was changed since makes its rows stale, and this fail."""
    [part] = prepare(Spec((str(path.parent),), "planted"))
    hashes = calibrated(part, {b.entry.label: b.probe for b in part.bound})
    sheet = part.suite.sheet
    wanted = [(b.entry.label, u) for b in part.bound for u in b.entry.measures or sheet.measures]
    wanted += [(across.name, across.measure) for across in sheet.across]
    rows = rows_of(path)
    assert [(r["probe"], r["measure"]) for r in rows] == [(name, use.key or use.measure) for name, use in wanted]
    assert [r["probe"] for r in rows if r["hash"] != hashes[r["probe"]]] == []
    by_name = {(r["probe"], r["measure"]): r for r in rows}
    for row in (r for r in rows if "same_as" in r):
        names = ("probe", "measure", "hash", "same_as")
        twins = [by_name[name] for name in by_name if name[0] == row["same_as"]]
        assert {k: v for k, v in row.items() if k not in names} in [
            {k: v for k, v in twin.items() if k not in names} for twin in twins
        ]


@shipped
def test_shipped_tables_keep_their_promises(path):
    """Coverage of nominal 95% intervals from 93% to 97%, and at most 5% false alarms, from 500 repetitions or more."""
    rows = [row for row in rows_of(path) if "reason" not in row]
    assert len(rows) > 10
    for row in rows:
        name = f"{row['probe']}/{row['measure']}"
        assert row["repetitions"] >= 500, name
        assert row["null_repetitions"] >= 500 or row["false_alarm"] is None, name
        assert 0.93 <= row["coverage"] <= 0.97, f"{name}: coverage {row['coverage']:.1%}"
        assert (row["false_alarm"] or 0) <= 0.05, f"{name}: false alarms {row['false_alarm']:.1%}"
