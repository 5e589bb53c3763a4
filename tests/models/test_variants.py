"""Adapters, device maps and quantised checkpoints."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from tinymodels import SMALL, bert, bytebpe, save

from audit import CannotMeasure, Classify, LogProb
from audit.models import LoadOptions, load

# peft still asks transformers 5 by a name that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")


def lora(base, folder, task, seed=1, **more):
    """An adapter with random weights, saved as peft saves it; returns the merged model's own class."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(seed)
    config = peft.LoraConfig(task_type=task, r=4, init_lora_weights=False, **more)
    adapted = peft.get_peft_model(base, config)
    adapted.save_pretrained(folder)
    return adapted.eval()


@pytest.fixture
def llama(tmp_path):
    made = bytebpe(bos=True)
    config = transformers.LlamaConfig(vocab_size=len(made), **SMALL)
    return save(tmp_path / "base", "LlamaForCausalLM", config, made)


def test_a_language_models_adapter(llama, tmp_path):
    base = transformers.AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    adapted = lora(base, tmp_path / "adapter", "CAUSAL_LM", target_modules=["q_proj", "v_proj"])
    model, bare = load(str(tmp_path / "adapter")), load(str(llama))
    assert model.about["weights_hash"] != bare.about["weights_hash"]
    answer = model.run([LogProb("she", " reads")])[0]
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    ids, size = tokenizer("she reads")["input_ids"], len(tokenizer("she")["input_ids"])
    with torch.no_grad():
        scores = adapted(torch.tensor([ids])).logits[0].log_softmax(-1)
    want = sum(float(scores[i - 1, ids[i]]) for i in range(size, len(ids)))
    assert answer.value == pytest.approx(want, abs=1e-4)
    assert answer.value != pytest.approx(bare.run([LogProb("she", " reads")])[0].value, abs=1e-3)


def test_a_classifiers_adapter_brings_its_own_head(tmp_path):
    folder = bert(tmp_path / "base", kind="BertModel")
    base = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=4, dtype=torch.float32)
    adapted = lora(base, tmp_path / "adapter", "SEQ_CLS", target_modules=["query", "value"])
    answer = load(str(tmp_path / "adapter")).run([Classify("the film")])[0]
    with torch.no_grad():
        row = transformers.AutoTokenizer.from_pretrained(folder)("the film", return_tensors="pt")
        assert answer.logits == pytest.approx(adapted(**row).logits[0].tolist(), abs=1e-4)
    assert len(answer.names) == 4


def test_an_adapter_without_its_base(llama, tmp_path):
    base = transformers.AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    folder = tmp_path / "adapter"
    lora(base, folder, "CAUSAL_LM", target_modules=["q_proj"])
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(settings | {"base_model_name_or_path": str(tmp_path / "gone")})
    )
    with pytest.raises(Exception, match=r"is an adapter of .*gone"):
        load(str(folder))
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": None}))
    with pytest.raises(CannotMeasure, match="base_model_name_or_path"):
        load(str(folder))
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(CannotMeasure, match=r"adapter_model\.safetensors"):
        load(str(folder))


def test_a_device_map_changes_nothing(llama):
    pytest.importorskip("accelerate")
    plain, spread = load(str(llama)), load(str(llama), options=LoadOptions(device_map="cpu"))
    assert spread.run([LogProb("she", " reads")]) == plain.run([LogProb("she", " reads")])
    with pytest.raises(CannotMeasure, match="cannot be loaded"):
        load(str(llama), options=LoadOptions(device_map="nowhere"))


def test_a_quantised_checkpoint_without_its_library_is_refused_with_the_reason(llama):
    config = json.loads((llama / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (llama / "config.json").write_text(json.dumps(config))
    with pytest.raises(CannotMeasure, match="cannot be loaded"):
        load(str(llama))


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_checkpoint_answers_nearly_as_before(llama, tmp_path):
    """Eight-bit weights by bitsandbytes, where that is installed: real quantised files, loaded like any other."""
    pytest.importorskip("bitsandbytes")
    small = transformers.BitsAndBytesConfig(load_in_8bit=True)
    kind = transformers.AutoModelForCausalLM
    model = kind.from_pretrained(llama, dtype=torch.float32, quantization_config=small, device_map={"": "cpu"})
    model.save_pretrained(tmp_path / "eight")
    transformers.AutoTokenizer.from_pretrained(llama).save_pretrained(tmp_path / "eight")
    asked = [LogProb("she", " reads"), LogProb("she reads", " the film")]
    exact, eight = (load(str(folder)).run(asked) for folder in (llama, tmp_path / "eight"))
    assert exact != eight
    assert [a.value for a in eight] == pytest.approx([a.value for a in exact], abs=0.2)
