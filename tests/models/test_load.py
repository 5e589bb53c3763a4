"""Every way in which loading can go wrong says what, where and what to do, in one paragraph."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from tinymodels import bert

from audit import CannotMeasure, Classify, UsageError
from audit.models import HEADS, LoadOptions, load


@pytest.fixture
def folder(tmp_path):
    return bert(tmp_path / "tiny")


def refused(kind, reference, match, **options):
    with pytest.raises(kind, match=match) as caught:
        load(str(reference), options=LoadOptions(**options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_listing_heads_imports_no_torch():
    look = "{'torch', 'transformers', 'numpy'} & set(sys.modules)"
    code = f"import sys, audit.models; print(len(audit.models.HEADS), {look})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split(maxsplit=1) == [str(len(HEADS)), "set()\n"]


def test_a_simulated_subject_needs_no_torch():
    code = (
        "import sys; from audit import Classify; from audit.models import load;"
        "load('simulated').run([Classify('good')]); print({'torch', 'transformers'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_missing_folder_names_its_neighbour(folder):
    assert "did you mean 'tiny'?" in refused(UsageError, folder.parent / "tinny", "no model folder")


def test_a_folder_without_config(folder):
    assert "tiny" in refused(UsageError, folder.parent, "no config.json")
    (folder / "config.json").write_text("{")
    refused(CannotMeasure, folder, "not JSON")
    (folder / "config.json").write_text("[]")
    refused(CannotMeasure, folder, "not an object")


def test_a_file_is_no_folder(folder):
    refused(UsageError, folder / "config.json", "is a file")


def test_a_folder_without_weights(folder):
    (folder / "model.safetensors").unlink()
    refused(CannotMeasure, folder, "no model.safetensors")


def test_pickled_weights_are_read_only_when_allowed(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    want = load(str(folder)).run([Classify("the film")])
    (folder / "model.safetensors").unlink()
    refused(CannotMeasure, folder, "--allow-pickle")
    assert load(str(folder), options=LoadOptions(allow_pickle=True)).run([Classify("the film")]) == want


def test_a_missing_shard_is_named(folder):
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert load(str(folder)).about["parameters"] == model.num_parameters()
    shards[-1].unlink()
    refused(CannotMeasure, folder, re.escape(shards[-1].name))


def test_damaged_weights(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    refused(CannotMeasure, folder, "cannot be loaded")


def test_remote_code_is_off(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModelForSequenceClassification": "code.Mine"}, "model_type": "mine"}
    (folder / "config.json").write_text(json.dumps(config))
    refused(CannotMeasure, folder, "--trust-remote-code")


def test_a_missing_head_is_not_made_up(tmp_path):
    refused(CannotMeasure, bert(tmp_path, kind="BertModel"), "classifier.*random", head="classifier")


def test_an_architecture_without_a_head(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForNothing"]}))
    refused(CannotMeasure, folder, "no head fits architecture 'BertForNothing'.*--head")
    (folder / "config.json").write_text(json.dumps(config | {"architectures": None}))
    refused(CannotMeasure, folder, "names no architecture.*--head")
    assert load(str(folder), options=LoadOptions(head="classifier")).about["head"] == "classifier"


def test_a_missing_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    refused(CannotMeasure, folder, "tokenizer")


def test_a_hub_id_that_cannot_be_reached(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    refused(CannotMeasure, "nobody/nothing-at-all", "local folder, or set HF_HOME")


@pytest.mark.parametrize("name", ["simulted:seed=1", "a b", "", "owner/name:main"])
def test_what_names_no_model(name):
    refused(UsageError, name, "names no model")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"head": "clasifier"}, "did you mean 'classifier'"),
        ({"dtype": "float23"}, "did you mean 'float32'"),
        ({"chat": "sometimes"}, "not one of"),
        ({"batch_tokens": -1}, "batch_tokens"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"device": "meta"}, "not supported"),
    ],
)
def test_options_that_cannot_be_right(folder, options, said):
    refused(UsageError, folder, said, **options)


def test_the_hash_is_of_the_weights_not_of_the_name(folder, tmp_path):
    same, other = bert(tmp_path / "same"), bert(tmp_path / "other", hidden_size=16)
    hashes = [load(str(path)).about["weights_hash"] for path in (folder, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
