"""TextAttack's recipes through the scheduler: equal to TextAttack alone, and freed when nobody waits for them."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import pytest
from subjects import OFFLINE, Taste, Wrapper, alone, outcomes, rows, run, their_own, told

from audit import Answer, Classify, Example, Labels, Request, Trial
from audit.kit.textattack import _idle, attack, scores
from audit.schedule import drive

if importlib.util.find_spec("textattack") is None:
    pytest.skip("TextAttack is not installed", allow_module_level=True)

HOME = Path(__file__).parents[2]
SHARED = HOME.parent / "shared" / "models" / "minilm-sentiment"
REAL = SHARED if SHARED.is_dir() else HOME / "audit" / "reference" / "sentiment"


@pytest.mark.parametrize("live", [1, 16])
@pytest.mark.parametrize("recipe", OFFLINE)
def test_text_outcome_and_queries_equal_textattack_alone(recipe: str, live: int) -> None:
    theirs = their_own(recipe, Wrapper())
    examples = rows()[:3] if recipe == "bad_characters_deletions" else rows()
    expected = []
    for example in examples:
        if hasattr(theirs.goal_function, "target_class"):
            probs = dict(zip(("negative", "positive", "mixed"), Taste().one(example.text).probs, strict=True))
            del probs[example.label or ""]
            theirs.goal_function.target_class = ["negative", "positive", "mixed"].index(
                max(probs, key=probs.__getitem__)
            )
        expected.append(alone(theirs, example, ("negative", "positive", "mixed")))
    got = told(run(Taste(), examples, live, recipe=recipe))
    if recipe == "input_reduction":  # its goal has no end, and so no success, in TextAttack's words
        got = [(w[0] if w[0] == "skipped" else "maximized", *w[1:]) for w in got]
    assert got == expected
    assert any(row[0] != "skipped" for row in got)


def test_the_equality_would_notice_other_dice() -> None:
    theirs = their_own("deepwordbug", Wrapper())
    expected = [alone(theirs, row, ("negative", "positive", "mixed")) for row in rows()]
    moved = [Example(row.id + "!", row.text, label=row.label) for row in rows()]
    assert told(run(Taste(), moved, recipe="deepwordbug")) != expected


@pytest.mark.parametrize(("recipe", "count"), [("deepwordbug", 4), ("pruthi", 2)])
def test_on_a_real_model_too(recipe: str, count: int) -> None:
    import torch
    import transformers
    from textattack.models.wrappers import HuggingFaceModelWrapper

    from audit.models import LoadOptions, load

    folder = str(REAL)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = 32  # its wrapper pads every query to this
    ours = load(folder, options=LoadOptions(device="cpu", dtype="float32"))
    examples = rows()[2 : 2 + count]
    search = their_own(recipe, HuggingFaceModelWrapper(theirs, tokenizer))
    expected = [alone(search, example, ("negative", "positive")) for example in examples]
    assert told(run(ours, examples, live=1, recipe=recipe)) == expected
    assert told(run(ours, examples, live=32, recipe=recipe)) == expected


def test_probabilities_without_logits_serve_as_well() -> None:
    assert told(run(Taste(1.0), rows(), recipe="pruthi")) == told(run(Taste(), rows(), recipe="pruthi"))


def test_logits_that_sum_to_one_are_not_taken_for_probabilities() -> None:
    assert sum(scores(Labels((0.6, 0.4), ("a", "b"), (0.7, 0.3)))) < 0
    assert scores(Labels((0.6, 0.4), ("a", "b"), (0.8, 0.4))) == [0.8, 0.4]
    assert scores(Labels((1.0, 0.0), ("a", "b")))[1] < -100


def test_what_an_outcome_says() -> None:
    [found] = outcomes(
        run(Taste(), [Example("x", "An overlong mess with wooden acting.", label=None)], recipe="pruthi")
    )
    before = Taste().one("An overlong mess with wooden acting.").top
    assert found.values["correct"] is None
    assert "no gold label" in found.evidence["note"]
    assert "gold" not in found.evidence
    assert found.passed == (found.evidence["predicted"] == before)
    wrong = next(name for name in ("negative", "positive", "mixed") if name != before)
    [skipped] = outcomes(
        run(Taste(), [Example("x", "An overlong mess with wooden acting.", label=wrong)], recipe="pruthi")
    )
    assert (skipped.passed, skipped.values["outcome"], skipped.values["correct_before"]) == (None, "skipped", 0)
    assert skipped.evidence["before"] == skipped.evidence["after"]


def test_columns_are_those_the_measures_read() -> None:
    for found in outcomes(run(Taste(), rows(), recipe="deepwordbug")):
        values = found.values
        assert set(values) == {
            "outcome", "queries", "words", "words_changed", "correct_before", "correct", "is_original", "value",
        }  # fmt: skip
        assert (values["outcome"] == "successful") == (values["correct_before"] == 1 and values["correct"] == 0)
        assert 0 <= int(values["words_changed"] or 0) <= int(values["words"] or 0)


@pytest.mark.parametrize("recipe", OFFLINE)
@pytest.mark.parametrize("text", ["", "...!", "🙂", "的", "the"])
def test_texts_with_little_to_change_are_no_error(recipe: str, text: str) -> None:
    [found] = outcomes(run(Taste(), [Example("x", text)], recipe=recipe))
    assert found.values["outcome"] in {"failed", "successful"}


def test_a_pair_is_attacked_as_a_pair() -> None:
    [found] = outcomes(
        run(Taste(), [Example("x", "Two men are cooking.", pair="Nobody is cooking.")], recipe="deepwordbug")
    )
    assert found.evidence["before"] == "Two men are cooking.\nNobody is cooking."
    assert len(found.evidence["after"].split("\n")) == 2


def test_fewer_or_more_changes_can_be_asked_for() -> None:
    one, three = (outcomes(run(Taste(), rows(), recipe="pruthi", changes=n)) for n in (1, 3))
    assert max(int(o.values["words_changed"] or 0) for o in one) == 1
    assert sum(int(o.values["queries"] or 0) for o in three) >= sum(int(o.values["queries"] or 0) for o in one)


def test_a_label_that_the_model_lacks_is_an_error_with_the_nearest() -> None:
    [record] = run(Taste(), [Example("x", "A fine film.", label="Positive")], recipe="deepwordbug")
    assert "did you mean 'positive'" in (record.error or "")


def test_searches_are_used_again_but_never_after_a_failure() -> None:
    class Breaks(Taste):
        def run(self, batch: list[Request]) -> list[Answer]:
            if any(r.text not in {row.text for row in rows()} for r in batch if isinstance(r, Classify)):
                raise OSError("gone")
            return super().run(batch)

    key = ("pruthi", "", "", 2)
    run(Taste(), rows() * 1, live=3, recipe="pruthi", changes=2)
    idle = list(_idle[key])
    assert 1 <= len(idle) <= 3
    records = run(Breaks(), rows(), live=3, recipe="pruthi", changes=2)
    assert any("gone" in (r.error or "") for r in records)
    assert len(_idle[key]) < len(idle) + len(rows())
    assert not [t for t in threading.enumerate() if t.name == "audit-bridge"]
    assert told(run(Taste(), rows(), recipe="pruthi", changes=2)) == told(
        run(Taste(), rows(), live=1, recipe="pruthi", changes=2)
    )


def test_an_abandoned_run_leaves_neither_thread_nor_search() -> None:
    _idle.clear()
    trials = [Trial("s", "attack", attack, row, (("recipe", "pruthi"),)) for row in rows()]
    records = drive(trials, {"subject": Taste()}, live=6)
    next(records)
    records.close()
    assert not [t for t in threading.enumerate() if t.name == "audit-bridge"]
    assert len(_idle["pruthi", "", "", 0]) <= len(rows())


def test_the_chinese_recipe_changes_chinese_characters() -> None:
    found = outcomes(run(Taste(), [Example("x", "这部电影非常好看，演员很棒。")], recipe="chinese"))[0]
    assert "homophones" in found.evidence["note"]
    assert len(found.evidence["after"]) == len(found.evidence["before"])
    assert int(found.values["queries"] or 0) > 10
