"""The extractive question-answering head against plain transformers, one window at a time."""

from __future__ import annotations

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tinymodels import LONG, SMALL, TEXTS, bytebpe, save, unigram, wordpiece
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from audit import CannotMeasure, Failed, Span, SpanAnswer
from audit.models import load


def roberta_config(n):
    size = SMALL | {"max_position_embeddings": 66, "pad_token_id": 2, "type_vocab_size": 1}
    return transformers.RobertaConfig(vocab_size=n, **size)


KINDS = {
    "BertForQuestionAnswering": (wordpiece, lambda n: transformers.BertConfig(vocab_size=n, **SMALL)),
    "RobertaForQuestionAnswering": (lambda: bytebpe(pad=True), roberta_config),
    "DistilBertForQuestionAnswering": (
        wordpiece,
        lambda n: transformers.DistilBertConfig(vocab_size=n, dim=32, n_layers=2, n_heads=4, hidden_dim=48),
    ),
    "AlbertForQuestionAnswering": (
        lambda: unigram(length=256),
        lambda n: transformers.AlbertConfig(vocab_size=n, embedding_size=16, **SMALL),
    ),
}
CONTEXTS = [TEXTS[4], TEXTS[0], "Paris", TEXTS[5]]


def checkpoint(folder, kind):
    tokenizer, config = KINDS[kind]
    made = tokenizer()
    return save(folder, kind, config(len(made)), made)


def alone(folder, question, context):
    """Best span minus no answer, in one window, by plain loops."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder, dtype=torch.float32).eval()
    row = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    parts, offsets = row.sequence_ids(0), row.pop("offset_mapping")[0].tolist()
    if "distilbert" in model.config.model_type:
        row.pop("token_type_ids", None)
    with torch.no_grad():
        out = model(**row)
    starts, ends = out.start_logits[0].tolist(), out.end_logits[0].tolist()
    best = max(
        (starts[i] + ends[j], offsets[i][0], offsets[j][1])
        for i in range(len(parts)) for j in range(i, min(i + 30, len(parts)))
        if parts[i] == parts[j] == 1 and offsets[i][1] > offsets[i][0] and offsets[j][1] > offsets[j][0]
    )  # fmt: skip
    return best[0] - (starts[0] + ends[0]), best[1], best[2]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_one_context_at_a_time(tmp_path, kind):
    folder = checkpoint(tmp_path, kind)
    model = load(str(folder))
    assert model.about["head"] == "qa"
    asked = [Span("the capital of France", context) for context in CONTEXTS]
    for request, answer in zip(asked, model.run(asked), strict=True):
        assert isinstance(answer, SpanAnswer), answer
        score, start, end = alone(folder, request.question, request.context)
        assert answer.score == pytest.approx(score, abs=1e-4)
        if score >= 0:
            assert (answer.start, answer.end) == (start, end)
            assert answer.text == request.context[start:end]
        else:
            assert answer.text == ""


@pytest.fixture
def folder(tmp_path):
    return checkpoint(tmp_path, "BertForQuestionAnswering")


def test_windows_cover_every_token_and_fit(folder):
    model = load(str(folder))
    question = "the capital of France"
    windows = model.windows(question, LONG)
    assert len(windows) > 3
    assert all(len(window.ids) <= 64 for window in windows)
    seen = {span for window in windows for span in window.spans if span}
    row = AutoTokenizer.from_pretrained(folder)(LONG, return_offsets_mapping=True, verbose=False)
    assert seen == {tuple(span) for span in row["offset_mapping"][1:-1]}


def point_at(folder, piece):
    """Weights without attention whose scores are high at one token and alike at all others."""
    weights = load_file(folder / "model.safetensors")
    needle = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(piece)
    for name, weight in weights.items():
        if name.startswith("bert.encoder"):
            weight[:] = 1.0 if "LayerNorm.weight" in name else 0.0
        if "position_embeddings" in name or "token_type" in name:
            weight[:] = 0.0
    table = weights["bert.embeddings.word_embeddings.weight"]
    table[:] = torch.randn(table.shape, generator=torch.Generator().manual_seed(1))
    table[needle] = 0.0
    table[needle, :2] = torch.tensor([20.0, -20.0])
    weights["qa_outputs.weight"][:] = 0.0
    weights["qa_outputs.weight"][:, :2] = torch.tensor([1.0, -1.0])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return load(str(folder))


def test_a_long_context_is_searched_to_its_end(folder):
    model = point_at(folder, "paris")
    words = ["film"] * 400
    for at in (0, 137, 399):
        context = " ".join([*words[:at], "Paris", *words[at + 1 :]])
        answer = model.run([Span("the book", context)])[0]
        assert answer.text == "Paris"
        assert answer.start == 5 * at


def test_no_answer_is_an_empty_text(folder):
    nothing, something = point_at(folder, "[CLS]").run([Span("the book", TEXTS[0])]), point_at(folder, "film")
    assert (nothing[0].text, nothing[0].start, nothing[0].end) == ("", 0, 0)
    assert nothing[0].score < 0 < something.run([Span("the book", TEXTS[0])])[0].score


@pytest.mark.parametrize(("question", "context"), [("the book", ""), (LONG, "the film"), ("the book", "\u0000")])
def test_what_cannot_be_asked_fails_alone(folder, question, context):
    bad, good = load(str(folder)).run([Span(question, context), Span("the book", "the film")])
    assert isinstance(bad, Failed)
    assert isinstance(good, SpanAnswer)


def test_broken_weights_are_never_an_answer(folder):
    weights = load_file(folder / "model.safetensors")
    weights["qa_outputs.bias"][:] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "not finite" in load(str(folder)).run([Span("the book", "the film")])[0].why


def test_a_slow_tokenizer_is_refused(tmp_path):
    made = transformers.ByT5Tokenizer()
    save(tmp_path, "BertForQuestionAnswering", transformers.BertConfig(vocab_size=len(made), **SMALL), made)
    with pytest.raises(CannotMeasure, match="slow"):
        load(str(tmp_path))
