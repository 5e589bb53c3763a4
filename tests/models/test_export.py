"""Failures of every head as a frozen suite: the same model fails each of its cases again, whatever the seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_every_head_runs import HEADS

from audit import plan, run
from audit.export import export
from audit.gate import stored

ASKED = """\
from audit import Fill, Generate, LogProb, Outcome, PseudoLogProb, Span, Tag, probe


def words(example, rng):
    return [example.text, *(rng.choice("the a film was good bad long short".split()) for _ in range(6))]


def told(first, second):
    return Outcome(first == second, {}, {"first": str(first), "second": str(second)})


@probe(Tag)
def tags(example, rng):
    first, second = yield [Tag(tuple(words(example, rng))), Tag(tuple(words(example, rng)))]
    return told(sum(first.probs) > sum(second.probs), True)


@probe(Span)
def spans(example, rng):
    first, second = yield [Span("who was it?", " ".join(words(example, rng))) for _ in range(2)]
    return told(first.score > second.score, True)


@probe(Fill)
def cloze(example, rng):
    first, second = yield [Fill(" ".join(words(example, rng)) + " [MASK]", ("good", "bad")) for _ in range(2)]
    return told(first.logprobs[0] > second.logprobs[0], True)


@probe(PseudoLogProb)
def pairs(example, rng):
    first, second = yield [PseudoLogProb(" ".join(words(example, rng))) for _ in range(2)]
    return told(first.value > second.value, True)


@probe(LogProb)
def likelihoods(example, rng):
    first, second = yield [LogProb(" ".join(words(example, rng)), " good") for _ in range(2)]
    return told(first.value > second.value, True)


@probe(Generate)
def writing(example, rng):
    first, second = yield [Generate(" ".join(words(example, rng)), limit=4) for _ in range(2)]
    return told(first.text, second.text)
"""
KINDS = {
    "tagger": {"tags"}, "qa": {"spans"}, "masked": {"cloze", "pairs"}, "causal": {"likelihoods", "writing"},
    "seq2seq": {"likelihoods", "writing"},
}  # fmt: skip


def measured(suite: Path, model: Path | str, out: Path, seed: int = 0):
    spec = plan.Spec((str(suite),), str(model), seed=seed, overlong="truncate")
    run.measure(run.start(spec, plan.prepare(spec), out))
    return {f.probe: f for f in run.conclude(out) if not f.group and f.value is not None}


@pytest.mark.parametrize("head", KINDS)
def test_a_frozen_suite_of_each_kind_of_request(tmp_path, head):
    model, mine = HEADS[head][0](tmp_path / "model"), tmp_path / "mine"
    mine.mkdir()
    (mine / "probes.py").write_text(ASKED)
    names = ("tags", "spans", "cloze", "pairs", "likelihoods", "writing")
    entries = ", ".join(f"{{probe: {name}}}" for name in names)
    (mine / "suite.yaml").write_text(
        f"title: T\ndata: {{load: d.jsonl, label: null}}\nmeasures: [failure_rate]\nprobes: [{entries}]\n"
    )
    (mine / "d.jsonl").write_text("\n".join(json.dumps({"text": f"film {i}"}) for i in range(12)))
    measured(mine, model, tmp_path / "out", seed=3)
    failed = [r for r in stored.read(tmp_path / "out").records if r.outcome and r.outcome.passed is False]
    assert {r.entry for r in failed} == KINDS[head]
    assert export(tmp_path / "out", tmp_path / "cases")["cases"] == len(failed)
    found = measured(tmp_path / "cases", model, tmp_path / "again", seed=11)
    assert set(found) == KINDS[head]
    assert sum(f.n for f in found.values()) == len(failed)
    assert {f.value for f in found.values()} == {1.0}


PROBES = """\
from pathlib import Path

from audit import Classify, Generate, Outcome, probe

WORDS = (Path(__file__).parent / "data" / "words.txt").read_text().split()


@probe(Generate, Classify)
def near(example, rng, peers, width=1):
    \"\"\"Says the prompt, the peers' labels and the random word that it was asked with.\"\"\"
    word = rng.choice(WORDS)
    [said] = yield [Generate(f"{example.text} {word}")]
    known = sorted({p.label for p in peers})
    return Outcome(False, {"width": width}, {"word": word, "label": str(example.label), "peers": " ".join(known)})
"""


def test_what_a_probe_was_given_is_frozen_with_it(tmp_path):
    """Its random numbers, its peers, its settings, the model's names for labels, and files beside its source."""
    suite = tmp_path / "mine"
    (suite / "data").mkdir(parents=True)
    (suite / "data" / "words.txt").write_text(" ".join(f"w{i}" for i in range(1000)))
    (suite / "probes.py").write_text(PROBES)
    (suite / "suite.yaml").write_text(
        "title: T\ndata: {load: d.jsonl, inside: own, group: text}\nmeasures: [failure_rate]\n"
        "probes: [{probe: near, over: {width: [1, 2]}}]\n"
    )
    rows = [{"text": "own" if i < 3 else f"t{i}", "label": ("POS", "NEG")[i % 2], "mark": i} for i in range(6)]
    (suite / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    measured(suite, "simulated:accuracy=0.9", tmp_path / "out", seed=3)
    export(tmp_path / "out", tmp_path / "cases")
    measured(tmp_path / "cases", "simulated:accuracy=0.9", tmp_path / "again", seed=0)

    def evidence(folder: str) -> list[tuple[object, ...]]:
        outcomes = [r.outcome for r in stored.read(tmp_path / folder).records if r.outcome]
        return sorted(
            (o.evidence["word"], o.evidence["label"], o.evidence["peers"], o.values["width"]) for o in outcomes
        )

    then, now = evidence("out"), evidence("again")
    assert now == then
    assert len(now) == 12
    assert {row[1] for row in now} <= {"positive", "negative"}
    assert {row[2] for row in now} == {"negative positive"}
