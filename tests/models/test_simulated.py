"""The simulated subject has exactly the defects that were planted."""

from __future__ import annotations

import random

import pytest

from audit import Classify, Embed, Failed, Gradient, UsageError
from audit.models import LoadOptions, load

COUNT = 4000
GOOD = [f"the meal number {i} was good" for i in range(COUNT)]


def share(values):
    values = list(values)
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a wonderful film", "positive"),
        ("a boring film", "negative"),
        ("not a good film", "negative"),
        ("这家店很好，很满意", "positive"),
        ("服务很差", "negative"),
        ("不好吃", "negative"),
    ],
)
def test_the_lexicon_reads_both_languages(text, label):
    assert load("simulated").run([Classify(text)])[0].top == label


def test_planted_errors_are_where_they_should_be():
    model = load("simulated:accuracy=0.9,seed=3")
    right = [answer.top == "positive" for answer in model.run([Classify(text) for text in GOOD])]
    assert share(right) == pytest.approx(0.9, abs=0.015)
    shouted = [answer.top == "positive" for answer in model.run([Classify(text.upper() + "!") for text in GOOD])]
    assert right == shouted


def test_two_wordings_differ_as_often_as_planted():
    model = load("simulated:flip=0.2")
    one = model.run([Classify(text) for text in GOOD])
    two = model.run([Classify(text + " ") for text in GOOD])
    assert share(a.top != b.top for a, b in zip(one, two, strict=True)) == pytest.approx(0.2, abs=0.02)


def test_equal_requests_get_equal_answers_in_any_company():
    model, asked = load("simulated:flip=0.3,accuracy=0.8"), [Classify(text) for text in GOOD[:50]]
    want = dict(zip(asked, model.run(asked), strict=True))
    random.Random(1).shuffle(asked)
    assert [model.run([request])[0] for request in asked] == [want[request] for request in asked]


def test_another_seed_is_another_subject():
    one, two = (load(f"simulated:accuracy=0.5,seed={n}") for n in (1, 2))
    asked = [Classify(text) for text in GOOD[:100]]
    assert one.run(asked) != two.run(asked)
    assert one.about["weights_hash"] != two.about["weights_hash"]


def test_labels_can_be_renamed():
    model = load("simulated", options=LoadOptions(labels={"positive": "1", "negative": "0"}))
    assert model.run([Classify("good")])[0].top == "1"
    assert model.about["labels"] == ["0", "1"]


def test_gradients_point_at_the_words_that_count():
    text = "a good film"
    answer = load("simulated").run([Gradient(text, "positive", flips=2)])[0]
    assert [text[a:b] for a, b in answer.spans] == ["a", "good", "film"]
    assert max(answer.norms) == answer.norms[1]
    assert [len(flips) for flips in answer.flips] == [2, 2, 2]
    swapped = text.replace("good", answer.flips[1][0][0])
    assert load("simulated").run([Classify(swapped)])[0].top == "negative"
    assert isinstance(load("simulated").run([Gradient(text, "neutral")])[0], Failed)


def test_embeddings_are_nearer_for_shared_words():
    a, b, c = (
        x.values for x in load("simulated").run([Embed(t) for t in ("red car here", "red car there", "blue sky")])
    )
    near, far = (sum(x * y for x, y in zip(a, other, strict=True)) for other in (b, c))
    assert near > far


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("simulated:acuracy=1", "did you mean 'accuracy'"),
        ("simulated:accuracy=2", "between 0 and 1"),
        ("simulated:flip=0.9", "between 0 and 0.5"),
        ("simulated:flip=x", "not a number"),
        ("simulated:flip", "not a number"),
    ],
)
def test_settings_that_no_subject_has(name, said):
    with pytest.raises(UsageError, match=said):
        load(name)
