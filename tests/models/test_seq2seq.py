"""The sequence-to-sequence head against plain transformers, one target at a time."""

from __future__ import annotations

import pytest
import torch
import transformers
from tinymodels import LONG, TEXTS, save, unigram
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.modeling_outputs import BaseModelOutput

from audit import CannotMeasure, Embed, Failed, Generate, LogProb, Number, Text, Vector
from audit.models import LoadOptions, load

BART = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64, "forced_eos_token_id": None,
    "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0, "decoder_start_token_id": 1,
}  # fmt: skip
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
KINDS = {
    "T5ForConditionalGeneration": ("T5Config", T5),
    "BartForConditionalGeneration": ("BartConfig", BART),
    "MarianMTModel": ("MarianConfig", BART | {"decoder_start_token_id": 0, "forced_eos_token_id": None}),
    "MBartForConditionalGeneration": ("MBartConfig", BART),
}
ASKED = [
    *(LogProb(TEXTS[0], end) for end in ("a film", "the book and the dinner", "good")),
    LogProb("", "the room"),
    LogProb("one two", "three four five"),
]
PROMPTS = [TEXTS[0], "Paris", TEXTS[3] + " and", "one two three"]


def checkpoint(folder, kind):
    made = unigram()
    config, settings = KINDS[kind]
    return save(folder, kind, getattr(transformers, config)(vocab_size=len(made), **settings), made)


class Plain:
    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.start = self.model.config.decoder_start_token_id

    def log_prob(self, prefix, text):
        target = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        source = self.tokenizer(prefix, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            given = torch.tensor([[self.start, *target[:-1]]])
            scores = self.model(input_ids=source, decoder_input_ids=given).logits[0].log_softmax(-1)
        return sum(float(scores[i, token]) for i, token in enumerate(target))

    def generated(self, prompt, limit):
        source = self.tokenizer(prompt, return_tensors="pt")["input_ids"]
        ids = [self.start]
        with torch.no_grad():
            states = BaseModelOutput(last_hidden_state=self.model.get_encoder()(source).last_hidden_state)
            for _ in range(limit):
                out = self.model(encoder_outputs=states, decoder_input_ids=torch.tensor([ids]), use_cache=False)
                best = int(out.logits[0, -1].argmax())
                if best == self.tokenizer.eos_token_id:
                    break
                ids.append(best)
        return self.tokenizer.decode(ids[1:], skip_special_tokens=True, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_one_text_at_a_time(tmp_path, kind):
    folder = checkpoint(tmp_path, kind)
    plain, model = Plain(folder), load(str(folder))
    assert model.about["head"] == "seq2seq"
    for request, answer in zip(ASKED, model.run(ASKED), strict=True):
        assert isinstance(answer, Number), answer
        assert answer.value == pytest.approx(plain.log_prob(request.prefix, request.text), abs=1e-4)
    for prompt, answer in zip(PROMPTS, model.run([Generate(p, limit=8) for p in PROMPTS]), strict=True):
        assert isinstance(answer, Text), answer
        assert answer.text == plain.generated(prompt, 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("bart"), "BartForConditionalGeneration")


@pytest.fixture(scope="module")
def model(folder):
    return load(str(folder))


def test_what_does_not_fit_fails_alone(folder, model):
    long, empty, good = model.run([LogProb(LONG, "a"), LogProb("a", ""), LogProb("a", "b")])
    assert isinstance(long, Failed)
    assert "64" in long.why
    assert isinstance(empty, Failed)
    assert isinstance(good, Number)
    assert isinstance(model.run([Generate(LONG)])[0], Failed)
    cut = load(str(folder), options=LoadOptions(overlong="truncate")).run([LogProb(LONG, "a"), LogProb("a", LONG)])
    assert cut[0].dropped > 0
    assert isinstance(cut[1], Failed)


def test_samples_follow_their_own_seed(model):
    asked = [Generate(p, limit=6, sample=n) for n, p in enumerate(PROMPTS, start=1)]
    assert [model.run([request])[0].text for request in asked] == [a.text for a in model.run(asked)]


def test_vectors_are_the_encoders(folder, model):
    plain = Plain(folder)
    with torch.no_grad():
        states = plain.model.get_encoder()(**plain.tokenizer(TEXTS[0], return_tensors="pt")).last_hidden_state
    answer = model.run([Embed(TEXTS[0]), Embed("a")])[0]
    assert isinstance(answer, Vector)
    assert answer.values == pytest.approx(states[0].mean(0).tolist(), abs=1e-4)


def test_a_decoder_that_cannot_start(tmp_path):
    made = unigram()
    config = transformers.T5Config(vocab_size=len(made), **(T5 | {"decoder_start_token_id": None}))
    save(tmp_path, "T5ForConditionalGeneration", config, made)
    (tmp_path / "generation_config.json").unlink(missing_ok=True)
    with pytest.raises(CannotMeasure, match="decoder_start_token_id"):
        load(str(tmp_path))
