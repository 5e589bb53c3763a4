"""Log-probabilities equal those of lm-evaluation-harness on the same model and text, where it is installed."""

from __future__ import annotations

import importlib.util

import pytest
import transformers
from tinymodels import SMALL, TEXTS, bytebpe, save, unigram

from audit import LogProb
from audit.models import load

pytestmark = [
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("lm_eval", "accelerate"))), reason="needs lm_eval and accelerate"
    ),
    pytest.mark.filterwarnings("ignore"),
]
PAIRS = [
    (TEXTS[0], " and a good film"),
    (TEXTS[0], " bad"),
    ("she reads ", "a book"),
    ("she reads\n", "a book"),
    ("", "the room was dirty"),
    ("one two", "three"),
    ("Question: what?\nAnswer:", " Paris is the capital"),
]
KINDS = {
    "GPT2LMHeadModel": (bytebpe, lambda n: transformers.GPT2Config(vocab_size=n, n_embd=32, n_layer=2, n_head=4)),
    "LlamaForCausalLM": (lambda: bytebpe(bos=True), lambda n: transformers.LlamaConfig(vocab_size=n, **SMALL)),
    "T5ForConditionalGeneration": (
        unigram,
        lambda n: transformers.T5Config(
            vocab_size=n, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
        ),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_equal(tmp_path, kind):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    tokenizer, config = KINDS[kind]
    made = tokenizer()
    folder = save(tmp_path, kind, config(len(made)), made)
    peer = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=4)
    pairs = [pair for pair in PAIRS if pair[0] or kind != "T5ForConditionalGeneration"]
    want = peer.loglikelihood(
        [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)], disable_tqdm=True
    )
    found = load(str(folder)).run([LogProb(*pair) for pair in pairs])
    assert [a.value for a in found] == pytest.approx([float(value) for value, _ in want], abs=1e-4)
