"""Asking again: replay, noise floor, frozen cases, model cards."""

from __future__ import annotations

import json

import pytest

from audit import again, card, run, store
from audit.cli import main
from audit.errors import UsageError
from audit.gate import stored
from audit.plan import Spec


def audit(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A new suite with sixty rows, and a run of it on a simulated subject that often flips."""
    home = tmp_path_factory.mktemp("home")
    with pytest.raises(SystemExit):
        main(["new", str(home / "mine")])
    words = ("wonderful", "terrible")
    rows = [
        {"text": f"Number {i} was {words[i % 2]} today.", "label": ("positive", "negative")[i % 2]} for i in range(60)
    ]
    (home / "mine" / "data.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    with pytest.raises(SystemExit):
        main(["run", str(home / "mine"), "--model", "simulated:flip=0.4", "--out", str(home / "out"), "--noise-floor"])
    return home


def test_a_stored_spec_asks_for_the_same_trials(home):
    about = store.read_json(home / "out" / "run.json")
    wanted = again.spec(about)
    assert wanted == Spec((str(home / "mine"),), "simulated:flip=0.4")
    ids = [record.trial for record in store.Store(home / "out")]
    assert set(again.ask(wanted, ids)) == set(ids)


def test_replay_shows_then_and_now(home, capsys):
    code, out, _ = audit(capsys, "replay", home / "out", "mine/shouting/share=1/flip_rate", "--limit", "3")
    assert code == 0
    assert out.count("then: failed;") == out.count("now: failed;") == 3
    assert out.strip().endswith("3 same")
    code, out, _ = audit(capsys, "replay", home / "out", "--model", "simulated", "--limit", "3")
    assert out.strip().endswith("3 fixed")
    code, out, _ = audit(
        capsys, "replay", home / "out", "--case", store.Store(home / "out").__iter__().__next__().trial, "--json"
    )
    assert len(json.loads(out)["cases"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mine/shouting/share=1/fliprate"], "did you mean 'mine/shouting/share=1/flip_rate'?"),
        (["--case", "nobody"], "no case 'nobody'"),
    ],
)
def test_replay_of_what_is_not_there(home, capsys, words, said):
    code, _, err = audit(capsys, "replay", home / "out", *words)
    assert (code, said in err) == (2, True)


def test_replay_after_the_data_changed(home, tmp_path):
    about = store.read_json(home / "out" / "run.json")
    for name in ("findings.json", "records.jsonl"):
        (tmp_path / name).write_bytes((home / "out" / name).read_bytes())
    about["spec"]["seed"] = 5
    store.write_json(tmp_path / "run.json", about)
    with pytest.raises(UsageError, match="have changed since the run"):
        again.replay(tmp_path)


def test_the_noise_floor_of_a_subject_without_noise_is_zero(home):
    noise = store.read_json(home / "out" / "noise.json")
    assert [v["name"] for v in noise["variants"]] == ["batch"]
    assert set(noise["findings"].values()) == {0.0}
    assert set(stored.read(home / "out").noise) == set(stored.read(home / "out").findings)


def test_the_noise_floor_sees_noise(home):
    run_ = stored.read(home / "out")
    others = again.ask(Spec((str(home / "mine"),), "simulated:flip=0.4,seed=1"), [r.trial for r in run_.records])
    moved = again.jitters(run_, others)
    assert moved["mine/shouting/share=1/flip_rate"] > 0.2


def test_frozen_cases_are_a_suite_that_runs(home, tmp_path, capsys):
    code, out, _ = audit(capsys, "export-cases", home / "out", "--out", tmp_path / "regressions")
    assert code == 0
    failed = [r for r in store.Store(home / "out") if r.outcome.passed is False]
    assert f"{len(failed)} cases in" in out
    audit(capsys, "run", tmp_path / "regressions", "--model", "simulated:flip=0.4", "--out", tmp_path / "same")
    audit(capsys, "run", tmp_path / "regressions", "--model", "simulated", "--out", tmp_path / "fixed")
    rates = [
        stored.read(tmp_path / name).findings["regressions/stays/failure_rate"].value for name in ("same", "fixed")
    ]
    assert rates == [1.0, 0.0]
    code, _, err = audit(capsys, "export-cases", home / "out", "--out", tmp_path / "regressions")
    assert (code, "not empty" in err) == (2, True)


def test_frozen_cases_with_a_gold_label(tmp_path, capsys):
    folder = tmp_path / "gold"
    folder.mkdir()
    (folder / "suite.yaml").write_text("title: T\ndata: {load: d.jsonl, pair: pair}\nprobes: [{probe: clean}]\n")
    (folder / "probes.py").write_text(
        "from audit import Classify, Outcome, probe\n\n@probe(Classify)\ndef clean(example, rng):\n"
        "    [a] = yield [Classify(example.text, example.pair)]\n"
        "    shown = {'before': f'{example.text}\\n{example.pair}', 'gold': example.label}\n"
        "    return Outcome(a.top == example.label, {}, shown)\n"
    )
    rows = [{"text": f"awful {i}", "pair": "really", "label": "positive"} for i in range(5)]
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    audit(capsys, "run", folder, "--model", "simulated", "--out", tmp_path / "run")
    audit(capsys, "export-cases", tmp_path / "run", "--out", tmp_path / "cases")
    row = json.loads((tmp_path / "cases" / "labelled_pairs.jsonl").read_text().splitlines()[0])
    assert (row["pair"], row["label"], row["text"].startswith("awful")) == ("really", "positive", True)
    audit(capsys, "run", tmp_path / "cases", "--model", "simulated", "--out", tmp_path / "again")
    assert stored.read(tmp_path / "again").findings["cases/right_pairs/failure_rate"].value == 1.0


HEAD = "---\nlicense: mit\ntags:\n- x   # kept\n---\n# A model\n\n"
CARD = HEAD + "## Bias, Risks, and Limitations\n\nOurs.\n\n## Other\n\nText.\n"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_card_keeps_everything_else(home, tmp_path, language):
    path = tmp_path / "README.md"
    path.write_text(CARD, "utf-8")
    assert card.write(home / "out", path, language) == "added"
    once = path.read_text("utf-8")
    assert card.write(home / "out", path, language) == "replaced"
    assert path.read_text("utf-8") == once
    start, stop = once.index(card.BEGIN), once.index(card.END) + len(card.END)
    assert once[:start].rstrip() + "\n\n" + once[stop:].lstrip() == CARD
    assert once.index("## Bias") < start < once.index("Ours.")
    assert {"en": "limitations confirmed", "zh": "确认局限"}[language] in once


def test_a_new_card_and_torn_markers(home, tmp_path):
    path = tmp_path / "README.md"
    card.write(home / "out", path)
    assert path.read_text("utf-8").startswith("## Bias, Risks, and Limitations")
    path.write_text(f"# A\n{card.BEGIN}\n")
    with pytest.raises(UsageError, match="keep one pair"):
        card.write(home / "out", path)


def test_model_index(home, tmp_path, capsys):
    from huggingface_hub import ModelCard

    path = tmp_path / "README.md"
    path.write_text(CARD, "utf-8")
    for _ in range(2):
        assert audit(capsys, "card", home / "out", "--to", path, "--model-index")[0] == 0
    loaded = ModelCard.load(path)
    numbers = [f for f in stored.read(home / "out").findings.values() if f.value is not None and not f.group]
    assert len(loaded.data.eval_results) == len(numbers)
    assert loaded.data.license == "mit"


def test_a_card_says_what_the_gate_says(home, tmp_path, capsys):
    policy = tmp_path / "release.yaml"
    policy.write_text("version: 1\nrules:\n  - {id: r, select: {measure: flip_rate}, limit: {max: 0.01}}\n")
    audit(capsys, "gate", home / "out", "--policy", policy)
    card.write(home / "out", tmp_path / "README.md")
    assert "Release gate release: Gate not passed" in (tmp_path / "README.md").read_text("utf-8").replace("\\", "")
    assert run.conclude(home / "out")


def test_a_gate_from_before_the_noise_floor_is_outdated(home, tmp_path, capsys):
    """Judged, then the noise floor is measured: page, card and terminal say so until it is judged again."""
    import shutil

    folder = tmp_path / "out"
    shutil.copytree(home / "out", folder)
    (folder / "noise.json").unlink()
    policy = tmp_path / "release.yaml"
    policy.write_text("version: 1\nrules:\n  - {id: r, select: {measure: flip_rate}, limit: {max: 0.01}}\n")
    assert audit(capsys, "gate", folder, "--policy", policy)[0] == 1
    assert "<title>Gate not passed" in (folder / "report.html").read_text("utf-8")
    code, _, err = audit(capsys, "report", folder)
    assert (code, "outdated" in err) == (0, False)
    store.write_json(folder / "noise.json", store.read_json(home / "out" / "noise.json"))
    code, _, err = audit(capsys, "report", folder)
    assert (code, "gate.json is outdated" in err) == (0, True)
    for name, said in (("report.html", "measured after the gate was judged"), ("report.zh.html", "裁决之后测量")):
        page = (folder / name).read_text("utf-8")
        assert said in page
        assert "Gate not passed" not in page
        assert "门禁未通过" not in page
    card.write(folder, tmp_path / "README.md")
    assert "Gate" not in (tmp_path / "README.md").read_text("utf-8").replace("Release gate", "Gate")
    assert audit(capsys, "gate", folder, "--policy", policy)[0] == 1
    assert "<title>Gate not passed" in (folder / "report.html").read_text("utf-8")
