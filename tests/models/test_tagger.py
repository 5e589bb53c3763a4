"""The token-classification head against plain transformers, one sentence at a time."""

from __future__ import annotations

import pytest
import torch
import transformers
from tinymodels import LONG, SMALL, TEXTS, bytebpe, save, unigram, wordpiece
from transformers import AutoModelForTokenClassification, AutoTokenizer

from audit import CannotMeasure, Failed, Tag, Tags
from audit.models import LoadOptions, load
from audit.models.tagger import Entity, entities

NAMES = dict(enumerate(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]))
COMMON = {"id2label": NAMES, "label2id": {v: k for k, v in NAMES.items()}}


def roberta_config(n):
    size = SMALL | {"max_position_embeddings": 66, "pad_token_id": 2, "type_vocab_size": 1}
    return transformers.RobertaConfig(vocab_size=n, **COMMON, **size)


KINDS = {
    "BertForTokenClassification": (wordpiece, lambda n: transformers.BertConfig(vocab_size=n, **COMMON, **SMALL)),
    "RobertaForTokenClassification": (lambda: bytebpe(pad=True), roberta_config),
    "DistilBertForTokenClassification": (
        wordpiece,
        lambda n: transformers.DistilBertConfig(vocab_size=n, dim=32, n_layers=2, n_heads=4, hidden_dim=48, **COMMON),
    ),
    "XLNetForTokenClassification": (
        unigram,
        lambda n: transformers.XLNetConfig(vocab_size=n, d_model=32, n_layer=2, n_head=4, d_inner=48, **COMMON),
    ),
    "DebertaV2ForTokenClassification": (
        unigram,
        lambda n: transformers.DebertaV2Config(vocab_size=n, relative_attention=True, **COMMON, **SMALL),
    ),
}


def checkpoint(folder, kind):
    tokenizer, config = KINDS[kind]
    made = tokenizer()
    return save(folder, kind, config(len(made)), made)


def alone(folder, words):
    """The tag of the first token that stands in each word's own characters."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    text = " ".join(words)
    row = tokenizer(text, return_tensors="pt", return_offsets_mapping=True, return_special_tokens_mask=True)
    offsets, special = row.pop("offset_mapping")[0].tolist(), row.pop("special_tokens_mask")[0].tolist()
    if "distilbert" in model.config.model_type:
        row.pop("token_type_ids", None)
    with torch.no_grad():
        probs = model(**row).logits[0].softmax(-1)
    found, start = [], 0
    for word in words:
        end = start + len(word)
        at = next(
            n for n, (a, b) in enumerate(offsets)
            if not special[n] and text[a:b].strip() and start <= a + len(text[a:b]) - len(text[a:b].lstrip()) < end
        )  # fmt: skip
        found.append((NAMES[int(probs[at].argmax())], float(probs[at].max())))
        start = end + 1
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_one_sentence_at_a_time(tmp_path, kind):
    folder = checkpoint(tmp_path, kind)
    model = load(str(folder))
    assert model.about["head"] == "tagger"
    asked = [Tag(tuple(text.split())) for text in (TEXTS[4], TEXTS[0], "Paris unbelievable Berlin")]
    for request, answer in zip(asked, model.run(asked), strict=True):
        assert isinstance(answer, Tags), answer
        want = alone(folder, request.words)
        assert list(answer.names) == [name for name, _ in want]
        assert answer.probs == pytest.approx([share for _, share in want], abs=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("bert"), "BertForTokenClassification")


def test_odd_words_still_get_one_tag_each(folder):
    words = ("", "film", "\u200b", "new york", "\u0000")
    answer = load(str(folder)).run([Tag(words), Tag(())])
    assert len(answer[0].names) == 5
    assert (answer[0].names[0], answer[0].names[4]) == ("O", "O")
    assert answer[1].names == ()


def test_a_sentence_that_does_not_fit_is_an_error(folder):
    bad, good = load(str(folder)).run([Tag(tuple(LONG.split())), Tag(("film",))])
    assert isinstance(bad, Failed)
    assert "64" in bad.why
    assert isinstance(good, Tags)


def test_tags_can_be_renamed(folder):
    merged = load(str(folder), options=LoadOptions(labels={"B-PER": "PER", "I-PER": "PER"}))
    assert merged.about["labels"] == ["O", "PER", "B-LOC", "I-LOC"]
    assert set(merged.run([Tag(tuple(LONG.split()[:20]))])[0].names) <= set(merged.about["labels"])


def test_a_slow_tokenizer_is_refused(tmp_path):
    made = transformers.ByT5Tokenizer()
    save(tmp_path, "BertForTokenClassification", transformers.BertConfig(vocab_size=len(made), **COMMON, **SMALL), made)
    with pytest.raises(CannotMeasure, match="slow"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("tags", "want"),
    [
        ("O B-PER I-PER O", [("PER", 1, 3)]),
        ("B-PER B-PER I-PER", [("PER", 0, 1), ("PER", 1, 3)]),
        ("I-PER I-PER I-LOC", [("PER", 0, 2), ("LOC", 2, 3)]),
        ("S-PER B-LOC I-LOC E-LOC S-LOC", [("PER", 0, 1), ("LOC", 1, 4), ("LOC", 4, 5)]),
        ("U-PER B-LOC L-LOC", [("PER", 0, 1), ("LOC", 1, 3)]),
        ("PER PER O LOC", [("PER", 0, 2), ("LOC", 3, 4)]),
        ("E-PER E-PER", [("PER", 0, 1), ("PER", 1, 2)]),
        ("O O", []),
        ("", []),
    ],
)
def test_entities(tags, want):
    assert entities(tags.split()) == [Entity(*item) for item in want]
