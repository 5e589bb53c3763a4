"""The reference classifier: its size, files, card, and how often it is right on text it was not trained on."""

import json
import re
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from audit import reference

HERE = Path(__file__).resolve()
SHARED = HERE.parents[2] / "shared" / "data" / "text"
OWN = HERE.parents[1] / "suites" / "robustness" / "data" / "sentiment.en.jsonl"
FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"}
CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")


@pytest.fixture(scope="module")
def classifier():
    model = AutoModelForSequenceClassification.from_pretrained(reference.SENTIMENT, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(reference.SENTIMENT)


def label(classifier, texts):
    model, tokenizer = classifier
    found = []
    with torch.no_grad():
        for start in range(0, len(texts), 64):
            inputs = tokenizer(texts[start : start + 64], padding=True, truncation=True, return_tensors="pt")
            found += [model.config.id2label[i] for i in model(**inputs).logits.argmax(-1).tolist()]
    return found


def share_right(found, gold):
    return sum(a == b for a, b in zip(found, gold, strict=True)) / len(gold)


def test_it_is_small_and_complete():
    files = {path.name: path.stat().st_size for path in reference.SENTIMENT.iterdir()}
    assert set(files) == FILES
    assert sum(files.values()) <= 8_000_000


def test_labels_and_limits(classifier):
    model, tokenizer = classifier
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert tokenizer.model_max_length == model.config.max_position_embeddings >= 256
    settings = json.loads((reference.SENTIMENT / "tokenizer_config.json").read_text("utf-8"))
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_plain_sentences(classifier):
    texts = ["A wonderful film.", "The soup was cold and the waiter was rude.", "it never disappoints", "Don't bother."]
    assert label(classifier, texts) == ["positive", "negative", "positive", "negative"]


def test_a_text_as_long_as_the_context_is_answered(classifier):
    model, tokenizer = classifier
    inputs = tokenizer(["good " * 1000], truncation=True, return_tensors="pt")
    assert inputs["input_ids"].shape[1] == tokenizer.model_max_length
    assert torch.isfinite(model(**inputs).logits).all()


def test_every_ascii_character_is_a_piece_and_chinese_is_unknown(classifier):
    _, tokenizer = classifier
    unknown = tokenizer.unk_token_id
    printable = "".join(map(chr, range(33, 127)))
    assert unknown not in tokenizer(" ".join(printable))["input_ids"]
    assert unknown not in tokenizer("qxzvjk9w0 zzqqjj77 xkcd")["input_ids"]
    assert not [piece for piece in tokenizer.get_vocab() if CHINESE.search(piece)]
    pieces = tokenizer("这家饭店很好", add_special_tokens=False)["input_ids"]
    assert set(pieces) == {unknown}
    assert len(pieces) == 6


def test_curly_quotes_read_like_plain_ones(classifier):
    _, tokenizer = classifier
    assert tokenizer("I don\u2019t \u201clike\u201d it")["input_ids"] == tokenizer('I don\'t "like" it')["input_ids"]


def test_accuracy_on_held_out_film_sentences(classifier):
    ids, archive = SHARED / "mr_test_ids.json", SHARED / "sentence_polarity.zip"
    if not (ids.exists() and archive.exists()):
        pytest.skip("the MR sentences are not here: ../shared/data/text")
    with zipfile.ZipFile(archive) as files:
        lines = {
            name: files.read(f"sentence_polarity/rt-polarity.{name}").decode("latin-1").split("\n")
            for name in ("pos", "neg")
        }
    rows = [key.split(":") for key in json.loads(ids.read_text("utf-8"))["ids"]]
    gold = ["positive" if name == "pos" else "negative" for name, _ in rows]
    found = label(classifier, [lines[name][int(number)] for name, number in rows])
    assert len(gold) == 1066
    assert share_right(found, gold) >= 0.76


def test_accuracy_on_the_suites_own_sentences(classifier):
    if not OWN.exists():
        pytest.skip(f"no {OWN}")
    rows = [json.loads(line) for line in OWN.read_text("utf-8").splitlines() if line.strip()]
    gold = ["positive" if row["label"] in (1, "positive") else "negative" for row in rows]
    assert len(rows) >= 300
    assert share_right(label(classifier, [row["text"] for row in rows]), gold) >= 0.80


@pytest.mark.parametrize("said", ["MR", "SST-2", "Product reviews", "XED", "MiniLM", "float16", "Not trained on"])
def test_the_card_says_what_it_learnt_from(said):
    assert said.lower() in (reference.SENTIMENT / "README.md").read_text("utf-8").lower()
