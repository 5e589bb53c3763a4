"""The classification head against plain transformers, one text at a time."""

from __future__ import annotations

import json
import math

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tinymodels import LONG, SHARED, SMALL, TEXTS, bert, bytebpe, save, unigram, wordpiece
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from audit import CannotMeasure, Classify, Embed, Failed, Gradient, Labels, Saliency, UsageError, Vector
from audit.models import LoadOptions, load

NAMES = {0: "negative", 1: "positive"}
COMMON = {"id2label": NAMES, "label2id": {"negative": 0, "positive": 1}}
WORDS = [" ".join(TEXTS[0].split()[:n]) for n in range(1, 11)] + TEXTS[:8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def model(folder):
    return load(str(folder))


def alone(folder, text, pair=None, **how):
    """Logits by plain transformers, without padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        row = tokenizer(text, pair, return_tensors="pt", **how)
        if isinstance(found, transformers.DistilBertForSequenceClassification):
            row.pop("token_type_ids", None)
        return found(**row).logits[0].tolist()


def small(kind, tokenizer, **more):
    return getattr(transformers, kind)(vocab_size=len(tokenizer), **COMMON, **more)


def architectures():
    w, b, u = wordpiece, bytebpe, unigram
    robert = SMALL | {"max_position_embeddings": 66, "pad_token_id": 2, "type_vocab_size": 1}
    yield "BertForSequenceClassification", w, lambda t: small("BertConfig", t, **SMALL)
    yield "RobertaForSequenceClassification", lambda: b(pad=True), lambda t: small("RobertaConfig", t, **robert)
    yield (
        "DistilBertForSequenceClassification",
        w,
        lambda t: small("DistilBertConfig", t, dim=32, n_layers=2, n_heads=4, hidden_dim=48),
    )
    yield "AlbertForSequenceClassification", u, lambda t: small("AlbertConfig", t, embedding_size=16, **SMALL)
    yield "ElectraForSequenceClassification", w, lambda t: small("ElectraConfig", t, embedding_size=16, **SMALL)
    yield (
        "XLNetForSequenceClassification",
        u,
        lambda t: small("XLNetConfig", t, d_model=32, n_layer=2, n_head=4, d_inner=48, pad_token_id=0),
    )
    yield (
        "DebertaV2ForSequenceClassification",
        u,
        lambda t: small("DebertaV2Config", t, relative_attention=True, pos_att_type=["p2c", "c2p"], **SMALL),
    )
    yield (
        "ModernBertForSequenceClassification",
        w,
        lambda t: small("ModernBertConfig", t, pad_token_id=0, cls_token_id=2, sep_token_id=3, **SMALL),
    )
    yield "GPT2ForSequenceClassification", b, lambda t: small("GPT2Config", t, n_embd=32, n_layer=2, n_head=4)
    yield (
        "LlamaForSequenceClassification",
        lambda: b(bos=True),
        lambda t: small("LlamaConfig", t, num_key_value_heads=2, **SMALL),
    )
    yield (
        "BartForSequenceClassification",
        u,
        lambda t: small(
            "BartConfig", t, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, pad_token_id=0, eos_token_id=1,
            bos_token_id=1, decoder_start_token_id=1, forced_eos_token_id=1,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "tokenizer", "config"), list(architectures()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_batched_answers_are_those_of_one_text_at_a_time(tmp_path, kind, tokenizer, config):
    made = tokenizer()
    folder = save(tmp_path, kind, config(made), made)
    found = load(str(folder)).run([Classify(text) for text in WORDS])
    for text, answer in zip(WORDS, found, strict=True):
        assert isinstance(answer, Labels), answer
        assert answer.logits == pytest.approx(alone(folder, text), abs=1e-4)
        assert sum(answer.probs) == pytest.approx(1)
        assert answer.names == ("negative", "positive")


def test_pairs_carry_their_segments(folder, model):
    asked = [Classify("the film", "the book is good"), Classify("the film"), Classify("a dirty room", "the garden")]
    found = model.run(asked)
    for request, answer in zip(asked, found, strict=True):
        assert answer.logits == pytest.approx(alone(folder, request.text, request.pair or None), abs=1e-4)
    assert model.run([Classify("the film the book")])[0].logits != pytest.approx(found[0].logits, abs=1e-3)


def test_whatever_the_batch_the_answer_is_the_same(folder):
    wide, narrow = (load(str(folder), options=LoadOptions(batch_tokens=n)) for n in (100_000, 1))
    some = [Classify(text) for text in WORDS]
    for one, other in zip(wide.run(some), narrow.run(some[::-1])[::-1], strict=True):
        assert one.probs == pytest.approx(other.probs, abs=1e-4)


def test_a_cut_text_says_how_much_was_cut(folder, model):
    tokens = len(AutoTokenizer.from_pretrained(folder)(LONG, verbose=False)["input_ids"])
    cut, whole = model.run([Classify(LONG), Classify(TEXTS[0])])
    assert (cut.dropped, whole.dropped) == (tokens - 64, 0)
    assert cut.logits == pytest.approx(alone(folder, LONG, truncation=True, max_length=64), abs=1e-4)
    assert model.run([Embed(LONG)])[0].dropped == model.run([Gradient(LONG, "A")])[0].dropped == tokens - 64


def test_texts_that_are_one_to_the_tokenizer_tie_exactly_across_batches(folder, model):
    alone_first = model.run([Classify(TEXTS[0])])[0]
    beside = model.run([Classify(text) for text in [*TEXTS[1:], TEXTS[0].upper() if lower(folder) else TEXTS[0], LONG]])
    assert beside[len(TEXTS) - 1] == alone_first


def lower(folder):
    return AutoTokenizer.from_pretrained(folder)("A").input_ids == AutoTokenizer.from_pretrained(folder)("a").input_ids


def test_cut_texts_can_be_errors(folder):
    strict = load(str(folder), options=LoadOptions(overlong="error"))
    for asked in (Classify, Embed):
        cut, whole, same = strict.run([asked(LONG), asked(TEXTS[0]), asked(LONG)])
        assert isinstance(cut, Failed)
        assert cut == same
        assert "64" in cut.why
        assert not isinstance(whole, Failed)
    skipping = load(str(folder), options=LoadOptions(overlong="skip"))
    assert [skipping.run([Classify(LONG)])[0].skip, strict.run([Classify(LONG)])[0].skip] == [True, False]
    cut, whole = strict.run([Gradient(LONG, "A"), Gradient(TEXTS[0], "A")])
    assert isinstance(cut, Failed)
    assert isinstance(whole, Saliency)


def test_unknown_text_is_measured(model):
    shares = [
        a.unknown for a in model.run([Classify("the film"), Classify("the 电影"), Classify("电影"), Classify("")])
    ]
    assert shares == pytest.approx([0, 2 / 5, 1, 0])


def test_an_unknown_run_that_became_one_token_counts_all_its_characters(tmp_path):
    made = unigram()
    folder = save(tmp_path, "AlbertForSequenceClassification", small("AlbertConfig", made, **SMALL), made)
    known, lost = load(str(folder)).run([Classify("the film"), Classify("the 电影很好看的")])
    assert known.unknown == 0
    assert lost.unknown == pytest.approx(6 / 9)


def test_a_text_of_which_no_token_is_left_is_wholly_unknown(model):
    assert model.run([Classify("\u0000\u0001")])[0].unknown == 1.0


def test_a_slow_tokenizer_works_and_cannot_answer_gradients(tmp_path):
    made = transformers.ByT5Tokenizer(model_max_length=64)
    folder = save(tmp_path, "BertForSequenceClassification", small("BertConfig", made, **SMALL), made)
    found = load(str(folder))
    assert Gradient not in found.answers
    assert any("offsets" in note for note in found.about["notes"])
    long, short = found.run([Classify(LONG), Classify("the film")])
    assert long.dropped > 1000
    assert short.logits == pytest.approx(alone(folder, "the film"), abs=1e-4)


def test_lone_surrogates_are_text_like_any_other(model):
    assert isinstance(model.run([Classify("the \ud800 film"), Classify("the film")])[0], Labels)


def test_label_names_can_be_renamed_and_merged(folder):
    plain = load(str(folder)).run([Classify(TEXTS[0])])[0]
    merged = load(str(folder), options=LoadOptions(labels={"A": "bad", "C": "bad"})).run([Classify(TEXTS[0])])[0]
    assert merged.names == ("bad", "B")
    assert merged.of("bad") == pytest.approx(plain.of("A") + plain.of("C"))
    assert merged.of("B") == pytest.approx(plain.of("B"))
    with pytest.raises(UsageError, match="no label 'D'"):
        load(str(folder), options=LoadOptions(labels={"D": "bad"}))


def test_one_yes_or_no_logit_is_two_labels(tmp_path):
    folder = bert(tmp_path, 1, problem_type="multi_label_classification")
    answer = load(str(folder)).run([Classify(TEXTS[0])])[0]
    assert answer.names == ("not A", "A")
    assert answer.of("A") == pytest.approx(1 / (1 + math.exp(-alone(folder, TEXTS[0])[0])))


@pytest.mark.parametrize(
    ("labels", "problem", "said"),
    [(3, "multi_label_classification", "multi-label"), (1, None, "regression"), (1, "regression", "regression")],
)
def test_models_without_one_label_a_text_are_refused(tmp_path, labels, problem, said):
    with pytest.raises(CannotMeasure, match=said):
        load(str(bert(tmp_path, labels, problem_type=problem)))


def test_broken_weights_fail_each_request_and_are_never_a_number(tmp_path):
    folder = bert(tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][1] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    found = load(str(folder)).run([Classify("the film"), Classify("a book")])
    assert all(isinstance(answer, Failed) and "not finite" in answer.why for answer in found)
    weights["bert.embeddings.word_embeddings.weight"][:] = float("inf")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    broken = load(str(folder))
    assert isinstance(broken.run([Embed("the film")])[0], Failed)
    assert isinstance(broken.run([Gradient("the film", "A")])[0], Failed)


def test_embeddings_are_the_mean_of_the_last_states(folder, model):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    for text, answer in zip(WORDS, model.run([Embed(text) for text in WORDS]), strict=True):
        assert isinstance(answer, Vector)
        with torch.no_grad():
            states = plain.bert(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        assert answer.values == pytest.approx(states.mean(0).tolist(), abs=1e-4)


def test_gradients_agree_with_moving_the_embeddings(folder, model):
    text = "the film is a quiet story"
    answer = model.run([Gradient(text, "B"), Gradient(TEXTS[3], "A")])[0]
    assert isinstance(answer, Saliency)
    assert "".join(text[a:b] for a, b in answer.spans) == text.replace(" ", "")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    row = tokenizer(text, return_tensors="pt")
    table = plain.get_input_embeddings()
    inputs = table(row["input_ids"]).detach().double().requires_grad_(True)
    plain.double()(inputs_embeds=inputs, attention_mask=row["attention_mask"]).logits.log_softmax(-1)[
        0, 1
    ].neg().backward()
    assert answer.norms == pytest.approx(inputs.grad[0, 1:-1].norm(dim=-1).tolist(), rel=1e-3, abs=1e-6)


def test_flips_are_the_first_order_estimate_over_the_vocabulary(folder, model):
    text = "the film is good"
    answer = model.run([Gradient(text, "B", flips=3)])[0]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    row, table = tokenizer(text, return_tensors="pt"), plain.get_input_embeddings()
    inputs = table(row["input_ids"]).detach().requires_grad_(True)
    plain(inputs_embeds=inputs).logits.log_softmax(-1)[0, 1].neg().backward()
    ids = row["input_ids"][0].tolist()
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    for at, flips in enumerate(answer.flips, start=1):
        gains = ((table.weight - table.weight[ids[at]]) @ inputs.grad[0, at]).tolist()
        initial = not pieces[ids[at]].startswith("##")
        can = [
            i for i, p in enumerate(pieces)
            if i != ids[at] and p.startswith("##") != initial and p.removeprefix("##").isalpha()
        ]  # fmt: skip
        best = sorted(can, key=lambda i: -gains[i])[:3]
        assert [name for name, _ in flips] == [pieces[i].removeprefix("##") for i in best]
        assert [gain for _, gain in flips] == pytest.approx([gains[i] for i in best], abs=1e-5)


def test_a_gradient_for_a_label_that_is_not_there_fails_alone(model):
    bad, good = model.run([Gradient("the film", "Z"), Gradient("the film", "A")])
    assert isinstance(bad, Failed)
    assert "'Z'" in bad.why
    assert isinstance(good, Saliency)


def test_texts_that_the_tokenizer_cannot_tell_apart_get_one_answer(model):
    lower, upper = model.run([Classify("the film"), Classify("THE FILM")])
    assert lower == upper


def test_what_run_json_says(folder, model):
    about = model.about
    json.dumps(about)
    assert about["architecture"] == "BertForSequenceClassification"
    assert (about["head"], about["dtype"], about["device"], about["context"]) == ("classifier", "float32", "cpu", 64)
    assert about["labels"] == ["A", "B", "C"]
    assert len(about["weights_hash"]) == 64


def test_a_half_precision_checkpoint_is_float32_on_a_cpu(tmp_path):
    folder = bert(tmp_path)
    transformers.BertForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    assert load(str(folder)).about["dtype"] == "float32"
    assert load(str(folder), options=LoadOptions(dtype="bfloat16")).about["dtype"] == "bfloat16"


def test_a_real_model_says_what_it_is_known_to_say():
    folder = SHARED / "models" / "minilm-sentiment"
    if not folder.is_dir():
        pytest.skip("the shared model minilm-sentiment is not beside this checkout")
    found = load(str(folder))
    texts = ["a moving and wonderful film", "a boring, terrible mess", "电影很好看"]
    good, bad, chinese = found.run([Classify(text) for text in texts])
    assert (good.top, bad.top) == ("positive", "negative")
    assert chinese.unknown > 0.2
    assert good.logits == pytest.approx(alone(folder, texts[0]), abs=1e-4)
