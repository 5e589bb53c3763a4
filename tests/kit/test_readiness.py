"""Why a shipped probe is not run: in both languages, for every probe of every suite that has such a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit import plan, suite
from audit.kit import readiness, recipes_lacks
from audit.kit.readiness import both, joined, one_of

HOME = Path(__file__).parents[2]
BOUND = [
    (f"{found.name}/{bound.entry.label}", bound)
    for found in (suite.load(str(path.parent)) for path in sorted((HOME / "suites").glob("*/suite.yaml")))
    for bound in suite.bind(found)
    if bound.probe.ready
]


@pytest.mark.parametrize("bound", [bound for _, bound in BOUND], ids=[name for name, _ in BOUND])
def test_each_reason_is_in_both_languages(bound, monkeypatch):
    """Where nothing is installed, and for settings that the probe does not know."""
    monkeypatch.setattr(recipes_lacks.importlib.util, "find_spec", lambda name: None)
    settings = dict(bound.cells[0])
    if bound.probe.name != "attack":
        settings = {name: value if isinstance(value, int) else "nothing" for name, value in settings.items()}
    reason = bound.probe.ready(**settings)
    assert set(reason) == {"en", "zh"}
    assert not any("\u4e00" <= c <= "\u9fff" for c in reason["en"])
    assert any("\u4e00" <= c <= "\u9fff" for c in reason["zh"])


def test_there_are_such_probes():
    assert {name.split("/")[0] for name, _ in BOUND} >= {"robustness", "ood", "longcontext"}


def test_what_is_ready_says_nothing():
    ready = one_of("colour", "颜色", ("red", "green"), "colour")
    assert not ready(colour="red", size=3)
    assert not ready(size=3)
    assert ready(colour="rad")["en"] == "there is no colour 'rad': did you mean 'red'?"
    assert not joined([readiness.HERE, readiness.HERE])
    assert joined([both("a", "甲"), {}, both("b", "乙")]) == both("a; b", "甲；乙")


@pytest.mark.parametrize(
    ("why", "said"),
    [(both("no words", "没有词语"), both("no words.", "没有词语。")), ("no words", both("no words.", "no words。"))],
)
def test_a_plan_keeps_both_languages(tmp_path, why, said):
    (tmp_path / "suite.yaml").write_text("title: T\ndata: {load: d.jsonl}\nprobes: [{probe: asked}]\n")
    (tmp_path / "d.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "probes.py").write_text(
        f"from audit import Classify, Outcome, probe\n\n@probe(Classify, ready=lambda: {why!r})\n"
        "def asked(example, rng):\n    yield [Classify(example.text)]\n    return Outcome(True)\n"
    )

    class Model:
        answers = frozenset(suite.bind(suite.load(str(tmp_path)))[0].probe.needs)

    [part] = plan.prepare(plan.Spec((str(tmp_path),), "simulated"))
    assert plan.plan(part.bound[0], part, {"subject": Model()}).reason == said
