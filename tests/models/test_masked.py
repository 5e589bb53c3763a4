"""The masked-language-model head against plain transformers, one masked position at a time."""

from __future__ import annotations

import difflib

import pytest
import torch
import transformers
from tinymodels import LONG, SHARED, SMALL, bytebpe, save, unigram, wordpiece
from transformers import AutoModelForMaskedLM, AutoTokenizer

from audit import CannotMeasure, Choices, Embed, Failed, Fill, Number, PseudoLogProb, Vector
from audit.models import load


def roberta():
    made = bytebpe(pad=True)
    made.add_special_tokens({"mask_token": "<mask>", "unk_token": "<|end|>"})
    return made


KINDS = {
    "BertForMaskedLM": (wordpiece, lambda n: transformers.BertConfig(vocab_size=n, **SMALL)),
    "RobertaForMaskedLM": (
        roberta,
        lambda n: transformers.RobertaConfig(vocab_size=n, max_position_embeddings=66, pad_token_id=2, **SMALL),
    ),
    "DistilBertForMaskedLM": (
        wordpiece,
        lambda n: transformers.DistilBertConfig(vocab_size=n, dim=32, n_layers=2, n_heads=4, hidden_dim=48),
    ),
    "AlbertForMaskedLM": (unigram, lambda n: transformers.AlbertConfig(vocab_size=n, embedding_size=16, **SMALL)),
    "ElectraForMaskedLM": (wordpiece, lambda n: transformers.ElectraConfig(vocab_size=n, embedding_size=16, **SMALL)),
    "DebertaV2ForMaskedLM": (
        unigram,
        lambda n: transformers.DebertaV2Config(vocab_size=n, relative_attention=True, pos_att_type=["p2c"], **SMALL),
    ),
    "ModernBertForMaskedLM": (
        wordpiece,
        lambda n: transformers.ModernBertConfig(vocab_size=n, pad_token_id=0, cls_token_id=2, sep_token_id=3, **SMALL),
    ),
}


def checkpoint(folder, kind):
    tokenizer, config = KINDS[kind]
    made = tokenizer()
    return save(folder, kind, config(len(made)), made)


class Plain:
    """One forward pass a question, nothing batched."""

    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()

    def at(self, ids, hidden, want):
        ids = list(ids)
        target = ids[want]
        for i in hidden:
            ids[i] = self.tokenizer.mask_token_id
        with torch.no_grad():
            return float(self.model(torch.tensor([ids])).logits[0, want].log_softmax(-1)[target])


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_one_mask_at_a_time(tmp_path, kind):
    folder = checkpoint(tmp_path, kind)
    plain, model = Plain(folder), load(str(folder))
    assert model.about["head"] == "masked"
    texts = ["the film is good", "she reads a book in the garden", "the room was dirty and the staff were rude"]
    for text, answer in zip(texts, model.run([PseudoLogProb(text) for text in texts]), strict=True):
        ids = plain.tokenizer(text)["input_ids"]
        inner = [i for i, t in enumerate(ids) if t not in plain.tokenizer.all_special_ids]
        assert isinstance(answer, Number), answer
        assert answer.tokens == len(inner)
        assert answer.value == pytest.approx(sum(plain.at(ids, [i], i) for i in inner), abs=1e-4)
    for text, choices in (("the [MASK] is good", ("film", "garden", "battery")), ("[MASK] was dirty", ("the room",))):
        answer = model.run([Fill(text, choices)])[0]
        assert isinstance(answer, Choices), answer
        before, after = text.split("[MASK]")
        for choice, got in zip(choices, answer.logprobs, strict=True):
            ids = plain.tokenizer(before + choice + after)["input_ids"]
            offsets = plain.tokenizer(before + choice + after, return_offsets_mapping=True)["offset_mapping"]
            start, end = len(before), len(before) + len(choice)
            inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start and b > a]
            assert got == pytest.approx(sum(plain.at(ids, inside[n:], i) for n, i in enumerate(inside)), abs=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("bert"), "BertForMaskedLM")


@pytest.fixture(scope="module")
def model(folder):
    return load(str(folder))


def test_only_shared_tokens_count(folder, model):
    one, two = "the film is good", "the room is good"
    plain = Plain(folder)
    ids, other = plain.tokenizer(one)["input_ids"], plain.tokenizer(two)["input_ids"]
    same = difflib.SequenceMatcher(None, list(map(str, ids)), list(map(str, other))).get_matching_blocks()
    at = [i for block in same for i in range(block.a, block.a + block.size) if 0 < i < len(ids) - 1]
    answer = model.run([PseudoLogProb(one, two)])[0]
    assert 0 < answer.tokens == len(at) < len(ids) - 2
    assert answer.value == pytest.approx(sum(plain.at(ids, [i], i) for i in at), abs=1e-4)


def test_choices_of_one_token_are_one_distribution(model):
    tokenizer = model.weights.encoder.tokenizer
    names = [t for t in tokenizer.get_vocab() if t.isalpha() and len(tokenizer.tokenize(t)) == 1]
    answer = model.run([Fill("the [MASK] is good", tuple(names))])[0]
    total = torch.tensor(answer.logprobs).exp().sum()
    assert 0.1 < total < 1.0001


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Fill("no mask here", ("a",)), "once"),
        (Fill("[MASK] and [MASK]", ("a",)), "once"),
        (Fill("a [MASK]", ("a", " ")), "white space"),
        (Fill("a [MASK]", ()), "white space"),
        (Fill("a [MASK] " + LONG, ("a",)), "more than the model"),
        (PseudoLogProb(LONG), "more than the model"),
        (PseudoLogProb(""), "nothing to sum"),
    ],
)
def test_what_cannot_be_answered_fails_alone(model, request_, said):
    other = Fill("a [MASK]", ("book",)) if isinstance(request_, Fill) else PseudoLogProb("a book")
    bad, good = model.run([request_, other])
    assert isinstance(bad, Failed)
    assert said in bad.why
    assert not isinstance(good, Failed)


def test_unknown_words_are_said(model):
    assert model.run([PseudoLogProb("the 电影")])[0].unknown == pytest.approx(0.4)
    assert model.run([Fill("the [MASK]", ("电影",))])[0].unknown == pytest.approx(0.4)


def test_vectors_too(model):
    assert isinstance(model.run([Embed("the film")])[0], Vector)


def test_no_mask_token_no_head(tmp_path):
    made = wordpiece()
    made.mask_token = None
    save(tmp_path, "BertForMaskedLM", transformers.BertConfig(vocab_size=len(made), **SMALL), made)
    with pytest.raises(CannotMeasure, match="mask token"):
        load(str(tmp_path))


def test_a_real_model_knows_which_word_fits():
    folder = SHARED / "models" / "minilm-mlm"
    if not folder.is_dir():
        pytest.skip("the shared model minilm-mlm is not beside this checkout")
    answer = load(str(folder)).run([Fill("this is one of the [MASK] films of the year.", ("best", "purple"))])[0]
    assert answer.logprobs[0] > answer.logprobs[1]
