"""The long-context suite: texts of exact length, lengths that no model reads, probes by hand, measures of reach."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import HOME
from ruamel.yaml import YAML

from audit import (
    Example,
    Labels,
    LogProb,
    NotRun,
    Number,
    SpanAnswer,
    Text,
    Tokens,
    UsageError,
    lengths,
    measures,
    models,
    plan,
    run,
    store,
    suite,
)
from audit.kit.haystack import Hay, bounded, fitted
from audit.plan import Spec
from audit.types import Finding, Outcome, Record, Steps

sys.path.insert(0, str(HOME / "tests" / "models"))
import tinymodels

LONG = HOME / "suites" / "longcontext"
SIMULATED = "simulated:accuracy=1"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (LONG / "data" / f"{name}.jsonl").read_text("utf-8").splitlines()]


def probes() -> dict[str, Any]:
    return {bound.probe.name: bound.probe for bound in suite.bind(suite.load(str(LONG)))}


def example(name: str, language: str = "en", at: int = 0) -> Example:
    row = rows(f"{name}.{language}")[at]
    rest = {key: value for key, value in row.items() if key not in ("id", "text", "label")}
    return Example(row["id"], row["text"], label=row.get("label"), language=language, fields=rest)


def drawn(example: Example) -> random.Random:
    """The random numbers that the engine gives a trial of this example."""
    return random.Random(f"0/{example.fields.get('set_id', example.id)}")


def driven(steps: Steps, model: Any, seen: list[Any] | None = None) -> Outcome:
    """Ask a model by hand whatever a probe wants to know; `seen` keeps the requests."""
    asked = next(steps)
    while True:
        if seen is not None:
            seen += asked
        try:
            asked = steps.send([model.run([request])[0] for request in asked])
        except StopIteration as stop:
            return stop.value


def only(folder: Path, *labels: str, **changes: Any) -> Path:
    """A copy of the suite with these entries only; `changes` replace what they sweep over."""
    made = folder / "longcontext"
    shutil.copytree(LONG, made, ignore=shutil.ignore_patterns("__pycache__"))
    yaml = YAML()
    sheet = yaml.load(made / "suite.yaml")
    sheet["probes"] = [entry for entry in sheet["probes"] if entry.get("name", entry["probe"]) in labels]
    sheet["across"] = [across for across in sheet["across"] if set(across["probes"]) <= set(labels)]
    for entry in sheet["probes"]:
        entry["over"].update({name: value for name, value in changes.items() if name in entry["over"]})
    yaml.dump(sheet, made / "suite.yaml")
    return made


def audited(folder: Path, out: Path, model: str = SIMULATED, **more: Any) -> dict[str, Finding]:
    spec = Spec(suites=(str(folder),), model=model, **more)
    ready = run.start(spec, plan.prepare(spec), out)
    run.measure(ready)
    return {finding.id: finding for finding in run.conclude(out)}


class Reader:
    """A subject that counts words, and knows which value the text gives to the thing asked for."""

    def __init__(self, right: bool = True) -> None:
        self.right = right

    def run(self, batch: list[Any]) -> list[Any]:
        return [self.one(request) for request in batch]

    def one(self, request: Any) -> Any:
        if isinstance(request, Tokens):
            return Number(len(request.text.split()))
        assert isinstance(request, LogProb)
        text, question = request.prefix.rsplit("\n", 1)
        stem = question.split("Answer: ")[1].removesuffix('"')
        stem = stem.replace('The value of "', '"').replace('" is ', '": "')
        known = f"{stem}{request.text}" in text
        return Number(-1.0 if known == self.right else -5.0, 1)


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    """A tiny Llama of random weights that reads 512 tokens, with a tokenizer trained on the suite's own filler."""
    import transformers

    folder = tmp_path_factory.mktemp("llama")
    texts, tinymodels.TEXTS = tinymodels.TEXTS, [r["text"] for code in ("en", "zh") for r in rows(f"haystack.{code}")]
    tokenizer = tinymodels.bytebpe(900, bos=True, length=512)
    tinymodels.TEXTS = texts
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=512, num_key_value_heads=4, bos_token_id=1, eos_token_id=0,
        **tinymodels.SMALL,
    )  # fmt: skip
    return tinymodels.save(folder, "LlamaForCausalLM", config, tokenizer)


# Texts of exact length.


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("room", [40, 97, 233, 400])
def test_a_text_fills_exactly_the_tokens_asked_for(llama, language, room):
    model = models.load(str(llama))

    def steps() -> Steps:
        filler = Hay([r["text"] for r in rows(f"haystack.{language}")], language, random.Random(room))
        yield from filler.measure()
        made = yield from fitted(
            lambda units, topping: filler.cut(units, [(0.5, "42")], topping), room, filler.guess(room), language
        )
        return Outcome(None, {"tokens": made.tokens}, {"text": made.text})

    seen: list[Any] = []
    outcome = driven(steps(), model, seen)
    assert outcome.values["tokens"] == room == len(model.weights.encoder.whole([outcome.evidence["text"]])[0].ids)
    assert "42" in outcome.evidence["text"]
    assert len(seen) < len(rows(f"haystack.{language}")) + 60, "few rounds of counting"


@pytest.mark.parametrize("depth", [0.0, 0.25, 0.5, 1.0])
def test_a_planted_text_stands_at_its_depth(depth):
    filler = Hay([r["text"] for r in rows("haystack.en")], "en", random.Random(0))
    before, _, after = filler.cut(900, [(depth, "NEEDLE.")]).partition("NEEDLE.")
    assert len(before) / len(before + after) == pytest.approx(depth, abs=0.03)


def test_no_room_is_said(llama):
    steps = fitted(lambda units, topping: "word " * (50 + units), 20, 5)
    with pytest.raises(NotRun, match="leave no room"):
        driven(steps, Reader())


def test_evidence_is_bounded():
    text = "x" * 100_000
    assert len(bounded(text)) < 500
    assert "100,000 characters" in bounded(text)
    assert bounded("short") == "short"


# Lengths.


@pytest.mark.parametrize("length", [0, -5, 1.5, "0%", "110%", "half", True])
def test_a_length_that_is_none_is_refused_with_file_and_line(tmp_path, length):
    folder = only(tmp_path, "needle", length=[64, length])
    with pytest.raises(UsageError, match=r"suite\.yaml:\d+: length .* above zero"):
        suite.bind(suite.load(str(folder)))


def test_shares_are_of_the_models_context():
    assert [lengths.tokens(value, 2000) for value in (64, "25%", "100%")] == [64, 500, 2000]
    assert lengths.tokens("50%", None) == lengths.ASSUMED // 2


def test_a_length_beyond_the_context_is_not_run_and_the_others_are(tmp_path, llama):
    folder = only(tmp_path, "needle", length=[256, 4096], depth=[0.5])
    found = audited(folder, tmp_path / "out", str(llama), limit=8)
    beyond = found["longcontext/needle/depth=0.5/length=4096/accuracy"]
    assert beyond.verdict == "not_run"
    assert "4,096 tokens are more than the 512" in beyond.reason
    assert found["longcontext/needle/depth=0.5/length=256/accuracy"].n == 8
    assert found["longcontext/grid/accuracy"].n == 8
    assert found["longcontext/grid/accuracy"].verdict != "error"


# Probes.


def test_four_questions_share_one_text():
    prefixes = set()
    for at in range(4):
        seen: list[Any] = []
        one = example("needles", at=at)
        outcome = driven(probes()["needle"].run(one, drawn(one), length=300, depth=0.3), Reader(), seen)
        assert outcome.passed
        assert outcome.values["cluster"] == "en-01 300 0.3"
        prefixes |= {r.prefix.rsplit("\n", 1)[0] for r in seen if isinstance(r, LogProb)}
    assert len(prefixes) == 1


def test_a_reader_that_is_wrong_fails():
    one = example("needles")
    for name in ("needle", "key_value"):
        outcome = driven(probes()[name].run(one, drawn(one), length=300), Reader(right=False))
        assert outcome.passed is False
        assert outcome.evidence["predicted"] != outcome.evidence["gold"]


@pytest.mark.parametrize("position", [0.0, 0.5, 1.0])
def test_the_pair_asked_for_stands_at_its_position(position):
    seen: list[Any] = []
    one = example("needles")
    outcome = driven(probes()["key_value"].run(one, drawn(one), length=400, position=position), Reader(), seen)
    assert outcome.passed
    assert outcome.values["tokens"] == 400 - 8
    listed = seen[-1].prefix.split("{")[1].split("}")[0].split(", ")
    gold = next(at for at, pair in enumerate(listed) if pair.endswith(f'"{outcome.evidence["gold"]}"'))
    assert gold / (len(listed) - 1) == pytest.approx(position, abs=0.02)


TASKS = [
    "single",
    "multi_key",
    "multi_value",
    "multi_query",
    "variable_tracking",
    "common_words",
    "frequent_words",
    "qa",
]


class Writer:
    """A subject that writes the same text whatever it is asked."""

    def __init__(self, text: str) -> None:
        self.text, self.prompt, self.limit = text, "", 0

    def run(self, batch: list[Any]) -> list[Any]:
        [request] = batch
        if isinstance(request, Tokens):
            return [Number(len(request.text.split()))]
        self.prompt, self.limit = request.prompt, request.limit
        return [Text(self.text, 1)]


@pytest.mark.parametrize("task", TASKS)
def test_ruler_counts_what_is_written(task):
    ask = probes()["ruler"].run
    one, silent = example("needles"), Writer("nothing")
    missed = driven(ask(one, drawn(one), task=task, length=600), silent)
    assert (missed.passed, missed.values["found"]) == (False, 0)
    gold = missed.evidence["gold"]
    assert all(part in silent.prompt for part in gold.split(", "))
    assert 600 - silent.limit - 4 <= missed.values["tokens"] <= 600 - silent.limit
    hit = driven(ask(one, drawn(one), task=task, length=600), Writer(gold.upper()))
    assert hit.passed
    assert hit.values["found"] == hit.values["hidden"] == len(gold.split(", "))


@pytest.mark.parametrize("task", ["common_words", "frequent_words"])
def test_the_words_asked_for_are_the_most_frequent(task):
    one, silent = example("needles"), Writer("")
    outcome = driven(probes()["ruler"].run(one, drawn(one), task=task, length=800), silent)
    listed = pd.Series(silent.prompt.split("\n")[0].split(", ")).value_counts()
    assert set(listed.index[:3]) == set(outcome.evidence["gold"].split(", "))
    assert listed.iloc[2] > listed.iloc[3]


def test_evidence_lost_to_truncation_is_counted():
    one = example("sentences")

    class Cut:
        def run(self, batch: list[Any]) -> list[Any]:
            [request] = batch
            if isinstance(request, Tokens):
                return [Number(len(request.text.split()) + 2)]
            over = max(len(request.text.split()) - 100, 0)
            label = (0.1, 0.9) if not over else (0.9, 0.1)
            return [Labels(label, ("negative", "positive"), dropped=over)]

    size = len(one.text.split())
    whole = driven(probes()["truncation"].run(one, drawn(one), size=100 - size), Cut())
    assert (whole.values["found"], whole.passed) == (size, True)
    cut = driven(probes()["truncation"].run(one, drawn(one), size=100 - size + 4), Cut())
    assert (cut.values["found"], cut.values["hidden"], cut.passed) == (size - 4, size, False)


def test_an_answer_is_still_found_inside_a_longer_text():
    one = example("documents")

    class First:
        def run(self, batch: list[Any]) -> list[Any]:
            [request] = batch
            at = request.context.find("a lighthouse keeper")
            return [SpanAnswer("a lighthouse keeper", at, at + 19) if at < 200 else SpanAnswer("")]

    early = driven(probes()["span"].run(one, drawn(one), size=200, depth=0.0), First())
    late = driven(probes()["span"].run(one, drawn(one), size=200, depth=1.0), First())
    assert (early.passed, early.values["correct"]) == (True, 1)
    assert (late.passed, late.values["correct_before"], late.values["correct"]) == (False, 1, 0)


# The whole suite.


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[dict[str, Finding], Path]:
    changes = {"length": [300], "depth": [0.0, 1.0], "size": [50], "position": [0.0, 0.5, 1.0], "count": [3]}
    labels = [entry.label for entry in suite.load(str(LONG)).sheet.probes]
    folder = only(tmp_path_factory.mktemp("suite"), *labels, **changes)
    out = tmp_path_factory.mktemp("whole") / "out"
    return audited(folder, out, limit=8), out


def test_every_entry_gives_a_number_or_a_reason(whole):
    found, _ = whole
    sheet = suite.load(str(LONG)).sheet
    assert {f.probe for f in found.values()} == {e.label for e in sheet.probes} | {a.name for a in sheet.across}
    assert not [f.id for f in found.values() if f.verdict == "error"]
    assert not [f.id for f in found.values() if f.value is None and not f.reason]


def test_sentences_are_filled_in_both_languages(whole):
    for finding in whole[0].values():
        for text in finding.statement.values():
            assert "{" not in text, finding.id


def answered(out: Path) -> list[Record]:
    """The records with an outcome; the others may only say that a text of this length has no room for the question."""
    records = list(store.Store(out))
    assert all("leave no room" in (record.error or "leave no room") for record in records)
    return [record for record in records if record.outcome is not None]


def test_no_prompt_is_longer_than_asked_and_no_evidence_is_long(whole):
    records = answered(whole[1])
    assert {r.entry for r in records} == {e.label for e in suite.load(str(LONG)).sheet.probes}
    for record in records:
        if "length" in record.params and "tokens" in record.outcome.values and record.entry != "perplexity":
            assert record.outcome.values["tokens"] <= record.params["length"]
        assert all(len(text) < 2000 for text in record.outcome.evidence.values())


def test_the_whole_suite_on_a_model_has_no_errors(tmp_path, llama):
    folder = only(tmp_path, "needle", "ruler", "key_value", "perplexity", "evidence", "zh_needle", "zh_key_value",
                  length=["50%", "100%"], depth=[0.5], position=[0.0, 0.5, 1.0], task=["single", "qa"])  # fmt: skip
    found = audited(folder, tmp_path / "out", str(llama), limit=4)
    missing = {f.id for f in found.values() if f.verdict in ("error", "not_run")}
    assert missing <= {f"longcontext/ruler/length={n}/task=qa/found_share" for n in (256, 512)}
    for record in answered(tmp_path / "out"):
        if record.entry in ("needle", "zh_needle"):
            # The longest of the four questions fills the length; the others are a name's tokens shorter.
            assert 0 <= record.params["length"] - 8 - record.outcome.values["tokens"] < 12


# Measures.


def grid(*scores: tuple[int, float], questions: int = 40) -> pd.DataFrame:
    cells = [(length, int(i < score * questions), f"s{i}") for length, score in scores for i in range(questions)]
    return pd.DataFrame(cells, columns=["length", "correct", "cluster"])


def test_usable_length_is_the_last_before_the_first_failure():
    measure = measures.get("usable_length")
    frame = grid((128, 0.8), (256, 0.7), (512, 0.4), (1024, 0.8))
    number, detail = measures.estimate(measure, frame)
    assert number.value == 256
    assert number.low <= 256 <= number.high
    assert detail["usable_share"] == 0.25
    assert detail["short_score"] == pytest.approx(0.8)


def test_usable_length_has_an_interval_of_tested_lengths():
    number, _ = measures.estimate(measures.get("usable_length"), grid((128, 0.9), (256, 0.77), (512, 0.2)))
    assert {number.low, number.high} == {128, 256}


def test_usable_length_of_a_model_that_is_never_right_is_zero():
    number, detail = measures.estimate(measures.get("usable_length"), grid((128, 0.0), (256, 0.0)))
    assert (number.value, detail["usable_share"]) == (0, 0)


def test_position_gap_by_hand():
    frame = pd.DataFrame({"position": [0, 0, 0.5, 0.5, 1, 1], "correct": [1, 1, 0, 1, 1, 0]})
    values = measures.get("position_gap").run(frame)
    assert values == pytest.approx({"primacy_gap": 0.5, "recency_gap": 0.0, "middle_loss": 0.25})
    nothing = measures.get("position_gap").run(frame[frame["position"] < 1])
    assert nothing["middle_loss"] is None


def test_position_gap_pairs_the_positions_of_an_item():
    frame = pd.DataFrame(
        {
            "position": [0.0, 0.5, 1.0] * 8,
            "correct": [1, 0, 1] * 6 + [1, 1, 0] * 2,
            "cluster": [str(n // 3) for n in range(24)],
        }
    )
    found, values = measures.estimate(measures.get("position_gap"), frame, "primacy_gap")
    assert values["primacy_gap"] == found.value == pytest.approx(0.75)
    assert (found.method, found.n, found.clusters) == ("tango", 24, 8)
    assert 0 < found.low < 0.75 < found.high < 1
    same, _ = measures.estimate(measures.get("position_gap"), frame.assign(correct=1), "middle_loss")
    assert same.low < same.value == 0 < same.high


def test_found_share_weighs_texts_alike_and_refuses_nonsense():
    frame = pd.DataFrame({"found": [1, 4, 0], "hidden": [1, 8, 2]})
    assert measures.get("found_share").run(frame)["found_share"] == pytest.approx(0.5)
    with pytest.raises(UsageError, match="row 1"):
        measures.get("found_share").run(pd.DataFrame({"found": [3], "hidden": [2]}))


# Data.


@pytest.mark.parametrize("language", ["en", "zh"])
def test_data_is_what_the_readme_says(language):
    paragraphs = [row["text"] for row in rows(f"haystack.{language}")]
    assert len(set(paragraphs)) == len(paragraphs) >= 24
    assert not any(character.isdigit() for text in paragraphs for character in text), "no value but the planted ones"
    needles = rows(f"needles.{language}")
    assert [row["turn"] for row in needles] == ["1", "2", "3", "4"] * (len(needles) // 4)
    assert all(
        row["answer"] in row["document"] and row["stem"] in row["document"] for row in rows(f"documents.{language}")
    )
    assert len({row["answer"] for row in rows(f"documents.{language}")}) == len(rows(f"documents.{language}"))
    labels = [row["label"] for row in rows(f"sentences.{language}")]
    assert labels.count("positive") == labels.count("negative")
    names = [row["text"] for row in rows(f"words.{language}")]
    assert len(set(names)) == len(names)
    assert not [name for name in names if any(name in text.split() for text in paragraphs) and name[0].isupper()]
