"""The causal-language-model head against plain transformers, one text at a time, nothing padded and nothing cached."""

from __future__ import annotations

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tinymodels import LONG, SMALL, TEXTS, bytebpe, save, unigram
from transformers import AutoModelForCausalLM, AutoTokenizer

from audit import CannotMeasure, Embed, Failed, Generate, LogProb, Number, Text, UsageError, Vector
from audit.models import LoadOptions, load

GQA = SMALL | {"num_key_value_heads": 2, "head_dim": 8}
MOE = GQA | {"num_experts_per_tok": 2, "moe_intermediate_size": 24}


def sentencepiece():
    made = unigram(length=256)
    made.add_special_tokens({"bos_token": "</s>"})
    return made


def bpe(**more):
    return lambda: bytebpe(length=256, **more)


KINDS = {
    "GPT2LMHeadModel": (bpe(), "GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}, True),
    "LlamaForCausalLM": (bpe(bos=True), "LlamaConfig", GQA, True),
    "MistralForCausalLM": (bpe(bos=True, pad=True), "MistralConfig", GQA | {"sliding_window": 40}, True),
    "Qwen2ForCausalLM": (bpe(pad=True), "Qwen2Config", SMALL | {"num_key_value_heads": 2}, True),
    "Qwen3ForCausalLM": (bpe(), "Qwen3Config", GQA, True),
    "Gemma2ForCausalLM": (sentencepiece, "Gemma2Config", GQA | {"sliding_window": 8}, False),
    "Gemma3ForCausalLM": (sentencepiece, "Gemma3TextConfig", GQA | {"sliding_window": 64, "pad_token_id": 0}, True),
    "MixtralForCausalLM": (bpe(), "MixtralConfig", GQA | {"num_local_experts": 4, "sliding_window": None}, True),
    "Qwen3MoeForCausalLM": (bpe(), "Qwen3MoeConfig", MOE | {"num_experts": 4}, True),
    "GPTNeoXForCausalLM": (bpe(), "GPTNeoXConfig", SMALL, True),
    "BloomForCausalLM": (bpe(), "BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}, True),
    "OPTForCausalLM": (
        bpe(bos=True),
        "OPTConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 48, "word_embed_proj_dim": 32},
        True,
    ),
    "MambaForCausalLM": (
        bpe(),
        "MambaConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "time_step_rank": 4},
        False,
    ),
    "Lfm2ForCausalLM": (bpe(), "Lfm2Config", GQA | {"layer_types": ["conv", "full_attention"]}, False),
}
STEM = "she reads a book in the garden while he cooks the dinner and the staff"
ASKED = [
    *(LogProb(STEM, end) for end in (" were rude", " comes again", " a", " b", " one two three four five")),
    *(LogProb(f"{STEM} were rude and the room", end) for end in (" was dirty", " was quiet")),
    LogProb("", "Paris is the capital"),
    LogProb("the film ", "is good"),
    LogProb("good food and", " friendly people, we will come again"),
    LogProb("a", "b"),
]
PROMPTS = [TEXTS[0], "Paris", TEXTS[3] + " and", "one two three", "she"]


def checkpoint(folder, kind):
    tokenizer, config, settings, _ = KINDS[kind]
    made = tokenizer()
    ids = {"eos_token_id": made.eos_token_id, "bos_token_id": made.bos_token_id}
    config = getattr(transformers, config)(vocab_size=len(made), **({"pad_token_id": None} | ids | settings))
    return save(folder, kind, config, made)


class Plain:
    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.ends = self.tokenizer("a")["input_ids"][-1] == self.tokenizer.eos_token_id

    def ids(self, text):
        ids = self.tokenizer(text)["input_ids"]
        return ids[:-1] if self.ends else ids

    def log_prob(self, prefix, text):
        kept = prefix.rstrip()
        whole, before = self.ids(kept + prefix[len(kept) :] + text), self.ids(kept)
        if not kept and not before:
            whole, before = [self.tokenizer.bos_token_id, *whole], [self.tokenizer.bos_token_id]
        with torch.no_grad():
            scores = self.model(torch.tensor([whole])).logits[0].log_softmax(-1)
        return sum(float(scores[i - 1, whole[i]]) for i in range(len(before), len(whole)))

    def continued(self, prompt, limit):
        ids = self.ids(prompt)
        for _ in range(limit):
            with torch.no_grad():
                best = int(self.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            if best == self.tokenizer.eos_token_id:
                break
            ids.append(best)
        new = ids[len(self.ids(prompt)) :]
        return self.tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False), len(new)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_one_text_at_a_time(tmp_path, kind):
    folder = checkpoint(tmp_path, kind)
    plain, model = Plain(folder), load(str(folder), options=LoadOptions(batch_tokens=128))
    assert model.about["head"] == "causal"
    assert model.about["prefix_reuse"].startswith("on") is KINDS[kind][3], model.about["prefix_reuse"]
    for request, answer in zip(ASKED, model.run(ASKED), strict=True):
        assert isinstance(answer, Number), answer
        assert answer.value == pytest.approx(plain.log_prob(request.prefix, request.text), abs=1e-4), request
    for prompt, answer in zip(PROMPTS, model.run([Generate(p, limit=8) for p in PROMPTS]), strict=True):
        assert isinstance(answer, Text), answer
        assert (answer.text, answer.tokens) == plain.continued(prompt, 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("llama"), "LlamaForCausalLM")


@pytest.fixture(scope="module")
def model(folder):
    return load(str(folder))


def test_reuse_is_used_and_changes_nothing(folder, monkeypatch):
    model = load(str(folder))
    shared = []
    whole = type(model.reuse).shared
    monkeypatch.setattr(type(model.reuse), "shared", lambda *a: shared.append(a[1]) or whole(*a))
    on = model.run(ASKED)
    assert shared
    model.reuse.reason = "off for this test"
    off = model.run(ASKED)
    assert len(shared) == 1
    assert [a.value for a in on] == pytest.approx([a.value for a in off], abs=1e-4)


def test_an_expanded_cache_is_bounded(folder):
    one, other = load(str(folder)), load(str(folder))
    other.reuse.kept = 1
    assert [a.value for a in one.run(ASKED)] == pytest.approx([a.value for a in other.run(ASKED)], abs=1e-4)


def test_samples_follow_their_own_seed_in_any_company(model):
    asked = [Generate(PROMPTS[i % 5], limit=6, sample=i + 1) for i in range(10)]
    together = model.run(asked)
    assert together == model.run(asked)
    for request, answer in zip(asked, together, strict=True):
        alone = model.run([request])[0]
        assert alone.text == answer.text
        assert alone.logprob == pytest.approx(answer.logprob, abs=1e-3)
    assert len({a.text for a in model.run([Generate("she", limit=6, sample=n) for n in range(1, 30)])}) > 15


def test_samples_have_the_models_distribution(folder, model):
    plain = Plain(folder)
    with torch.no_grad():
        probs = plain.model(torch.tensor([plain.ids("she")])).logits[0, -1].softmax(-1)
    answers = model.run([Generate("she", limit=1, sample=n) for n in range(1, 2001)])
    likeliest = int(probs.argmax())
    text = plain.tokenizer.decode([likeliest])
    same = sum(float(p) for i, p in enumerate(probs) if plain.tokenizer.decode([i]) == text)
    share = sum(a.text == text for a in answers) / 2000
    assert share == pytest.approx(same, abs=0.045)


def test_the_log_probability_of_what_was_written(folder, model):
    answer = model.run([Generate(TEXTS[0], limit=5)])[0]
    assert answer.tokens == 5
    assert answer.logprob < 0
    plain = Plain(folder)
    ids = plain.ids(TEXTS[0])
    total = 0.0
    for _ in range(5):
        with torch.no_grad():
            scores = plain.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        ids.append(int(scores.argmax()))
        total += float(scores.max())
    assert answer.logprob == pytest.approx(total, abs=1e-3)


def test_stop_strings_end_the_text(model):
    prompt, whole = max(
        ((p, model.run([Generate(p, limit=12)])[0].text) for p in PROMPTS), key=lambda pair: len(pair[1])
    )
    stop = whole[len(whole) // 2 :][:2]
    assert stop
    cut = model.run([Generate(prompt, limit=12, stop=(stop,)), Generate(prompt, limit=12)])
    assert cut[0].text == whole[: whole.index(stop)]
    assert cut[1].text == whole


def test_each_row_has_its_own_limit(model):
    short, long = model.run([Generate("she", limit=2), Generate("she", limit=9)])
    assert (short.tokens, long.tokens) == (2, 9)


def test_an_overlong_text_is_an_error_unless_it_may_be_cut(folder, model):
    tokens = len(AutoTokenizer.from_pretrained(folder)(LONG + " good")["input_ids"])
    bad, good = model.run([LogProb(LONG, " good"), LogProb("she", " reads")])
    assert isinstance(bad, Failed)
    assert "256" in bad.why
    assert isinstance(good, Number)
    assert isinstance(model.run([Generate(LONG)])[0], Failed)
    skipping = load(str(folder), options=LoadOptions(overlong="skip"))
    assert all(answer.skip for answer in skipping.run([LogProb(LONG, " good")]) + skipping.run([Generate(LONG)]))
    cutting = load(str(folder), options=LoadOptions(overlong="truncate"))
    cut = cutting.run([LogProb(LONG, " good")])[0]
    assert isinstance(cut, Number)
    assert cut.dropped == tokens - 1 - 256
    assert isinstance(cutting.run([Generate(LONG, limit=8)])[0], Text)


def test_empty_texts(model):
    assert isinstance(model.run([LogProb("a", "")])[0], Failed)
    assert isinstance(model.run([Generate("", limit=2)])[0], Text)


def test_vectors_too(model):
    assert isinstance(model.run([Embed("the film")])[0], Vector)


def test_broken_weights_are_never_a_number(tmp_path):
    folder = checkpoint(tmp_path, "LlamaForCausalLM")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    found = load(str(folder))
    assert isinstance(found.run([LogProb("a", " b")])[0], Failed)
    assert isinstance(found.run([Generate("a", limit=2)])[0], Failed)


TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<s>{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.fixture
def chatty(tmp_path):
    folder = checkpoint(tmp_path, "LlamaForCausalLM")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


def test_messages_go_through_the_template_without_a_second_beginning(chatty):
    model = load(str(chatty))
    said = model.run([Generate(messages=(("user", "she reads"),), limit=6)])[0]
    plain = Plain(chatty)
    ids = plain.tokenizer("<s>user: she reads\nassistant:", add_special_tokens=False)["input_ids"]
    assert ids[:2].count(plain.tokenizer.bos_token_id) == 1
    plain.ids = lambda _: list(ids)
    assert said.text == plain.continued("", 6)[0]


def test_two_templates_are_told_apart(chatty):
    """Runs under different templates are not comparable, so it is not enough to know that there is one."""
    first = load(str(chatty)).about["chat_template"]
    assert first == load(str(chatty)).about["chat_template"]
    tokenizer = AutoTokenizer.from_pretrained(chatty)
    tokenizer.chat_template = TEMPLATE.replace("assistant:", "assistant>")
    tokenizer.save_pretrained(chatty)
    assert load(str(chatty)).about["chat_template"] not in (first, None, True)
    assert load(str(chatty), options=LoadOptions(chat="never")).about["chat_template"] is None


def test_a_template_that_refuses_fails_that_request_alone(chatty):
    bad, good = load(str(chatty)).run(
        [Generate(messages=(("system", "x"),), limit=2), Generate(messages=(("user", "x"),), limit=2)]
    )
    assert isinstance(bad, Failed)
    assert "no system role" in bad.why
    assert isinstance(good, Text)


def test_chat_always_wraps_prompts_and_needs_a_template(chatty, folder):
    always = load(str(chatty), options=LoadOptions(chat="always"))
    auto = load(str(chatty))
    wrapped = always.run([Generate("she reads", limit=6)])[0]
    assert wrapped == auto.run([Generate(messages=(("user", "she reads"),), limit=6)])[0]
    assert wrapped.text != auto.run([Generate("she reads", limit=6)])[0].text
    with pytest.raises(CannotMeasure, match="no chat template"):
        load(str(folder), options=LoadOptions(chat="always"))


def test_generation_settings_of_the_checkpoint_are_set_aside_and_noted(tmp_path):
    folder = checkpoint(tmp_path, "LlamaForCausalLM")
    before = load(str(folder)).run([Generate(p, limit=8) for p in PROMPTS])
    transformers.GenerationConfig(repetition_penalty=5.0, bos_token_id=1, eos_token_id=0).save_pretrained(folder)
    after = load(str(folder))
    assert after.run([Generate(p, limit=8) for p in PROMPTS]) == before
    assert any("repetition_penalty=5.0" in note for note in after.about["notes"])


def test_a_model_that_looks_ahead_is_refused(tmp_path):
    made = sentencepiece()
    config = transformers.XLNetConfig(vocab_size=len(made), d_model=32, n_layer=2, n_head=4, d_inner=48)
    save(tmp_path, "XLNetLMHeadModel", config, made)
    with pytest.raises(CannotMeasure, match="not causal"):
        load(str(tmp_path))


def test_overlong_must_be_a_policy():
    with pytest.raises(UsageError, match="did you mean 'truncate'"):
        load("reference", options=LoadOptions(overlong="truncat"))
