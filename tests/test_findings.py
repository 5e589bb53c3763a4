"""Findings: what is said of each kind of evidence, and of each kind of missing evidence."""

from __future__ import annotations

import pytest

from audit import Outcome, Record
from audit.findings import SHOWN, findings, rounded
from audit.suite import Sheet


def run_of(sheet: dict, planned: int, **plan) -> dict:
    """A run.json of one suite, as far as findings need it."""
    full = Sheet.model_validate({"title": "T", "data": {"load": "x"}, **sheet})
    probes = [
        {"name": e.label, "planned": planned, "reason": None, "limit": None, "labelled": True, **plan}
        for e in full.probes
    ]
    suite = {"name": "s", "sheet": full.model_dump(mode="json", by_alias=True), "probes": probes, "data": []}
    return {"spec": {"seed": 0}, "suites": [suite]}


def records(count: int, changed: int, entry: str = "p", **more) -> list[Record]:
    """`count` records of which the first `changed` failed."""
    rows = []
    for i in range(count):
        flipped = int(i < changed)
        values = {"changed": flipped, "correct_before": 1, "correct": 1 - flipped, "strength": 0.1, "edited": 1}
        rows.append(
            Record(
                f"{entry}{i}",
                "s",
                entry,
                {},
                str(i),
                "ab"[i % 2],
                outcome=Outcome(not flipped, values),
                asked=2,
                **more,
            )
        )
    return rows


SHEET = {"probes": [{"probe": "p"}], "measures": ["flip_rate"], "severity": {"flip_rate": {"low": 0.05, "high": 0.2}}}


def only(sheet=SHEET, rows=(), planned=100, **plan):
    [finding] = findings(run_of(sheet, planned, **plan), rows)
    return finding


@pytest.mark.parametrize(
    ("changed", "verdict", "severity"),
    [(0, "not_detected", "info"), (5, "inconclusive", "info"), (12, "confirmed", "low"), (60, "confirmed", "high")],
)
def test_the_bound_nearest_to_no_problem_decides(changed, verdict, severity):
    found = only(rows=records(100, changed))
    assert (found.verdict, found.severity, found.n, found.value) == (verdict, severity, 100, changed / 100)
    assert found.low <= found.value <= found.high
    assert found.id == "s/p/flip_rate"
    assert found.asked == 200


def test_few_items_are_never_severe():
    found = only(rows=records(4, 2), planned=4)
    assert found.value == 0.5
    assert found.severity != "critical"


def test_zero_events_state_the_upper_bound():
    found = only(rows=records(40, 0), planned=40)
    assert "may be as high as 7.2%" in found.statement["en"]
    assert "7.2%" in found.statement["zh"]
    assert found.verdict == "inconclusive"


def test_inconclusive_says_how_many_items_would_decide():
    found = only(rows=records(100, 7))
    assert found.verdict == "inconclusive"
    assert found.detail["n_to_decide"] > 100
    assert f"{found.detail['n_to_decide']:,}" in found.statement["en"]


def test_higher_is_better_uses_the_upper_bound():
    sheet = {
        "probes": [{"probe": "p"}],
        "measures": ["accuracy"],
        "severity": {"accuracy": {"low": 0.9, "critical": 0.6}},
    }
    assert only(sheet, records(100, 60)).severity == "critical"
    assert only(sheet, records(400, 4), planned=400).verdict == "not_detected"


def test_a_drop_is_confirmed_only_where_its_interval_excludes_zero():
    sheet = {"probes": [{"probe": "p"}], "measures": ["accuracy_drop"]}
    assert only(sheet, records(100, 20)).verdict == "confirmed"
    found = only(sheet, records(100, 1))
    assert found.verdict == "not_detected"
    assert "are ruled out, smaller ones are not" in found.statement["en"]


def test_not_run_is_not_a_pass():
    found = only(planned=0, reason={"en": "no masks.", "zh": "无掩码。"})
    assert (found.verdict, found.value) == ("not_run", None)
    assert found.statement["en"] == "Not run: no masks. This is not a pass."


def test_nothing_measured_is_not_a_pass():
    assert only().verdict == "not_run"
    assert "has been measured yet" in only().reason


def test_errors_are_counted_and_many_of_them_give_no_number():
    broken = [Record(f"e{i}", "s", "p", {}, str(i), error="ValueError: boom") for i in range(4)]
    found = only(rows=records(96, 50) + broken)
    assert (found.verdict, found.errors, found.n) == ("confirmed", 4, 96)
    assert "4 of 100 trials ended in an error" in found.statement["en"]
    found = only(rows=records(60, 0) + [Record(f"f{i}", "s", "p", {}, str(i), error="boom") for i in range(40)])
    assert (found.verdict, found.value) == ("error", None)
    assert "the first: boom" in found.statement["en"]


def test_unreadable_texts_are_no_evidence():
    lost = [
        Record(f"u{i}", "s", "p", {}, str(i), outcome=Outcome(True, {"changed": 0}), unknown=0.3) for i in range(40)
    ]
    found = only(rows=records(60, 60) + lost)
    assert (found.unreadable, found.n, found.value) == (40, 60, 1.0)
    found = only(rows=records(30, 30) + lost)
    assert found.verdict == "not_run"
    assert "40 of 70 inputs" in found.statement["en"]


def test_unlabelled_data_has_flips_only():
    sheet = {"probes": [{"probe": "p"}], "measures": ["flip_rate", "accuracy"]}
    rows = [Record(f"{i}", "s", "p", {}, str(i), outcome=Outcome(True, {"changed": 0})) for i in range(100)]
    flips, right = findings(run_of(sheet, 100, labelled=False), rows)
    assert flips.value == 0
    assert right.verdict == "not_run"
    assert "no labels" in right.reason


def test_no_place_for_a_change_is_not_a_pass():
    rows = [Record(f"{i}", "s", "p", {}, str(i), outcome=Outcome(None, {"edited": 0})) for i in range(10)]
    found = only(rows=rows, planned=10)
    assert found.verdict == "not_run"
    assert "no input offers a place" in found.reason


def test_groups_and_sweeps_have_their_own_ids():
    sheet = {
        "probes": [{"probe": "p", "over": {"rate": [0.1, 0.2]}}],
        "measures": [{"measure": "flip_rate", "by": ["group"]}, {"measure": "breaking_strength", "across": True}],
    }
    rows = []
    for rate in (0.1, 0.2):
        for record in records(50, 10):
            values = {**record.outcome.values, "strength": rate}
            trial = f"{record.trial}{rate}"
            rows.append(
                Record(trial, "s", "p", {"rate": rate}, record.example, record.group, outcome=Outcome(True, values))
            )
    ids = [f.id for f in findings(run_of(sheet, 50), rows)]
    assert "s/p/rate=0.1/flip_rate" in ids
    assert "s/p/rate=0.2/flip_rate@b" in ids
    assert "s/p/breaking_strength" in ids


def test_a_measure_across_probes():
    sheet = {
        "probes": [{"probe": "a"}, {"probe": "b"}],
        "measures": ["flip_rate"],
        "across": [{"name": "worst", "measure": "worst_case.worst_case", "probes": ["a", "b"]}],
    }
    rows = []
    for entry, wrong in (("a", 1), ("b", 2)):
        for i in range(4):
            values = {"changed": 0, "value": 0 if i == wrong else 1, "is_original": int(entry == "a")}
            rows.append(Record(f"{entry}{i}", "s", entry, {}, str(i), outcome=Outcome(True, values)))
    found = findings(run_of(sheet, 4), rows)[-1]
    assert (found.id, found.value, found.detail["original"]) == ("s/worst/worst_case", 0.5, 0.75)


def test_examples_are_failures_and_their_order_is_nobodys_choice():
    found = only(rows=records(100, 50))
    assert len(found.examples) == SHOWN
    assert all(int(trial[1:]) < 50 for trial in found.examples)
    assert found.examples == only(rows=records(100, 50)[::-1]).examples


def test_an_unfinished_run_says_so():
    assert "70 of 100 trials have not been measured" in only(rows=records(30, 10)).statement["en"]


def test_findings_do_not_depend_on_the_order_of_records():
    rows = records(100, 37)
    assert only(rows=rows) == only(rows=rows[::-1])


def test_numbers_are_written_to_nine_digits():
    row = rounded(only(rows=records(90, 30), planned=90))
    assert row["value"] == 0.333333333


def test_rows_that_could_not_be_read_are_an_error_finding():
    about = run_of(SHEET, 1)
    about["suites"][0]["data"] = [{"rows": 5, "malformed": 1, "malformed_rows": [{"place": "line 2", "why": "empty"}]}]
    found = findings(about, records(1, 0))[0]
    assert (found.verdict, found.errors) == ("error", 1)
    assert "line 2: empty" in found.statement["en"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_sentence_praises(language):
    words = ("robust.", "safe", "unbiased", "proves", "good job", "安全", "稳健")
    for changed in (0, 5, 60):
        assert not any(word in only(rows=records(100, changed)).statement[language] for word in words)
