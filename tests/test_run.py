"""The main job on the simulated subject: plan, measure, kill, resume, conclude; and what is not run says why."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap

import pytest
from conftest import HOME

from audit import UsageError, plan, run, suite
from audit.plan import Spec

SHEET = """\
title: {en: Small, zh: 小}
limitations: [robustness]
data: {load: data.jsonl, group: topic}
measures: [flip_rate, accuracy_drop]
probes:
  - {probe: louder, over: {share: [0.5, 1.0]}}
  - {probe: masks}
  - {probe: louder, name: chinese, language: zh}
  - {probe: resource}
  - {probe: breaks, measures: [failure_rate]}
  - {probe: louder, name: sampled, limit: 7}
"""
PROBES = '''\
from audit import Classify, Outcome, Request, probe


class Taste(Request):
    """What no model answers."""


@probe(Classify)
def louder(example, rng, share=1.0):
    """Capitals."""
    loud = " ".join(w.upper() if rng.random() < share else w for w in example.text.split())
    calm, shout = yield [Classify(example.text), Classify(loud)]
    values = {"changed": int(calm.top != shout.top)}
    if example.label is not None:
        values |= {"correct_before": int(calm.top == example.label), "correct": int(shout.top == example.label)}
    return Outcome(not values["changed"], values, {"before": example.text, "after": loud})


@probe(Taste)
def masks(example, rng):
    """Never run."""
    yield [Taste()]
    return Outcome(True)


@probe(Classify, ready=lambda: "no word list: give one with --helper words=FILE")
def resource(example, rng):
    """Needs what is not there."""
    yield [Classify(example.text)]
    return Outcome(True)


@probe(Classify)
def breaks(example, rng):
    """Raise on one text in fifty."""
    yield [Classify(example.text)]
    if example.id == "7":
        raise ValueError("seven")
    return Outcome(True)
'''


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "suite.yaml").write_text(SHEET)
    (folder / "probes.py").write_text(PROBES)
    rows = [
        {"text": f"A good film number {i}", "label": ["negative", "positive"][i % 2], "topic": "ab"[i % 2]}
        for i in range(60)
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def spec(folder, **more) -> Spec:
    return Spec(suites=(str(folder),), model="simulated:flip=0.2,seed=3", **more)


def audit(asked: Spec, out, mode="auto"):
    ready = run.start(asked, plan.prepare(asked), out, mode)
    run.measure(ready)
    return {f.id: f for f in run.conclude(out)}


def test_every_entry_is_run_or_says_why_not(small, tmp_path):
    found = audit(spec(small), tmp_path / "out")
    assert found["small/louder/share=1/flip_rate"].n == 60
    assert found["small/sampled/flip_rate"].n == 7
    assert "Measured on 7 sampled inputs" in found["small/sampled/flip_rate"].statement["en"]
    assert "this model cannot answer Taste requests" in found["small/masks/flip_rate"].statement["en"]
    assert "no text in Chinese" in found["small/chinese/flip_rate"].statement["en"]
    assert "--helper words=FILE" in found["small/resource/flip_rate"].statement["en"]
    assert found["small/breaks/failure_rate"].errors == 1
    assert {f.verdict for f in found.values() if f.value is None} == {"not_run"}


def test_the_same_spec_continues_and_another_is_refused(small, tmp_path):
    out = tmp_path / "out"
    audit(spec(small), out)
    again = run.start(spec(small), plan.prepare(spec(small)), out)
    assert again.pending == []
    other = spec(small, seed=1)
    with pytest.raises(UsageError, match=r"holds another run \(different: seed\)"):
        run.start(other, plan.prepare(other), out)
    kept = (out / "records.jsonl").read_bytes()
    audit(other, out, "fresh")
    [old] = tmp_path.glob("out.*")
    assert (old / "records.jsonl").read_bytes() == kept


def test_changed_data_or_suite_is_another_run(small, tmp_path):
    audit(spec(small), tmp_path / "out")
    with (small / "data.jsonl").open("a") as rows:
        rows.write('{"text": "one more", "label": "positive", "topic": "a"}\n')
    with pytest.raises(UsageError, match="different: data, suite files"):
        run.start(spec(small), plan.prepare(spec(small)), tmp_path / "out")


def test_resume_needs_a_run_and_out_must_be_empty(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = plan.prepare(spec(small))
    with pytest.raises(UsageError, match="--resume: no run of these suites"):
        run.start(spec(small), parts, None, "resume")
    with pytest.raises(UsageError, match="holds no run"):
        run.start(spec(small), parts, tmp_path / "none", "resume")
    with pytest.raises(UsageError, match="not empty and holds no run"):
        run.start(spec(small), parts, small)


def test_the_default_folder_is_reused_only_while_unfinished(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = plan.prepare(spec(small))
    first = run.start(spec(small), parts)
    assert first.folder.parts[0] == "reports"
    assert first.folder.parts[-2] == "small"
    run.store.create(first.folder)
    run.store.write_json(first.folder / "run.json", first.about)
    assert run.start(spec(small), parts).folder == first.folder
    run.measure(first)
    assert run.start(spec(small), parts).folder != first.folder
    assert run.start(spec(small), parts, None, "resume").folder == first.folder


def test_user_data_takes_the_suites_place(small, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("review,stars\nnice,1\nawful,0\nfine,1\n")
    found = audit(spec(small, data=str(path), text="review", label="stars"), tmp_path / "out")
    assert found["small/louder/share=1/flip_rate"].n == 3
    path.write_text("review\nnice\nawful\n")
    found = audit(spec(small, data=str(path), text="review"), tmp_path / "out2")
    assert found["small/louder/share=1/flip_rate"].n == 2
    assert "no labels" in found["small/louder/share=1/accuracy_drop"].statement["en"]


def test_labels_that_are_not_the_models(small, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "nice", "label": "good"}\n{"text": "awful", "label": "bad"}\n')
    asked = spec(small, data=str(path))
    with pytest.raises(UsageError, match=r"--labels bad=negative,good=positive"):
        run.start(asked, plan.prepare(asked), tmp_path / "out")
    asked = spec(small, data=str(path), labels=(("good", "positive"), ("bad", "negative")))
    assert audit(asked, tmp_path / "out")["small/louder/share=1/accuracy_drop"].n == 2


def test_the_seed_and_limit_draw_the_data(small, tmp_path):
    drawn = [
        run.start(spec(small, limit=9, seed=s), plan.prepare(spec(small, limit=9, seed=s)), tmp_path / str(s))
        for s in (1, 2)
    ]
    ids = [{t.example.id for t in d.trials} for d in drawn]
    assert len(ids[0]) == len(ids[1]) == 9
    assert ids[0] != ids[1]


def test_the_same_settings_give_the_same_findings(small, tmp_path):
    audit(spec(small), tmp_path / "a")
    audit(spec(small), tmp_path / "b")
    assert lasting(tmp_path / "a") == lasting(tmp_path / "b")


def lasting(folder) -> str:
    """findings.json without its times."""
    content = json.loads((folder / "findings.json").read_text())
    for finding in content["findings"]:
        del finding["seconds"]
    return json.dumps(content)


@pytest.mark.parametrize("round_", range(3))
def test_killed_at_random_moments_it_ends_with_the_same_findings(small, tmp_path, round_):
    undisturbed = tmp_path / "whole"
    audit(spec(small), undisturbed)
    code = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from audit import plan, run
        from audit.models import simulated
        real = simulated.Simulated.run
        simulated.Simulated.run = lambda self, batch: (time.sleep(0.02), real(self, batch))[1]
        run.execute.LIVE = 4
        asked = plan.Spec(suites=({str(small)!r},), model="simulated:flip=0.2,seed=3")
        ready = run.start(asked, plan.prepare(asked), Path({str(tmp_path / "killed")!r}))
        print("ready", flush=True)
        run.measure(ready)
    """)
    rng, kills = random.Random(round_), 0
    for _ in range(30):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=HOME) as process:
            process.stdout.readline()
            try:
                process.wait(rng.uniform(0.1, 0.8) if kills < 3 else 60)
                break
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
    run.conclude(tmp_path / "killed")
    assert kills >= 1
    assert lasting(tmp_path / "killed") == lasting(undisturbed)


@pytest.mark.parametrize("path", sorted((HOME / "suites").glob("*/suite.yaml")), ids=lambda p: p.parent.name)
def test_every_suite_runs_on_the_simulated_model(path, tmp_path):
    asked = Spec(suites=(str(path.parent),), model="simulated:accuracy=0.9,flip=0.1", limit=4)
    found = audit(asked, tmp_path / "out")
    assert found
    entries = {entry.label for entry in suite.load(str(path.parent)).sheet.probes}
    assert entries <= {f.probe for f in found.values()}
    errors = {f.id: f.reason for f in found.values() if f.verdict == "error"}
    assert errors == {}
