"""The robustness suite on a tiny model of each head: its probes that fit run, the others say why not."""

from __future__ import annotations

import pytest
import transformers
from conftest import HOME
from served import Served
from tinymodels import SMALL, bert, bytebpe, save, unigram, wordpiece

from audit import plan, run

LENGTH = 256
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
SENTIMENT = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}


def encoder(folder, kind):
    return bert(folder, 2, kind)


def classifier(folder):
    tokenizer = wordpiece()
    config = transformers.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=LENGTH, **SENTIMENT, **SMALL)
    return save(folder, "BertForSequenceClassification", config, tokenizer)


def causal(folder):
    made = bytebpe(bos=True, pad=True, length=1024)
    ids = {"bos_token_id": made.bos_token_id, "eos_token_id": made.eos_token_id, "pad_token_id": made.pad_token_id}
    config = transformers.LlamaConfig(vocab_size=len(made), max_position_embeddings=1024, **ids, **SMALL)
    return save(folder, "LlamaForCausalLM", config, made)


def seq2seq(folder):
    made = unigram(length=512)
    return save(folder, "T5ForConditionalGeneration", transformers.T5Config(vocab_size=len(made), **T5), made)


HEADS = {
    "classifier": (classifier, {"clean", "typos", "upper_case"}),
    "tagger": (lambda f: encoder(f, "BertForTokenClassification"), {"tags"}),
    "qa": (lambda f: encoder(f, "BertForQuestionAnswering"), {"spans"}),
    "masked": (lambda f: encoder(f, "BertForMaskedLM"), {"cloze"}),
    "causal": (causal, {"generation", "typos", "clean"}),
    "seq2seq": (seq2seq, {"generation", "typos", "clean"}),
}
KEPT = {"clean", "typos", "upper_case", "tags", "spans", "cloze", "generation"}


@pytest.fixture(autouse=True)
def no_searches(monkeypatch):
    """One probe of each kind that the suite has, but for the searches, which ask thousands of requests."""
    read = plan.suite.load

    def load(reference):
        from dataclasses import replace

        found = read(reference)
        kept = tuple(e for e in found.sheet.probes if e.label in KEPT)
        names = {e.label for e in kept}
        across = tuple(a for a in found.sheet.across if set(a.probes) <= names)
        return replace(found, sheet=found.sheet.model_copy(update={"probes": kept, "across": across}))

    monkeypatch.setattr(plan.suite, "load", load)


def measured(model, out):
    spec = plan.Spec((str(HOME / "suites" / "robustness"),), str(model), limit=3, overlong="truncate")
    run.measure(run.start(spec, plan.prepare(spec), out))
    return run.conclude(out)


@pytest.mark.parametrize("head", HEADS)
def test_the_suite_runs_on_every_head(tmp_path, head):
    make, expected = HEADS[head]
    found = measured(make(tmp_path / "model"), tmp_path / "out")
    ran = {f.probe for f in found if f.value is not None}
    assert expected <= ran
    assert {f.reason for f in found if f.verdict == "error"} == set()
    missing = {f.probe: f.reason for f in found if f.verdict == "not_run"}
    assert all(missing.values())
    assert not {"tags", "spans", "cloze", "generation"} & ran - expected


def test_the_suite_runs_on_a_served_model(tmp_path):
    with Served(causal(tmp_path / "model")) as server:
        found = measured(server.name, tmp_path / "out")
    ran = {f.probe for f in found if f.value is not None}
    assert {"generation", "typos", "clean"} <= ran
    assert {f.reason for f in found if f.verdict == "error"} == set()
