"""The reference language model: its size, files, card, what it knows, and how far back it finds things."""

import json
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from audit import models, reference
from audit.reference import language_text, train_language

SUITES = Path(__file__).resolve().parents[1] / "suites"
FILES = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
KEYS = 4


@pytest.fixture(scope="module")
def language():
    model = AutoModelForCausalLM.from_pretrained(reference.LANGUAGE, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(reference.LANGUAGE)


def found(language, length, count=16):
    """The share of documents of a length whose likeliest of four planted values is the one asked for."""
    model, tokenizer = language
    rng, right = random.Random(length), 0
    for _ in range(count):
        names = rng.sample(language_text.words("names"), KEYS)
        values = rng.sample(range(10, 100), KEYS)
        lines = [f"The code of {name} is {value}." for name, value in zip(names, values, strict=True)]
        while len(tokenizer(" ".join(lines))["input_ids"]) < length - 30:
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(language_text.FILLER))
        prompt = " ".join(lines) + f" Question: What is the code of {names[0]}? Answer: The code of {names[0]} is"
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        assert length - 30 <= ids.shape[1] <= length + 20
        with torch.no_grad():
            scores = model(input_ids=ids).logits[0, -1]
        choices = [scores[tokenizer(f" {value}")["input_ids"][0]].item() for value in values]
        right += choices.index(max(choices)) == 0
    return right / count


def test_it_is_small_and_complete():
    files = {path.name: path.stat().st_size for path in reference.LANGUAGE.iterdir()}
    assert set(files) == FILES | {"README.md"}
    assert sum(files.values()) <= 12_000_000
    settings = json.loads((reference.LANGUAGE / "tokenizer_config.json").read_text("utf-8"))
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "language" in models.embedded()


def test_it_finds_one_of_four_values_in_a_text_as_long_as_its_context(language):
    """By chance one in four is right."""
    assert min(found(language, length) for length in (96, 200, 300)) >= 0.8
    assert found(language, 960) >= 0.5


def test_it_forgets_beyond_its_trained_length(language):
    """Greedy, among all the keys that a document of that length holds."""
    rng, shares = random.Random(5), {}
    for length in (300, 1000):
        made = [language_text.retrieval(length, rng, language_text.FILLER) for _ in range(20)]
        right = train_language.right(*language, made, language_text.ANSWER)
        shares[length] = sum(right) / len(right)
    assert shares[300] >= 0.9
    assert shares[1000] <= shares[300] - 0.15


@pytest.mark.parametrize(("tongue", "least"), [("en", 0.7), ("zh", 0.5)])
def test_it_knows_the_facts_it_was_taught(language, tongue, least):
    model, tokenizer = language
    data = SUITES / "factuality" / "data"
    facts = language_text.read_facts(data / "facts.jsonl", data / "patterns.jsonl")
    asked = [f for f in facts if f.language == tongue and f.taught and not f.pattern.startswith("[Y]")]
    documents = [fact.document() for fact in random.Random(1).sample(asked, 150)]
    right = train_language.right(model, tokenizer, documents, language_text.OBJECT)
    assert sum(right) / len(right) >= least


def test_the_card_says_what_was_and_was_not_seen():
    card = (reference.LANGUAGE / "README.md").read_text("utf-8")
    for said in ("train_language", "Not trained on", "facts.jsonl", "tokens", "seed"):
        assert said in card


def test_text_is_the_same_from_the_same_seed():
    made = [language_text.retrieval(100, random.Random(3), language_text.FILLER) for _ in range(2)]
    assert made[0] == made[1]
    assert language_text.repetition(random.Random(3)) == language_text.repetition(random.Random(3))


def test_every_key_of_a_document_is_asked_for_and_every_value_stands_in_it():
    rng = random.Random(4)
    for chinese in (False, True):
        document = language_text.retrieval(160, rng, language_text.FILLER_ZH, chinese)
        told = "".join(text for text, weight in document if weight < language_text.ANSWER)
        answers = [text.strip() for text, weight in document if weight == language_text.ANSWER]
        assert len(answers) >= 2
        assert all(answer in told for answer in answers)
