"""`audit score`: the JSON contract, the three kinds of file, and every kind of bad input with its place named."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from audit import UsageError, measures
from audit.cli import main
from audit.measures import estimate


@pytest.fixture
def score(capsys, tmp_path):
    """Write rows (or text) to a file, score it, give (exit code, stdout, stderr)."""

    def call(name, rows, *options, kind="jsonl"):
        path = tmp_path / f"rows.{kind}"
        if isinstance(rows, str):
            path.write_text(rows, encoding="utf-8")
        elif kind == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        else:
            frame = pd.DataFrame(rows)
            frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
        with pytest.raises(SystemExit) as stop:
            main(["score", name, str(path), *options])
        out = capsys.readouterr()
        return stop.value.code, out.out, out.err

    return call


ROWS = [
    {"correct": 1, "kind": "news", "year": 2020, "cluster": "a", "extra": [1]},
    {"correct": 0, "kind": "news", "year": 2021, "cluster": "b", "extra": None},
    {"correct": 1, "kind": "law", "year": 2021, "cluster": "c", "extra": {}},
]


def test_json_is_the_contract(score):
    code, out, err = score("accuracy", ROWS, "--by", "kind", "--by", "year", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert list(found) == ["measure", "overall", "by"]
    assert found["measure"] == "accuracy"
    assert found["overall"]["value"] == pytest.approx(2 / 3)
    assert list(found["overall"]) == ["value", "low", "high", "n", "clusters"]
    assert {k: v["value"] for k, v in found["by"]["kind"].items()} == {"law": 1.0, "news": 0.5}
    assert list(found["by"]["year"]) == ["2020", "2021"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_three_kinds_of_file_agree(score, kind):
    rows = [
        {"prediction": "NA", "references": "NA", "task": "qa_1"},
        {"prediction": "null, 12", "references": "12", "task": "vt"},
    ]
    code, out, _ = score("ruler", rows, "--json", kind=kind)
    assert code == 0
    assert json.loads(out)["overall"]["score"] == 100.0
    code, out, _ = score("accuracy", [{"correct": c, "note": ""} for c in (True, False, True)], "--json", kind=kind)
    assert code == 0
    assert json.loads(out)["overall"]["value"] == pytest.approx(2 / 3)


def test_a_csv_may_hold_lists_and_a_byte_order_mark(score):
    text = '\ufefftask,prediction,references\nvt,"a, b","[""a"", ""b""]"\n'
    code, out, err = score("ruler", text, "--json", kind="csv")
    assert (code, err) == (0, "")
    assert json.loads(out)["overall"]["score"] == 100.0


def test_a_measures_own_slices_come_without_asking(score):
    rows = [
        {"functionality": f, "gold": g, "predicted": p, "group": who}
        for f, g, p, who in [("neg", "a", "a", "x"), ("neg", "b", "a", ""), ("slur", "a", "a", None)]
    ]
    found = json.loads(score("functional", rows, "--json")[1])
    assert set(found["by"]) == {"functionality", "gold", "group"}
    assert found["by"]["functionality"]["neg"]["accuracy"] == 0.5
    assert found["by"]["group"][""]["accuracy"] == 0.5  # rows of no group are a slice too


def test_rows_threshold_and_intervals(score):
    row = {"question": "Where is Mary?", "target": "garden", "task": "qa1"}
    rows = [{"output": "In the garden", **row}, {"output": "kitchen", **row}]
    found = json.loads(score("babilong", rows, "--json", "--rows")[1])
    assert found["rows"] == [{"row": 1, "correct": True}, {"row": 2, "correct": False}]
    lengths = [{"length": 1000 * k, "score": s} for k, s in ((4, 90), (8, 80), (16, 70))]
    assert (
        json.loads(score("effective_length", lengths, "--json", "--threshold", "75")[1])["overall"]["effective_length"]
        == 8000
    )
    found = json.loads(score("accuracy", ROWS, "--json", "--intervals")[1])
    assert found["intervals"]["value"]["method"].startswith("wilson")
    assert "95% CI" in score("accuracy", ROWS)[1]


def test_undefined_is_null_with_a_reason(score):
    code, out, _ = score("ood_detection", [{"score": 0.5, "is_ood": 0}, {"score": 0.2, "is_ood": 0}], "--json")
    found = json.loads(out)["overall"]
    assert code == 0
    assert found["auroc"] is None
    assert "only one kind" in found["reasons"]["auroc"]
    assert "undefined: only one kind" in score("ood_detection", [{"score": 0.5, "is_ood": 0}] * 2)[1]


def test_list_shows_every_measure_and_one_card(capsys):
    for words in (["--list"], ["--list", "bbq"], ["--list", "--json"]):
        with pytest.raises(SystemExit) as stop:
            main(["score", *words])
        assert stop.value.code == 0
    out = capsys.readouterr().out
    listed, whole = out.split("{", 1)[0], json.loads("{" + out.split("{", 1)[1])
    assert all(f"{name} " in listed for name in measures.names())
    assert "Parrish" in listed
    assert set(whole) == set(measures.names())


# --- bad input ----------------------------------------------------------------------------------------------------


def refused(found, *words):
    code, out, err = found
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    assert err.count("\n") <= 2  # one paragraph
    for word in words:
        assert word in err, err


def test_what_cannot_be_read(score, tmp_path):
    refused(score("accuracy", ""), "no rows", "correct")
    refused(score("accuracy", "", kind="csv"), "no rows")
    refused(score("accuracy", "correct\n", kind="csv"), "no rows")
    refused(score("accuracy", '{"correct": 1}\n{"correct": \n'), "line 2")
    refused(score("accuracy", '{"correct": 1}\n[1]\n'), "line 2", "list")
    refused(score("accuracy", "correct,x\n1,2\n1\n", kind="csv"), "row 2", "1 fields")
    refused(score("accuracy", "correct,x\n1,2,3\n", kind="csv"), "row 1", "3 fields")
    refused(score("accuracy", "nothing", kind="parquet"), "Parquet")
    refused(score("accuracy", "correct", kind="txt"), ".jsonl, .csv, .parquet")
    (tmp_path / "rows.csv").write_bytes(b"correct\n\xff\xfe\n")


def test_a_file_that_is_not_there_and_one_that_is_not_text(capsys, tmp_path):
    (tmp_path / "preds.csv").write_bytes(b"correct\n\xff\xfe\n")
    for name, words in (("pred.csv", ["no such file", "preds.csv"]), ("preds.csv", ["UTF-8", "byte 8"])):
        with pytest.raises(SystemExit) as stop:
            main(["score", "accuracy", str(tmp_path / name)])
        refused((stop.value.code, *capsys.readouterr()), *words)


def test_what_is_not_there(score):
    refused(score("accuracy", [{"corect": 1}]), "'correct'", "0, 1, true, false", "did you mean 'corect'?")
    refused(score("acuracy", [{"correct": 1}]), "did you mean 'accuracy'?")
    refused(score("accuracy", ROWS, "--by", "knd"), "did you mean 'kind'?")
    refused(score("accuracy", ROWS, "--threshold", "3"), "--threshold")
    refused(score("accuracy", ROWS, "--rows"), "babilong")
    refused(score("effective_length", [{"length": 1, "score": 2}], "--threshold", "nan"), "finite")


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("accuracy", {"correct": 2}, ["'correct'", "row 2", "2", "0, 1, true, false"]),
        ("accuracy", {"correct": None}, ["'correct'", "row 2"]),
        ("accuracy", {"correct": "1"}, ["'correct'", "row 2", "'1'"]),
        ("accuracy", {"correct": 0.5}, ["'correct'", "row 2"]),
        ("accuracy", {"correct": math.nan}, ["'correct'", "row 2"]),
        ("accuracy", {"correct": 1, "cluster": ""}, ["'cluster'", "row 2"]),
        ("ece", {"confidence": 1.2, "correct": 1}, ["'confidence'", "row 2", "1.2", "from 0 to 1"]),
        ("ece", {"confidence": -0.1, "correct": 1}, ["'confidence'", "row 2"]),
        ("ece", {"confidence": math.nan, "correct": 1}, ["'confidence'", "row 2", "nan"]),
        ("ood_detection", {"score": math.inf, "is_ood": 1}, ["'score'", "row 2", "inf", "finite"]),
        ("ood_detection", {"score": "high", "is_ood": 1}, ["'score'", "row 2", "'high'"]),
        ("perplexity", {"loglikelihood": 3.0, "tokens": 2}, ["'loglikelihood'", "row 2", "to 0"]),
        ("perplexity", {"loglikelihood": -3.0, "tokens": -2}, ["'tokens'", "row 2", "from 0"]),
        (
            "attack",
            {"outcome": "won", "queries": 1, "words": 1, "words_changed": 1},
            ["'outcome'", "'won'", "successful, failed, skipped"],
        ),
        ("group_gap", {"group": None, "value": 1}, ["'group'", "row 2"]),
        ("group_gap", {"group": 3, "value": 1}, ["'group'", "row 2", "of one type"]),
        ("functional", {"functionality": "f", "gold": "a", "predicted": 1}, ["'predicted'", "row 2", "of one type"]),
        ("ruler", {"task": "vt", "prediction": "x", "references": []}, ["'references'", "row 2"]),
        ("ruler", {"task": "vt", "prediction": "x", "references": ["a", 1]}, ["'references'", "row 2"]),
        ("ruler", {"task": "vt", "prediction": "x", "references": ""}, ["'references'", "row 2", "empty"]),
        ("ruler", {"task": "vt", "prediction": None, "references": "a"}, ["'prediction'", "row 2"]),
        ("needle", {"output": 7, "needle_answer": "a"}, ["'output'", "row 2", "a string"]),
        ("babilong", {"output": "x", "question": "q", "target": "t", "task": "qa9x"}, ["'task'", "row 2", "qa"]),
    ],
)
def test_a_bad_value_names_column_row_and_what_is_allowed(score, name, row, words):
    good = {
        "accuracy": {"correct": 1, "cluster": "a"},
        "ece": {"confidence": 0.5, "correct": 1},
        "ood_detection": {"score": 0.5, "is_ood": 0},
        "perplexity": {"loglikelihood": -1.0, "tokens": 1},
        "attack": {"outcome": "failed", "queries": 1, "words": 1, "words_changed": 0},
        "group_gap": {"group": "a", "value": 1},
        "functional": {"functionality": "f", "gold": "a", "predicted": "a"},
        "ruler": {"task": "vt", "prediction": "x", "references": "a"},
        "needle": {"output": "x", "needle_answer": "a"},
        "babilong": {"output": "x", "question": "q", "target": "t", "task": "qa1"},
    }
    refused(score(name, [good[name], row]), *words)


def choice(question, position, true, value=-1.0):
    return {"question_id": question, "position": position, "is_true": true, "loglikelihood": value}


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("truthful_mc", [choice("q", 0, 1), choice("q", 0, 0)], ["row 2", "already"]),
        ("truthful_mc", [choice("q", 0, 1), choice("q", 1, 1)], ["'q'", "no false choice"]),
        ("truthful_mc", [choice("q", 0, 0), choice("q", 1, 0)], ["'q'", "no true choice"]),
        (
            "pararel",
            [{"relation": "r", "subject": "s", "pattern": "p", "prediction": "x", "gold": "x"}] * 2,
            ["row 2", "already"],
        ),
        ("worst_case", [{"item_id": "i", "value": 1, "is_original": 1}] * 2, ["'i'", "2 rows", "exactly one"]),
        ("worst_case", [{"item_id": "i", "value": 1, "is_original": 0}], ["'i'", "no row"]),
        ("contrast_consistency", [{"set_id": "s", "correct": 1, "is_original": 1}], ["'s'", "a contrast item"]),
        ("contrast_consistency", [{"set_id": "s", "correct": 1, "is_original": 0}], ["'s'", "an original item"]),
        (
            "effective_length",
            [{"length": 4000, "score": 90}, {"length": 4000, "score": 80}],
            ["'length'", "row 2", "4000"],
        ),
    ],
)
def test_duplicates_and_incomplete_sets_are_refused(score, name, rows, words):
    refused(score(name, rows), *words)


def test_a_slice_that_cannot_be_scored_is_named(score):
    rows = [{"set_id": "s", "correct": 1, "is_original": o, "kind": k} for o, k in ((1, "a"), (0, "b"))]
    refused(score("contrast_consistency", rows, "--by", "kind"), "kind = 'a'", "contrast item")


@pytest.mark.parametrize(
    ("name", "rows", "undefined"),
    [
        ("ood_detection", {"score": [1, 2], "is_ood": [1, 1]}, ["auroc", "aupr", "fpr_at_95_tpr"]),
        (
            "identity_auc",
            {"score": [1, 2], "label": [1, 0], "subgroup": [1, 1]},
            ["bpsn_auc", "bnsp_auc", "positive_aeg"],
        ),
        ("group_gap", {"group": ["a", "a"], "value": [1, 0]}, ["gap"]),
        (
            "attack",
            {"outcome": ["skipped"], "queries": [1], "words": [3], "words_changed": [0]},
            ["attack_success_rate", "mean_queries", "mean_words_changed_percent"],
        ),
        ("pdr", {"original": [0.0], "attacked": [0.3]}, ["mean", "std"]),
        ("weat", {"set": ["X", "X"], "association": [1, 2]}, ["effect_size", "p_value"]),
        ("weat", {"set": ["X", "Y"], "association": [1, 1]}, ["effect_size"]),
        (
            "bbq",
            {"category": ["c"], "context": ["ambig"], "polarity": ["neg"], "answer": ["unknown"], "gold": ["unknown"]},
            ["bias_ambig", "bias_disambig", "accuracy_disambig"],
        ),
        (
            "crows_pairs",
            {"direction": ["stereo"], "more": [1.0], "less": [1.0], "bias_type": ["x"]},
            ["stereotype_score", "antistereotype_score"],
        ),
        (
            "truthful_mc",
            {"question_id": ["q", "q"], "position": [0, 1], "is_true": [1, 0], "loglikelihood": [-1, -2]},
            ["mc1_stderr", "mc2_stderr"],
        ),
        (
            "pararel",
            {"relation": ["r"], "subject": ["s"], "pattern": ["p"], "prediction": ["x"], "gold": ["x"]},
            ["consistency"],
        ),
    ],
)
def test_what_is_undefined_is_none_with_a_reason_and_never_a_number(name, rows, undefined):
    measure, frame = measures.get(name), pd.DataFrame(rows)
    found = measure.run(frame)
    for key in undefined:
        assert found[key] is None
        assert found["reasons"][key]
        if not measure.results[key].none:
            assert estimate(measure, frame, key)[0].method == found["reasons"][key]
    for key in set(measure.results) - set(undefined):
        value = found[key]
        assert value is None or isinstance(value, str) or np.isfinite(value)


def test_an_empty_frame_is_an_estimate_without_a_value_and_a_bad_key_is_refused():
    measure = measures.get("flip_rate")
    found, _ = estimate(measure, pd.DataFrame({"changed": []}))
    assert (found.value, found.method) == (None, "no rows")
    with pytest.raises(UsageError, match="did you mean 'value'"):
        estimate(measure, pd.DataFrame({"changed": [1]}), "valu")
    with pytest.raises(UsageError, match="no rows"):
        measure.run(pd.DataFrame({"changed": []}))


def test_a_measure_of_ones_own_is_found_by_its_place():
    assert measures.get("audit.measures.rates:accuracy") is measures.get("accuracy")
    for name in ("audit.measures.rates:flat", "audit.measures.rates:acuracy", "no.such:thing"):
        with pytest.raises(UsageError, match="measure"):
            measures.get(name)
