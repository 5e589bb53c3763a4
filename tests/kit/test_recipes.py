"""What each recipe needs: the reasons why not, the stand-ins, and an import that leaves no trace."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from subjects import Taste, Wrapper, outcomes, rows, run

from audit import Example, UsageError
from audit.kit import recipes, recipes_lacks, recipes_resources
from audit.kit.readiness import shown

if importlib.util.find_spec("textattack") is None:
    pytest.skip("TextAttack is not installed", allow_module_level=True)

HOME = Path(__file__).parents[2]


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
    assert (says in reason["en"]) if says else not reason


def test_every_recipe_is_real_and_every_resource_has_a_reason(bare: Path) -> None:
    from audit.kit.recipes_build import load, module

    load()
    for recipe in recipes.RECIPES.values():
        assert hasattr(module("attack_recipes"), recipe.build)
        for resource in (*recipe.needs, *recipe.uses):
            reason = recipes_lacks.lacks(resource)
            assert set(reason) == {"en", "zh"}
            assert any("\u4e00" <= c <= "\u9fff" for c in reason["zh"]), reason
            assert reason["en"].isascii()


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_no_reason_tells_where_the_user_lives(recipe: str, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = bare / "models" / "mlm"
    told = [*recipes.ready(recipe=recipe, mlm=str(mine), encoder=str(mine)).values()]
    monkeypatch.delenv("TA_CACHE_DIR")
    told += recipes.ready(recipe=recipe, mlm=str(mine), encoder=str(mine)).values()
    assert told
    assert not [text for text in told if str(bare) in text]
    assert any("~/models/mlm" in text for text in told)


def test_where_something_would_be_is_shown_relative_to_home(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not found at $TA_CACHE_DIR/word_embeddings" in recipes.ready(recipe="iga")["en"]
    monkeypatch.delenv("TA_CACHE_DIR")
    assert "not found at ~/.cache/textattack/word_embeddings" in recipes.ready(recipe="iga")["en"]
    assert shown("/usr/share/wordnet") == "/usr/share/wordnet"
    assert shown("~/a/b") == "~/a/b"


def test_without_textattack_the_reason_gives_the_two_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    find = recipes_lacks.importlib.util.find_spec
    monkeypatch.setattr(
        recipes_lacks.importlib.util, "find_spec", lambda name: None if name == "textattack" else find(name)
    )
    reason = recipes.ready(recipe="deepwordbug")["en"]
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
    assert "no config.json" in recipes.ready(recipe="bae", mlm=str(tmp_path))["en"]
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertForSequenceClassification"]}))
    reason = recipes.ready(recipe="bae", mlm=str(tmp_path))
    assert "BertForSequenceClassification, not a masked language model" in reason["en"]
    assert "BertForSequenceClassification，不是掩码语言模型" in reason["zh"]


def test_an_english_masked_model_is_no_help_in_chinese(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertForMaskedLM"]}))
    (tmp_path / "vocab.txt").write_text("the\nof\n", "utf-8")
    assert not recipes_lacks.lacks("mlm", mlm=str(tmp_path))
    assert "knows no Chinese" in recipes_lacks.lacks("chinese_mlm", mlm=str(tmp_path))["en"]
    (tmp_path / "vocab.txt").write_text("这\n们\n", "utf-8")
    assert not recipes_lacks.lacks("chinese_mlm", mlm=str(tmp_path))


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
    assert not recipes.ready(recipe="pwws")
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
    assert "no config.json" in recipes.ready(recipe="textbugger", encoder=str(tmp_path))["en"]
    assert not recipes.ready(recipe="textbugger", encoder=folder)
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
    assert not recipes.ready(recipe=recipe, mlm=folder)
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
