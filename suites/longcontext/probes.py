"""Long context: is what stands somewhere in a long text still found, and is the rest ignored?"""

import json
from functools import cache
from pathlib import Path
from random import Random

from audit import AuditError, Classify, Generate, LogProb, NotRun, Outcome, Span, Tokens, probe
from audit.kit import hidden
from audit.kit.asking import likeliest, needed
from audit.kit.haystack import Hay, bounded, fitted
from audit.kit.hidden import COUNTED, SAYS, known_task

VALUE = 8  # tokens kept free for the value that is scored after a prompt
FRAME = 32  # tokens kept free for what a model puts around a text that it classifies
QUESTIONED = {"en": 12, "zh": 8}  # documents that a RULER question is asked among


@cache
def rows(name):
    """The rows of one of the suite's data files."""
    path = Path(__file__).with_name("data") / f"{name}.jsonl"
    return tuple(json.loads(line) for line in path.read_text("utf-8").splitlines())


def words(kind, language):
    """Names of people, or of things."""
    return [row["text"] for row in rows(f"words.{language}") if row["kind"] == kind]


def hay(example, stream, without=""):
    """Filler in the example's language, in an order of its own."""
    paragraphs = [row["text"] for row in rows(f"haystack.{example.language}") if row["text"] != without]
    return Hay(paragraphs, example.language, stream)


def asserted(count, budget, length):
    """The tokens of a prompt, which with its answer never exceeds the length asked for."""
    tokens = int(count.value)
    if tokens + budget > length:
        raise AssertionError(f"a prompt of {tokens} tokens and an answer of {budget} are more than {length}")
    return tokens


def judged(choices, gold, answers, prompt, **values):
    """The outcome of one question that is answered by the likeliest of several choices."""
    found = likeliest(choices, answers)
    evidence = {"before": bounded(prompt), "predicted": found, "gold": gold, "choices": ", ".join(choices)}
    return Outcome(found == gold, {"correct": int(found == gold), **values}, evidence)


@probe(LogProb, Tokens)
def needle(example, rng, length=1024, depth=0.5):
    """Four facts at one depth of a long text: which of the four values does the model give to the one asked for?

    Rows with one set_id (column `turn`: 1 to 4) ask about one and the same text.  By chance one in four is right.
    """
    turn, name = needed(example, "turn", "set_id")
    says, stream = SAYS[example.language], Random(f"{rng.getrandbits(64)}/{length}/{depth}")
    people = stream.sample(words("name", example.language), 4)
    values = [str(v) for v in stream.sample(range(10, 100), 4)]
    filler = hay(example, stream)
    facts = [says["fact"].format(what=example.text, who=w, value=v) for w, v in zip(people, values, strict=True)]
    questions = ["\n" + says["ask"].format(what=example.text, who=who) for who in people]
    yield from filler.measure()
    counts = yield [Tokens(question) for question in questions]
    longest = questions[max(range(4), key=lambda at: counts[at].value)]
    planted = [(depth, filler.space.join(facts))]

    def compose(units, topping, question=longest):
        return filler.cut(units, planted, topping) + question

    made = yield from fitted(compose, length - VALUE, filler.guess(length), example.language)
    gold = values[int(turn) - 1]
    prompt = made.text.removesuffix(longest) + questions[int(turn) - 1]
    [count] = yield [Tokens(prompt)]
    tokens = asserted(count, VALUE, length)
    answers = yield [LogProb(prompt, filler.space + value) for value in values]
    return judged(values, gold, answers, prompt, tokens=tokens, cluster=f"{name} {length} {depth}")


def task_of(name, example, stream):
    """One task of RULER, drawn from the suite's own words and, for questions, some of its documents."""
    documents = rows(f"documents.{example.language}")
    if name == "qa":
        documents = stream.sample(documents, QUESTIONED[example.language])
    return hidden.task_of(name, example, stream, words("name", example.language), documents)


def counting(task, example, stream):
    """Lists in which three words stand more often than the others."""
    return hidden.counting(task, example, stream, words("thing", example.language))


@probe(Generate, Tokens, ready=known_task)
def ruler(example, rng, task, length=1024):
    """One item of a RULER family, written here: what share of the hidden answers does the model write?"""
    stream = Random(f"{rng.getrandbits(64)}/{task}/{length}")
    filler = hay(example, stream)
    yield from filler.measure()
    if task in COUNTED:
        compose, references, budget = counting(task, example, stream)
        guess = length // 2
    else:
        planted, question, references, budget = task_of(task, example, stream)

        def compose(units, topping):
            return filler.cut(units, planted, topping) + "\n" + question

        guess = filler.guess(length)
    made = yield from fitted(compose, length - budget, guess, example.language)
    [count] = yield [Tokens(made.text)]
    tokens = asserted(count, budget, length)
    [answer] = yield [Generate(made.text, limit=budget, stop=("\n", "Question:", "问："))]
    said = answer.text.lower()
    found = sum(reference.lower() in said for reference in references)
    values = {"task": task, "found": found, "hidden": len(references), "tokens": tokens}
    values["cluster"] = f"{example.id} {task} {length}"
    evidence = {"before": bounded(made.text), "predicted": bounded(answer.text), "gold": ", ".join(references)}
    return Outcome(found == len(references), {**values, "correct": int(found == len(references))}, evidence)


@probe(LogProb, Tokens)
def key_value(example, rng, length=1024, position=0.5):
    """A list of keys and values that fills the length, one key asked for: which of four of its values is likeliest?

    `position` (0 to 1) is where the pair that is asked for stands.
    """
    says, stream = SAYS[example.language], Random(f"{rng.getrandbits(64)}/{length}")
    keys = [(who, thing) for who in words("name", example.language) for thing in words("thing", example.language)]
    stream.shuffle(keys)
    numbers = [str(stream.randrange(100, 1000)) for _ in keys]
    gold, *others = [str(v) for v in stream.sample(range(10, 100), 4)]
    question = "\n" + says["ask_pair"].format(who=keys[0][0], thing=keys[0][1])
    lead = hay(example, stream)
    yield from lead.measure()

    def listed(units):
        pairs = list(zip(keys[1:], [*others, *numbers], strict=False))[:units]
        lines = [says["pair"].format(who=who, thing=thing, value=value) for (who, thing), value in pairs]
        lines.insert(round(position * len(lines)), says["pair"].format(who=keys[0][0], thing=keys[0][1], value=gold))
        return "{" + ", ".join(lines) + "}"

    room = length - VALUE
    most = yield from fitted(
        lambda units, topping: "\n" + listed(units) + question, room, length // 12, example.language
    )
    whole = listed(max(most.units, 3))
    made = yield from fitted(
        lambda units, topping: lead.cut(units, (), topping) + "\n" + whole + question, room, 4, example.language
    )
    [count] = yield [Tokens(made.text)]
    tokens = asserted(count, VALUE, length)
    choices = [gold, *others]
    answers = yield [LogProb(made.text, value) for value in choices]
    return judged(choices, gold, answers, made.text, tokens=tokens, pairs=most.units + 1)


@probe(LogProb)
def distractors(example, rng, count=5):
    """A document that answers a question, among others that answer the same question about something else.

    Which of four answers is likeliest, with the document alone and among `count` others?
    """
    stem, answer, document = needed(example, "stem", "answer", "document")
    others = [r for r in rows(f"documents.{example.language}") if r["document"] != document]
    Random(rng.getrandbits(64)).shuffle(others)
    choices = [answer, *dict.fromkeys(row["answer"] for row in others if row["answer"] != answer)][:4]
    space = "" if example.language == "zh" else " "
    question = "\n" + SAYS[example.language]["ask_document"].format(question=example.text, stem=stem)
    shown = [row["document"] for row in others[:count]]
    shown.insert(len(shown) // 2, document)
    prompts = [document + question, "\n".join(shown) + question]
    answers = yield [LogProb(prompt, space + choice) for prompt in prompts for choice in choices]
    alone, among = likeliest(choices, answers[: len(choices)]), likeliest(choices, answers[len(choices) :])
    values = {"changed": int(alone != among), "correct_before": int(alone == answer), "correct": int(among == answer)}
    evidence = {"before": bounded(prompts[1]), "predicted_before": alone, "predicted": among, "gold": answer}
    return Outcome(alone == among, {**values, "documents": len(shown)}, evidence)


@probe(LogProb, Tokens)
def perplexity(example, rng, length=1024):
    """One paragraph at the end of texts of growing length: does more text before it surprise the model more?"""
    filler = hay(example, Random(rng.getrandbits(64)), example.text)
    yield from filler.measure()

    def compose(units, topping):
        return filler.cut(units, (), topping) + "\n" + example.text

    made = yield from fitted(compose, length, filler.guess(length), example.language)
    [count] = yield [Tokens(made.text)]
    tokens = asserted(count, 0, length)
    [answer] = yield [LogProb(made.text.removesuffix(example.text), example.text)]
    values = {"loglikelihood": answer.value, "tokens": answer.tokens, "input_tokens": tokens}
    return Outcome(None, values, {"text": bounded(made.text)})


def labelled(example, before, after, text, **values):
    """A label with and without what stands around the text."""
    values |= {"changed": int(before.top != after.top)}
    evidence = {"before": bounded(text), "predicted_before": before.top, "predicted": after.top}
    if example.label is not None:
        values |= {"correct_before": int(before.top == example.label), "correct": int(after.top == example.label)}
        evidence["gold"] = example.label
    return Outcome(before.top == after.top, values, evidence)


@probe(Classify, Tokens)
def evidence(example, rng, length=256, depth=0.5):
    """A judgement inside a longer text of no judgement, all of which the model reads: does the label stay?"""
    filler = hay(example, Random(rng.getrandbits(64)))
    yield from filler.measure()
    planted = [(depth, example.text)]
    made = yield from fitted(
        lambda units, topping: filler.cut(units, planted, topping),
        length - FRAME,
        filler.guess(length),
        example.language,
    )
    [count] = yield [Tokens(made.text)]
    tokens = asserted(count, FRAME, length)
    before, after = yield [Classify(example.text), Classify(made.text)]
    return labelled(example, before, after, made.text, tokens=tokens)


@probe(Classify, Tokens)
def truncation(example, rng, size=400):
    """A judgement at the end of a text: what share of it is cut off, and does the label stay?

    Counts on the usual truncation, which cuts the end.
    """
    filler = hay(example, Random(rng.getrandbits(64)))
    text = filler.cut(size, [(1.0, example.text)])
    [bare, own] = yield [Tokens(""), Tokens(example.text)]
    try:
        before, after = yield [Classify(example.text), Classify(text)]
    except AuditError as error:
        raise NotRun(f"the model cuts no text, it refuses what is too long ({error})") from None
    hidden = max(int(own.value - bare.value), 1)
    lost = min(after.dropped, hidden)
    return labelled(example, before, after, text, found=hidden - lost, hidden=hidden, dropped=after.dropped)


@probe(Span)
def span(example, rng, size=200, depth=0.5):
    """An answer to extract from a document inside a text about other things: is it still the one that is extracted?"""
    answer, document = needed(example, "answer", "document")
    filler = hay(example, Random(rng.getrandbits(64)))
    text = filler.cut(size, [(depth, document)])
    alone, within = yield [Span(example.text, document), Span(example.text, text)]

    def right(found):
        return int(bool(found.text) and found.text.strip() in document and shares(found.text, answer))

    values = {"changed": int(alone.text != within.text), "correct_before": right(alone), "correct": right(within)}
    shown = {"before": bounded(text), "predicted_before": alone.text, "predicted": within.text, "gold": answer}
    return Outcome(alone.text == within.text, values, shown)


def shares(found, answer):
    """Whether one of two wordings of an answer holds the other."""
    one, other = (" ".join(text.casefold().split()).strip(" .,。，") for text in (found, answer))
    return bool(one) and (one in other or other in one)
