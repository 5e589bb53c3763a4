"""Robustness of an answer: small changes to a text that should not change what a model says of it."""

import re

from audit import Classify, Fill, Generate, NotRun, Outcome, Span, Tag, probe
from audit.kit.behaviour import perturbed, variant


@probe(Classify)
def clean(example, rng):
    """The unchanged text: is the label right?  The bar that every other number is held against."""
    [answer] = yield [Classify(example.text, example.pair)]
    evidence = {"before": example.text, "predicted": answer.top}
    if example.label is None:
        return Outcome(None, {"item": example.id, "is_original": 1}, evidence)
    right = int(answer.top == example.label)
    values = {"correct": right, "value": right, "is_original": 1, "confidence": answer.of(answer.top)}
    return Outcome(bool(right), values, {**evidence, "gold": example.label})


@probe(Classify)
def typos(example, rng, rate=0.1):
    """Slips on the keyboard: a share of the letters becomes a neighbouring key."""
    return (yield from perturbed(example, rng, "typos", rate))


@probe(Classify)
def perturbation(example, rng, kind, rate=0.1):
    """Any change of audit.kit.perturb, at a strength from 0 to 1."""
    return (yield from perturbed(example, rng, kind, rate))


@probe(Tag)
def tags(example, rng, kind, rate=0.1):
    """Words that were not touched keep their tags when other words of the sentence are changed."""
    words = tuple(example.text.split())
    text = variant(example, rng, kind, rate)
    changed = tuple((text or "").split())
    kept = [at for at, (old, new) in enumerate(zip(words, changed, strict=False)) if old == new]
    if text is None or len(changed) != len(words) or not kept:
        return Outcome(None, {"edited": 0})
    before, after = yield [Tag(words), Tag(changed)]
    moved = [at for at in kept if before.names[at] != after.names[at]]
    said = ", ".join(f"{words[at]}: {before.names[at]} → {after.names[at]}" for at in moved[:5])
    values = {"edited": 1, "changed": int(bool(moved)), "strength": rate, "share_changed": len(moved) / len(kept)}
    return Outcome(not moved, values, {"before": example.text, "after": text, "tags": said})


@probe(Span)
def spans(example, rng, kind, rate=0.1):
    """The answer found in a context stays when the question is written with slips.  `pair` is the context."""
    if not example.pair:
        raise NotRun("the data has questions but no contexts: name their column with --pair")
    text = variant(example, rng, kind, rate)
    if text is None:
        return Outcome(None, {"edited": 0})
    before, after = yield [Span(example.text, example.pair), Span(text, example.pair)]
    values = {"edited": 1, "changed": int(before.text != after.text), "strength": rate}
    if example.label is not None:
        values |= {"correct_before": same(before.text, example.label), "correct": same(after.text, example.label)}
    evidence = {"before": example.text, "after": text, "predicted_before": before.text, "predicted": after.text}
    return Outcome(not values["changed"], values, {**evidence, "gold": example.label or ""})


@probe(Fill)
def cloze(example, rng, kind, rate=0.1):
    """A masked model's choice between a good and a bad word after a text stays when the text is written with slips."""
    tail, choices = (" It was [MASK].", ("good", "bad")) if example.language == "en" else ("很[MASK]。", ("好", "差"))
    text = variant(example, rng, kind, rate)
    if text is None:
        return Outcome(None, {"edited": 0})
    before, after = yield [Fill(example.text + tail, choices), Fill(text + tail, choices)]
    said = [choices[a.logprobs.index(max(a.logprobs))] for a in (before, after)]
    values = {"edited": 1, "changed": int(said[0] != said[1]), "strength": rate}
    evidence = {"before": example.text, "after": text, "predicted_before": said[0], "predicted": said[1]}
    return Outcome(not values["changed"], values, evidence)


@probe(Generate)
def generation(example, rng, kind, rate=0.1, limit=24):
    """What is written after a text stays nearly the same when the text is written with slips."""
    text = variant(example, rng, kind, rate)
    if text is None:
        return Outcome(None, {"edited": 0})
    before, after = yield [Generate(example.text, limit=limit), Generate(text, limit=limit)]
    values = {"edited": 1, "changed": int(before.text != after.text), "strength": rate}
    values |= {"prediction": after.text, "references": before.text} if before.text.strip() else {}
    evidence = {"before": example.text, "after": text, "predicted_before": before.text, "predicted": after.text}
    return Outcome(not values["changed"], values, evidence)


def same(said, gold):
    """1 where two answers are equal but for case, articles, marks and spaces (SQuAD's exact match)."""
    plain = [re.sub(r"\b(a|an|the)\b|[^\w]", "", text.lower()) for text in (said, gold)]
    return int(plain[0] == plain[1])
