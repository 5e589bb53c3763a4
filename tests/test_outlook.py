"""What would run, before it is run."""

from __future__ import annotations

import json

from test_cli import audit


def test_inspect_says_what_would_run_and_why_not(tmp_path):
    audit("new", tmp_path / "mine")
    found = json.loads(audit("inspect", "simulated:flip=0.3", tmp_path / "mine", "--json").stdout)
    [row] = found["rows"]
    assert (row["name"], row["trials"], row["reason"]) == ("mine/shouting", 8, None)
    assert row["seconds"] >= 0
    assert "Classify" in found["answers"]
    lines = audit("inspect", "simulated:flip=0.3", tmp_path / "mine").stdout
    assert "1 of 1 probes would run: 8 trials" in lines
    assert not (tmp_path / "reports").exists()


def test_inspect_names_what_would_not_run_in_both_languages():
    english = audit("inspect", "simulated:flip=0.3", "robustness", "--limit", "2").stdout
    chinese = audit("inspect", "simulated:flip=0.3", "robustness", "--limit", "2", "--lang", "zh").stdout
    assert "robustness/bae  no masked language model" in english
    assert "would not:" in english
    assert chinese.count("robustness/") == english.count("robustness/")


def test_inspect_refuses_what_run_refuses(tmp_path):
    assert "no/such/model" in audit("inspect", "no/such/model", "robustness", code=2).stderr
