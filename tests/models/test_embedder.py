"""The sentence-encoder head: pooling as the model's own files say."""

from __future__ import annotations

import json

import pytest
import torch
from tinymodels import LONG, SHARED, TEXTS, bert
from transformers import AutoModel, AutoTokenizer

from audit import CannotMeasure, Embed
from audit.models import load


@pytest.fixture
def folder(tmp_path):
    return bert(tmp_path, kind="BertModel")


def states(folder, text, **how):
    with torch.no_grad():
        row = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", **how)
        return AutoModel.from_pretrained(folder, dtype=torch.float32).eval()(**row).last_hidden_state[0]


def describe(folder, pooling, *more):
    modules = [{"type": "sentence_transformers.models.Transformer", "path": ""}]
    modules.append({"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"})
    modules += [{"type": f"sentence_transformers.models.{name}", "path": name} for name in more]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def test_without_files_it_is_the_mean(folder):
    model = load(str(folder))
    assert model.about["head"] == "embedder"
    assert any("modules.json" in note for note in model.about["notes"])
    for text, answer in zip(TEXTS[:4], model.run([Embed(text) for text in TEXTS[:4]]), strict=True):
        assert answer.values == pytest.approx(states(folder, text).mean(0).tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("mode", "want"),
    [
        ("pooling_mode_cls_token", lambda s: s[0]),
        ("pooling_mode_mean_tokens", lambda s: s.mean(0)),
        ("pooling_mode_max_tokens", lambda s: s.amax(0)),
        ("pooling_mode_lasttoken", lambda s: s[-1]),
        ("pooling_mode_mean_sqrt_len_tokens", lambda s: s.sum(0) / len(s) ** 0.5),
    ],
)
def test_pooling_comes_from_the_files(folder, mode, want):
    describe(folder, {mode: True}, "Normalize")
    for text, answer in zip(TEXTS[:4], load(str(folder)).run([Embed(text) for text in TEXTS[:4]]), strict=True):
        vector = want(states(folder, text))
        assert answer.values == pytest.approx((vector / vector.norm()).tolist(), abs=1e-4)


def test_two_poolings_are_concatenated(folder):
    describe(folder, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True})
    answer = load(str(folder)).run([Embed(TEXTS[0])])[0]
    found = states(folder, TEXTS[0])
    assert answer.values == pytest.approx(torch.cat([found[0], found.mean(0)]).tolist(), abs=1e-4)


def test_the_models_own_longest_text_and_prompt(folder):
    describe(folder, {"pooling_mode_mean_tokens": True})
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    settings = {"prompts": {"query": "the book "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    model = load(str(folder))
    assert model.about["context"] == 16
    short, long = model.run([Embed("film"), Embed(LONG)])
    assert short.values == pytest.approx(states(folder, "the book film").mean(0).tolist(), abs=1e-4)
    cut = states(folder, "the book " + LONG, truncation=True, max_length=16)
    assert long.values == pytest.approx(cut.mean(0).tolist(), abs=1e-4)
    assert long.dropped > 100


def test_a_module_that_is_not_known_is_refused(folder):
    describe(folder, {"pooling_mode_mean_tokens": True}, "Dense")
    with pytest.raises(CannotMeasure, match="'Dense'"):
        load(str(folder))


def test_a_real_encoder_puts_like_near_like():
    folder = SHARED / "models" / "minilm-encoder"
    if not folder.is_dir():
        pytest.skip("the shared model minilm-encoder is not beside this checkout")
    texts = ["the food was delicious", "we enjoyed a tasty meal", "the train to Berlin is late"]
    a, b, c = (torch.tensor(x.values) for x in load(str(folder)).run([Embed(text) for text in texts]))
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(a, b, dim=0) > cosine(a, c, dim=0) + 0.2
