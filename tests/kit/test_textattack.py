"""TextAttack's recipes through the scheduler: equal to TextAttack alone, quiet, and honest about what is missing."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from audit import Answer, Classify, Example, Labels, Outcome, Record, Request, Trial, UsageError
from audit.kit import recipes, recipes_resources
from audit.kit.bridge import reseed
from audit.kit.textattack import _idle, attack, scores
from audit.schedule import drive

if importlib.util.find_spec("textattack") is None:
    pytest.skip("TextAttack is not installed", allow_module_level=True)

HOME = Path(__file__).parents[2]
SENTENCES = [
    ("positive", "A warm and funny story, told with real affection for its people."),
    ("negative", "The jokes fall flat and the second half drags badly."),
    ("positive", "Quiet, patient and surprisingly moving."),
    ("negative", "An overlong mess with wooden acting."),
    ("negative", "I loved every clever minute of it."),
    ("positive", "The camera work alone is worth the ticket."),
]
OFFLINE = ["deepwordbug", "pruthi", "textbugger", "input_reduction", "bad_characters", "bad_characters_deletions"]


class Taste:
    """A subject whose labels follow from the letters alone, smooth enough to be attacked and quick to ask."""

    answers: frozenset[type[Request]] = frozenset({Classify})

    def __init__(self, share: float = 0.0) -> None:
        self.share = share  # of the logits that is left out, to see that probabilities alone serve as well

    def run(self, batch: list[Request]) -> list[Answer]:
        return [self.one(r.text + r.pair) for r in batch if isinstance(r, Classify)]

    @staticmethod
    def logits(text: str) -> tuple[float, float, float]:
        sums = [sum((ord(c) * (k + at % 5)) % 23 for at, c in enumerate(text)) % 61 for k in (3, 5, 11)]
        return (sums[0] / 40 - 2, sums[1] / 30 - 2, sums[2] / 90 - 2)  # far from a sum of 1: see the test of `scores`

    def one(self, text: str) -> Labels:
        logits = self.logits(text)
        total = sum(map(math.exp, logits))
        probs = tuple(math.exp(x) / total for x in logits)
        return Labels(probs, ("negative", "positive", "mixed"), () if self.share else logits)


class Wrapper:
    """The same subject in the form that TextAttack asks for."""

    def __init__(self) -> None:
        self.model = self

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return [list(Taste.logits(text)) for text in texts]


def rows(sentences: list[tuple[str, str]] = SENTENCES) -> list[Example]:
    return [Example(f"row {at}", text, label=label) for at, (label, text) in enumerate(sentences)]


def run(model: Any, examples: list[Example], live: int = 64, **settings: Any) -> list[Record]:
    trials = [Trial("s", "attack", attack, example, tuple(settings.items()), 5) for example in examples]
    records = {r.example: r for r in drive(trials, {"subject": model}, live=live)}
    return [records[example.id] for example in examples]


def outcomes(records: list[Record]) -> list[Outcome]:
    assert [r.error for r in records if r.error] == []
    return [r.outcome for r in records if r.outcome]


def told(records: list[Record]) -> list[tuple[Any, ...]]:
    return [(o.values["outcome"], o.values["queries"], o.evidence["after"]) for o in outcomes(records)]


def alone(theirs: Any, example: Example, names: tuple[str, ...]) -> tuple[Any, ...]:
    """One example through TextAttack's own Attack, with the dice that the probe has."""
    reseed(random.Random(f"5/{example.id}").getrandbits(64))
    result = theirs.attack(example.text, names.index(example.label or ""))
    kind = type(result).__name__.removesuffix("AttackResult").lower()
    return kind, result.perturbed_result.num_queries, result.perturbed_result.attacked_text.text


def their_own(recipe: str, wrapper: Any) -> Any:
    """The recipe as TextAttack builds it, unhelped where nothing is missing."""
    from audit.kit.recipes_build import build, load, quiet

    load()
    if recipe in {"deepwordbug", "pruthi", "input_reduction"}:
        with quiet():
            return getattr(load().attack_recipes, recipes.RECIPES[recipe].build).build(wrapper)
    return build(recipe, wrapper).attack


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
def test_on_a_real_model_too(recipe: str, count: int, shared: Path) -> None:
    import torch
    import transformers
    from textattack.models.wrappers import HuggingFaceModelWrapper

    from audit.models import LoadOptions, load

    folder = str(shared / "models" / "minilm-sentiment")
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


# What is missing, and how to get it.


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without NLTK data, WordNet, or anything that TextAttack has fetched."""
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr(recipes_resources, "DEBIAN", str(tmp_path / "none"))
    monkeypatch.setenv("TA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WNSEARCHDIR", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ("deepwordbug", ""),
        ("pruthi", ""),
        ("textbugger", ""),
        ("input_reduction", ""),
        ("bad_characters", ""),
        ("chinese", ""),
        ("pwws", "wordnet-base"),
        ("checklist", "flair"),
        ("textfooler", "counter-fitted word vectors"),
        ("bae", "--helper mlm=FOLDER"),
        ("bert_attack", "--helper mlm=FOLDER"),
        ("clare", "--helper mlm=FOLDER"),
        ("a2t", "--helper mlm=FOLDER"),
        ("iga", "counter-fitted word vectors"),
        ("kuleshov", "gpt2"),
        ("pso", "HowNet"),
        ("alzantot", "tensorflow"),
        ("faster_alzantot", "language model"),
    ],
)
def test_each_recipe_says_what_it_lacks(recipe: str, says: str, bare: Path) -> None:
    reason = recipes.ready(recipe=recipe)
    assert (says in reason) if says else reason == ""


def test_every_recipe_is_real_and_every_resource_has_a_reason(bare: Path) -> None:
    from audit.kit.recipes_build import load, module

    load()
    for recipe in recipes.RECIPES.values():
        assert hasattr(module("attack_recipes"), recipe.build)
        for resource in (*recipe.needs, *recipe.uses):
            assert recipes.lacks(resource)


def test_without_textattack_the_reason_gives_the_two_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    find = recipes.importlib.util.find_spec
    monkeypatch.setattr(recipes.importlib.util, "find_spec", lambda name: None if name == "textattack" else find(name))
    reason = recipes.ready(recipe="deepwordbug")
    assert 'pip install "audit[attacks]"' in reason
    assert "pip install --no-deps textattack==0.3.11" in reason


def test_a_wrong_name_or_setting_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'deepwordbug'"):
        recipes.ready(recipe="deepwordbugs")
    with pytest.raises(UsageError, match=r"audit\.kit\.hotflip:hotflip"):
        recipes.ready(recipe="hotflip")
    with pytest.raises(UsageError, match="no number of changes"):
        recipes.ready(recipe="pwws", changes=2)


def test_a_folder_that_is_no_masked_model_is_named(tmp_path: Path) -> None:
    assert "no config.json" in recipes.ready(recipe="bae", mlm=str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertForSequenceClassification"]}))
    assert "BertForSequenceClassification, not a masked language model" in recipes.ready(
        recipe="bae", mlm=str(tmp_path)
    )


def test_an_english_masked_model_is_no_help_in_chinese(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertForMaskedLM"]}))
    (tmp_path / "vocab.txt").write_text("the\nof\n", "utf-8")
    assert recipes.lacks("mlm", mlm=str(tmp_path)) == ""
    assert "knows no Chinese" in recipes.lacks("chinese_mlm", mlm=str(tmp_path))
    (tmp_path / "vocab.txt").write_text("这\n们\n", "utf-8")
    assert recipes.lacks("chinese_mlm", mlm=str(tmp_path)) == ""


# Resources that stand in for others.

SYNSETS = {
    "adj": [("00", "a", ["good", "fine"]), ("00", "a", ["bad", "poor"])],
    "noun": [("06", "n", ["film", "movie", "picture_show"]), ("10", "n", ["story", "tale"])],
    "verb": [("29", "v", ["love", "adore"])],
    "adv": [("02", "r", ["badly", "poorly"])],
}


@pytest.fixture
def small_wordnet(tmp_path: Path) -> Path:
    """WordNet's files as Debian ships them (no lexnames), with six synsets of our own."""
    senses = ""
    for part, synsets in SYNSETS.items():
        data, index = "  1 a small wordnet written for a test\n", {}
        for file, kind, words in synsets:
            offset = len(data)
            spelled = " ".join(f"{word} 0" for word in words)
            tail = " 01 + 02 00" if kind == "v" else ""
            data += f"{offset:08d} {file} {kind} {len(words):02x} {spelled} 000{tail} | a gloss  \n"
            index |= dict.fromkeys(words, offset)
            senses += "".join(
                f"{word}%{recipes_resources.PARTS[part]}:{file}:00:: {offset:08d} 1 1\n" for word in words
            )
        (tmp_path / f"data.{part}").write_text(data)
        lines = [
            f"{word} {part[0] if part != 'adv' else 'r'} 1 0 1 1 {offset:08d}  \n"
            for word, offset in sorted(index.items())
        ]
        (tmp_path / f"index.{part}").write_text("".join(lines))
        (tmp_path / f"{part}.exc").write_text("")
    (tmp_path / "index.sense").write_text(senses)
    (tmp_path / "cntlist.rev").write_text("")
    return tmp_path


def test_pwws_runs_on_wordnet_as_debian_ships_it(
    bare: Path, small_wordnet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(small_wordnet))
    assert recipes.ready(recipe="pwws") == ""
    assert recipes_resources.wordnet().synsets("film")[0].lemma_names() == ["film", "movie", "picture_show"]
    examples = [Example(str(at), f"A good film and a bad story, number {at}.") for at in range(8)]
    found = outcomes(run(Taste(), examples, recipe="pwws"))
    swapped = {word.strip(".,") for o in found for word in o.evidence["after"].split()}
    assert swapped & {"fine", "movie", "poor", "tale"}


def test_our_stop_words_serve_where_nltk_has_none(bare: Path) -> None:
    words = set(recipes_resources.stopwords())
    assert {"the", "and", "don't", "wouldn"} <= words
    assert not {"film", "good", "bad"} & words


def test_a_pickled_tagger_may_hold_data_only(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "evil.pickle"
    path.write_bytes(pickle.dumps(os.getcwd))
    with path.open("rb") as file, pytest.raises(pickle.UnpicklingError, match="getcwd"):
        recipes_resources._Plain(file).load()


def test_older_nltk_data_has_a_tagger_too(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [str(shared / "nltk_data")])
    recipes_resources.pos_tag.cache_clear()
    tags = recipes_resources.pos_tag()(["The", "old", "dog", "barked"], tagset="universal", lang="eng")
    recipes_resources.pos_tag.cache_clear()
    assert [tag for _, tag in tags] == ["DET", "ADJ", "NOUN", "VERB"]


def test_a_given_encoder_takes_the_place_of_theirs(shared: Path, tmp_path: Path) -> None:
    folder = str(shared / "models" / "minilm-encoder")
    assert "no config.json" in recipes.ready(recipe="textbugger", encoder=str(tmp_path))
    assert recipes.ready(recipe="textbugger", encoder=folder) == ""
    filtered = outcomes(run(Taste(), rows(), recipe="textbugger", encoder=folder))
    free = outcomes(run(Taste(), rows(), recipe="textbugger"))
    assert all(
        "in the place of UniversalSentenceEncoder" in o.evidence["note"] for o in filtered if o.passed is not None
    )
    assert all("similar meaning" in o.evidence["note"] for o in free if o.passed is not None)
    assert [o.evidence["after"] for o in filtered] != [o.evidence["after"] for o in free]


@pytest.mark.parametrize("recipe", ["bae", "bert_attack", "a2t"])
def test_a_local_masked_model_serves_its_recipes(recipe: str, shared: Path) -> None:
    from audit.models import LoadOptions, load

    model = load(str(shared / "models" / "minilm-sentiment"), options=LoadOptions(device="cpu", dtype="float32"))
    folder = str(shared / "models" / "minilm-mlm")
    assert recipes.ready(recipe=recipe, mlm=folder) == ""
    found = outcomes(run(model, rows()[:4], recipe=recipe, mlm=folder))
    assert any(o.values["outcome"] == "successful" for o in found)


def test_padding_less_finds_the_same_words(shared: Path) -> None:
    from audit.kit import recipes_standins
    from audit.kit.recipes_build import build

    folder = str(shared / "models" / "minilm-mlm")
    search = build("bert_attack", Wrapper(), mlm=folder).attack
    text = recipes_standins.module("shared").AttackedText("The story is a good one and the people are real.")
    short = [t.text for t in search.transformation(text)]
    search.transformation._lm_tokenizer = search.transformation._lm_tokenizer._tokenizer
    assert [t.text for t in search.transformation(text)] == short != []


IMPORT = """
import json, logging, os, random, socket, sys
def refuse(*a, **k): raise OSError("a network was wanted")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
before = dict(os.environ), random.getstate()
logging.getLogger("mine")
from audit.kit import textattack, recipes_quiet
assert "textattack" not in sys.modules and "torch" not in sys.modules and "nltk" not in sys.modules
recipes_quiet.load()
assert "textattack" in sys.modules
assert (dict(os.environ), random.getstate()) == before, set(os.environ.items()) ^ set(before[0].items())
assert logging.root.handlers == [] and not logging.getLogger("mine").disabled
assert os.environ.get("FLAIR") or "flair" not in sys.modules
textattack.Search("deepwordbug"), textattack.Search("textbugger"), textattack.Search("bad_characters")
"""


def test_the_import_is_quiet_and_leaves_no_trace(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in {"NLTK_DATA", "TA_CACHE_DIR"}}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(HOME), "PYTHONWARNINGS": "default"}
    done = subprocess.run([sys.executable, "-c", IMPORT], env=environment, cwd=tmp_path, capture_output=True, text=True)
    noise = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), noise
    assert not (tmp_path / ".cache" / "textattack").exists()
