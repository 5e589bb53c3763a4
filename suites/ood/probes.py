"""Out of distribution: other domains, styles, lengths and layouts than those a model knows, and texts of no meaning."""

import html
import json
import random

from audit import Classify, Embed, LogProb, NotRun, Outcome, probe
from audit.kit import outliers
from audit.kit.readiness import one_of

LAYOUTS = {
    "form": {"en": "Comment: {text}", "zh": "留言：{text}"},
    "email": {"en": "Hello,\n\n{text}\n\nRegards,\nSam", "zh": "您好：\n\n{text}\n\n此致\n李明"},
    "forum": {"en": "> Any thoughts on this?\n\n{text}", "zh": "> 大家怎么看？\n\n{text}"},
    "record": {"en": '{"id": 4817, "text": "{text}"}', "zh": '{"id": 4817, "text": "{text}"}'},
    "html": {"en": '<div class="text"><p>{text}</p></div>', "zh": '<div class="text"><p>{text}</p></div>'},
    "note": {
        "en": "- date: 12 May\n- page: 3 of 8\n- text: {text}",
        "zh": "- 日期：5月12日\n- 页码：3/8\n- 内容：{text}",
    },
    "question": {"en": "What does the writer think? {text}", "zh": "作者怎么看？{text}"},
}
QUOTED = {"record": lambda text: json.dumps(text, ensure_ascii=False)[1:-1], "html": html.escape}
PROMPTS = {"en": "Review: {text}\nSentiment:", "zh": "评论：{text}\n情感："}
WORDS = {"en": {}, "zh": {"negative": "负面", "positive": "正面"}}


def outside(example, peers):
    """1 where an example is of another group than the in-distribution ones."""
    return int(example.group != peers[0].group)


def sure(answer):
    """The probability of the answer given; a float's last bit may lie above 1."""
    return min(1.0, answer.of(answer.top))


@probe(Classify)
def domain(example, rng, peers):
    """A text of a known or of another domain: is the label right, and how sure is the model of it?"""
    [answer] = yield [Classify(example.text, example.pair)]
    values = {"is_ood": outside(example, peers), "confidence": sure(answer)}
    evidence = {"before": example.text, "predicted": answer.top, "domain": example.group}
    if example.label is None:
        return Outcome(None, values, evidence)
    right = int(answer.top == example.label)
    return Outcome(bool(right), values | {"correct": right, "value": right}, {**evidence, "gold": example.label})


def compared(text, changed, label, before, after):
    """Two answers to one content: is the label kept, and is it right?"""
    values = {"changed": int(before.top != after.top), "is_original": 0}
    evidence = {"before": text, "after": changed, "predicted_before": before.top, "predicted": after.top}
    if label is not None:
        values |= {"correct_before": int(before.top == label), "correct": int(after.top == label)}
        evidence["gold"] = label
    return Outcome(before.top == after.top, values, evidence)


@probe(Classify)
def style(example, rng):
    """The same content in another style, held against its plain wording (column `base`)."""
    base = example.fields.get("base")
    if not base:
        raise NotRun("the data has no column 'base' with the plain wording of each text")
    before, after = yield [Classify(base), Classify(example.text)]
    return compared(base, example.text, example.label, before, after)


@probe(Classify)
def length(example, rng, peers, sentences=4):
    """Several texts with one label, run together: longer than any of them, and the label stays."""
    if example.label is None:
        raise NotRun("the data carries no labels, so texts with one label cannot be put together")
    labels = [p.label for p in peers]
    if min(map(labels.count, {*labels, example.label})) < sentences:
        raise NotRun(f"{sentences} in-distribution texts of each label are needed to make longer ones")
    same = [p.text for p in peers if p.label == example.label and p.text != example.text]
    texts = [example.text, *rng.sample(same, sentences - 1)]
    rng.shuffle(texts)
    whole = ("" if example.language == "zh" else " ").join(texts)
    before, after = yield [Classify(example.text), Classify(whole)]
    return compared(example.text, whole, example.label, before, after)


@probe(Classify, ready=one_of("layout", "版式", LAYOUTS, "kind"))
def layout(example, rng, kind):
    """The text inside a form, an e-mail, a record or another frame that says nothing of its label."""
    frame = LAYOUTS[kind].get(example.language, LAYOUTS[kind]["en"])
    framed = frame.replace("{text}", QUOTED.get(kind, str)(example.text))
    before, after = yield [Classify(example.text, example.pair), Classify(framed, example.pair)]
    return compared(example.text, framed, example.label, before, after)


@probe(Classify)
def contrast(example, rng):
    """One text of a contrast set: an original and near copies with another label.  Are all of a set right?"""
    name, original = example.fields.get("set_id"), example.fields.get("is_original")
    if name is None or original is None or example.label is None:
        raise NotRun("the data has no contrast sets: they need columns set_id, is_original and a label")
    [answer] = yield [Classify(example.text)]
    right = int(answer.top == example.label)
    values = {"set_id": name, "is_original": int(original), "correct": right, "value": right}
    evidence = {"before": example.text, "predicted": answer.top, "gold": example.label}
    return Outcome(bool(right), values, evidence)


@probe(Classify)
def nonsense(example, rng, threshold=0.9):
    """A text that means nothing: is the model sure of a label all the same?"""
    kind = example.fields.get("kind")
    if kind is None:
        raise NotRun("the data does not say that its texts mean nothing: that needs a column 'kind'")
    [answer] = yield [Classify(example.text)]
    confident = sure(answer) >= threshold
    values = {"group": kind, "confidence": sure(answer), "value": int(confident)}
    return Outcome(not confident, values, {"before": example.text, "predicted": answer.top, "kind": kind})


@probe(Classify, ready=one_of("score", "分数", outliers.CONFIDENCE, "score"))
def confidence_score(example, rng, peers, score):
    """Out-of-distribution detection by one answer: maximum probability, maximum logit, energy or entropy."""
    [answer] = yield [Classify(example.text, example.pair)]
    value = outliers.CONFIDENCE[score](answer)
    return Outcome(None, {"score": value, "is_ood": outside(example, peers)}, {"before": example.text})


@probe(Embed, ready=one_of("score", "分数", outliers.DISTANCE, "score"))
def distance_score(example, rng, peers, score, k=10):
    """Out-of-distribution detection by embeddings: how far from the in-distribution texts, the text itself left out."""
    bank = [p for p in peers if p.text != example.text]
    if len(peers) <= outliers.FEWEST:
        raise NotRun(f"distances need more than {outliers.FEWEST} in-distribution texts, and there are {len(peers)}")
    own, *others = yield [Embed(example.text), *(Embed(p.text) for p in bank)]
    found = outliers.bank(tuple(v.values for v in others), tuple(p.label for p in bank))
    value = found.mahalanobis(own.values) if score == "mahalanobis" else found.knn(own.values, k)
    return Outcome(None, {"score": value, "is_ood": outside(example, peers)}, {"before": example.text})


@probe(LogProb)
def perplexity(example, rng, peers):
    """How well a language model foretells a text of a known or of another domain."""
    [answer] = yield [LogProb("", example.text)]
    values = {"loglikelihood": min(0.0, answer.value), "tokens": answer.tokens, "is_ood": outside(example, peers)}
    return Outcome(None, values, {"before": example.text})


def demonstrations(example, peers, shots):
    """The same labelled texts for every example (other than itself), the labels in turn."""
    by_label = {name: [p for p in peers if p.label == name] for name in sorted({p.label for p in peers if p.label})}
    each = -(-shots // max(1, len(by_label)))
    # One text more than shown, so that whether this can be asked does not depend on the example.
    if example.label is None or len(by_label) < 2 or min(map(len, by_label.values())) <= each:
        raise NotRun(f"{shots} labelled in-distribution texts with at least two labels are needed as worked examples")
    kept = [[p for p in column if p.text != example.text] for column in by_label.values()]
    return [p for turn in zip(*kept, strict=False) for p in turn][:shots], list(by_label)


def asked(example, shown, labels):
    """One question for each label: its words after the prompt."""
    prompt, words = PROMPTS.get(example.language, PROMPTS["en"]), WORDS.get(example.language, {})
    space = "" if example.language == "zh" else " "
    said = {label: space + words.get(label, label) for label in labels}
    parts = [prompt.replace("{text}", p.text) + said[p.label] + "\n\n" for p in shown]
    prefix = "".join(parts) + prompt.replace("{text}", example.text)
    return [LogProb(prefix, said[label]) for label in labels]


def top(labels, answers):
    """The label whose words are likeliest; the first on a tie."""
    return labels[max(range(len(labels)), key=lambda at: answers[at].value)]


@probe(LogProb)
def shots(example, rng, peers, count=4):
    """The label that a language model gives after a few worked examples, held against the one it gives without any."""
    shown, labels = demonstrations(example, peers, count)
    requests = asked(example, [], labels) + asked(example, shown, labels)
    answers = yield requests
    before, after = top(labels, answers[: len(labels)]), top(labels, answers[len(labels) :])
    values = {"changed": int(before != after), "correct_before": int(before == example.label)}
    values |= {"correct": int(after == example.label)}
    evidence = {"text": example.text, "predicted_before": before, "predicted": after, "gold": example.label}
    return Outcome(after == example.label, values, evidence)


@probe(LogProb)
def order(example, rng, peers, count=4, turn=1):
    """The same worked examples in another order (`turn` draws it): does the label stay?"""
    shown, labels = demonstrations(example, peers, count)
    mixed = random.Random(turn).sample(shown, len(shown)) if turn else shown
    answers = yield asked(example, shown, labels) + asked(example, mixed, labels)
    before, after = top(labels, answers[: len(labels)]), top(labels, answers[len(labels) :])
    right = int(after == example.label)
    values = {"changed": int(before != after), "correct": right, "value": right, "group": f"order {turn}"}
    evidence = {"text": example.text, "predicted_before": before, "predicted": after, "gold": example.label}
    return Outcome(before == after, values, evidence)
