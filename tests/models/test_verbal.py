"""Classification by a language model is the softmax over its labels' words."""

from __future__ import annotations

import math

import pytest
import transformers
from tinymodels import LONG, SMALL, bert, bytebpe, save

from audit import Classify, Failed, Generate, Labels, LogProb, UsageError
from audit.models import LoadOptions, load

WORDS = {"negative": "bad", "positive": "good and friendly"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = bytebpe(bos=True)
    return save(
        tmp_path_factory.mktemp("llama"),
        "LlamaForCausalLM",
        transformers.LlamaConfig(vocab_size=len(made), **SMALL),
        made,
    )


def test_probabilities_are_those_of_the_words(folder):
    plain = load(str(folder))
    model = load(str(folder), options=LoadOptions(verbalisers=WORDS))
    assert model.answers == plain.answers | {Classify}
    assert model.about["labels"] == ["negative", "positive"]
    answer = model.run([Classify("the film"), Classify("a dirty room")])[0]
    sums = [a.value for a in plain.run([LogProb("the film\nAnswer:", f" {words}") for words in WORDS.values()])]
    assert isinstance(answer, Labels)
    assert answer.logits == pytest.approx(sums, abs=1e-4)
    assert answer.of("positive") == pytest.approx(1 / (1 + math.exp(sums[0] - sums[1])))
    assert model.run([Generate("she", limit=3)]) == plain.run([Generate("she", limit=3)])


def test_a_template_of_ones_own_and_texts_with_braces(folder):
    options = LoadOptions(verbalisers=WORDS, template="Is {text} good? {pair}")
    model = load(str(folder), options=options)
    assert model.prompt(Classify("{pair} {text}", "x")) == "Is {pair} {text} good? x"
    assert isinstance(model.run([Classify("the film", "the book")])[0], Labels)


def test_a_text_that_does_not_fit_fails_alone(folder):
    bad, good = load(str(folder), options=LoadOptions(verbalisers=WORDS)).run([Classify(LONG), Classify("the film")])
    assert isinstance(bad, Failed)
    assert isinstance(good, Labels)


def test_a_simulated_subject_can_do_it_too():
    model = load("simulated", options=LoadOptions(verbalisers=WORDS))
    assert model.run([Classify("the film")])[0].names == ("negative", "positive")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"verbalisers": {"a": "b"}}, "at least two"),
        ({"verbalisers": {"a": "b", "c": ""}}, "at least two"),
        ({"verbalisers": WORDS, "template": "no hole"}, "{text}"),
        ({"verbalisers": WORDS, "labels": {"a": "b"}}, "label mapping"),
        ({"template": "{text}"}, "verbalisers"),
    ],
)
def test_what_cannot_be_right(folder, options, said):
    with pytest.raises(UsageError, match=said):
        load(str(folder), options=LoadOptions(**options))


def test_a_classifier_needs_no_words(tmp_path):
    with pytest.raises(UsageError, match="log-probabilities"):
        load(str(bert(tmp_path)), options=LoadOptions(verbalisers=WORDS))
