"""The factuality suite: planted faults are found at their size, a real model agrees with a direct loop."""

from __future__ import annotations

import datetime
import json
import random
import re

import pandas as pd
import pytest
from conftest import HOME, SHARED

from audit import (
    Choices,
    Classify,
    Example,
    Labels,
    LogProb,
    NotRun,
    Number,
    SpanAnswer,
    Text,
    UsageError,
    data,
    measures,
    plan,
    run,
    suite,
)
from audit.kit import entailment, exercises
from audit.plan import Spec
from audit.rows import Source

SUITE = HOME / "suites" / "factuality"
PROBES = {bound.probe.name: bound.probe for bound in suite.bind(suite.load(str(SUITE)))}
NLI = ("contradiction", "neutral", "entailment")


def ask(name, example, answer, **settings):
    """Run one probe against a function from request to answer."""
    steps = PROBES[name].run(example, random.Random(0), **settings)
    asked = next(steps)
    try:
        while True:
            asked = steps.send([answer(request) for request in asked])
    except StopIteration as stop:
        return stop.value


def block(name, **more):
    [found] = [b for b in suite.load(str(SUITE)).sheet.data if b.name == name]
    return data.load(Source(**{**found.model_dump(exclude={"optional"}), **more}, folder=SUITE)).examples


def rows(name):
    return [json.loads(line) for line in (SUITE / "data" / name).read_text("utf-8").splitlines()]


def first(texts):
    """A language model that likes one of some texts, whatever stands before."""
    return lambda request: Number(-1.0 if request.text.strip() in texts else -9.0, 1)


# Facts.


def knowing(example, patterns=10):
    """A masked model that knows a fact under its first patterns only, and otherwise says the last candidate."""
    asked = []

    def answer(request):
        asked.append(request)
        right = request.choices.index(example.label) if len(asked) <= patterns else len(request.choices) - 1
        return Choices(tuple(0.0 if at == right else -5.0 for at in range(len(request.choices))))

    return answer


def test_consistency_counts_the_wordings_that_agree():
    example = next(e for e in block("facts") if e.text == "France" and e.group == "capital")
    knows, found = knowing(example, 6), []
    for pattern in range(10):
        outcome = ask("facts", example, knows, pattern=pattern)
        found.append({"pattern": pattern, **outcome.values})
    scores = measures.get("pararel").run(pd.DataFrame(found))
    assert scores["accuracy"] == 1.0
    assert scores["consistent_accuracy"] == 0.0
    assert scores["consistency"] == pytest.approx((6 * 5 + 4 * 3) / 90)


def test_candidates_are_the_objects_of_the_relation_once_each():
    example = next(e for e in block("facts") if e.group == "language")
    asked = []

    def answer(request):
        asked.append(request)
        return Choices((0.0,) * len(request.choices))

    ask("facts", example, answer)
    [request] = asked
    objects = {row["object"] for row in rows("facts.jsonl") if row["relation"] == "language"}
    assert len(request.choices) == len(set(request.choices))
    assert set(request.choices) == objects
    assert example.text in request.text
    assert request.text.count("[MASK]") == 1


def test_objects_of_several_tokens_are_compared_per_token():
    example = Example("1", "X", label="two words", group="r", fields={"patterns": ["[X] is [Y]."],
                      "candidates": ["one", "two words"]})  # fmt: skip
    outcome = ask("facts", example, lambda r: Choices((-2.0, -3.0), ((-2.0,), (-1.5, -1.5))))
    assert outcome.values["prediction"] == "two words"


def test_the_likelihood_of_a_candidate_is_taken_with_what_follows_it():
    fields = {"patterns": ["[X] is [Y].", "[Y] is what [X] is."], "candidates": ["red", "blue"]}
    example, asked = Example("1", "It", label="red", group="r", fields=fields), []

    def answer(request):
        asked.append(request)
        return Number(-1.0, 1)

    for pattern in (0, 1):
        ask("fact_likelihoods", example, answer, pattern=pattern)
    assert asked == [
        LogProb("It is ", "red"),
        LogProb("It is ", "blue"),
        LogProb("", "red is what It is."),
        LogProb("", "blue is what It is."),
    ]
    with pytest.raises(StopIteration):
        next(PROBES["fact_likelihoods"].run(example, random.Random(0), pattern=2))


def test_written_facts_are_read_off_the_first_candidate_named():
    example = next(e for e in block("facts") if e.text == "France" and e.group == "capital")
    outcome = ask("written_facts", example, lambda r: Text(" the city of paris, not Berlin.", 8))
    assert outcome.values["prediction"] == "Paris"
    assert ask("written_facts", example, lambda r: Text(" nowhere", 8)).values["prediction"] == ""


def test_facts_of_another_kind_are_refused():
    with pytest.raises(NotRun, match="give each row the lists 'patterns'"):
        ask("facts", Example("1", "X", label="Y", group="unheard_of"), lambda r: None)


@pytest.mark.skipif(not (SHARED / "data" / "pararel").is_dir(), reason="ParaRel is not beside the checkout")
@pytest.mark.skipif(not (SHARED / "models" / "minilm-mlm").is_dir(), reason="minilm-mlm is not beside the checkout")
def test_pararel_on_a_real_model_agrees_with_a_direct_computation(tmp_path):
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = SHARED / "models" / "minilm-mlm"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForMaskedLM.from_pretrained(folder).eval()
    made, expected = [], []
    for relation in ("P36", "P103"):
        lines = (SHARED / "data" / "pararel" / "graphs_json" / f"{relation}.jsonl").read_text("utf-8").splitlines()
        patterns = [json.loads(line)["pattern"] for line in lines][:4]
        lines = (SHARED / "data" / "pararel" / "trex_lms_vocab" / f"{relation}.jsonl").read_text("utf-8").splitlines()
        facts = [json.loads(line) for line in lines][:12]
        objects = sorted({fact["obj_label"] for fact in facts})
        objects = [word for word in objects if len(tokenizer.encode(word, add_special_tokens=False)) == 1]
        for fact in (f for f in facts if f["obj_label"] in objects):
            named = {"relation": relation, "subject": fact["sub_label"], "object": fact["obj_label"]}
            made.append({**named, "patterns": patterns, "candidates": objects})
            for number, pattern in enumerate(patterns):
                text = pattern.replace("[X]", fact["sub_label"]).replace("[Y]", tokenizer.mask_token)
                ids = tokenizer(text, return_tensors="pt")
                with torch.inference_mode():
                    logits = model(**ids).logits[0, (ids["input_ids"][0] == tokenizer.mask_token_id).nonzero().item()]
                scores = [logits[tokenizer.encode(word, add_special_tokens=False)[0]].item() for word in objects]
                said = objects[max(range(len(objects)), key=scores.__getitem__)]
                expected.append({**named, "pattern": number, "prediction": said, "gold": fact["obj_label"]})
    assert len(made) > 10
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in made), "utf-8")
    found = audit(tmp_path / "out", only(tmp_path, "facts"), model=str(folder), blocks=(("facts", str(path)),))
    direct = pd.DataFrame(expected).sort_values(["pattern"], kind="stable")
    direct["subject"] = direct.groupby(["relation", "pattern"]).cumcount()
    scores = measures.get("pararel").run(direct)
    assert found["factuality/facts/pararel"].value == pytest.approx(scores["consistency"])
    assert found["factuality/facts/accuracy"].value == pytest.approx(scores["accuracy"])
    assert found["factuality/facts/consistent_accuracy"].value == pytest.approx(scores["consistent_accuracy"])
    assert 0 < scores["consistency"] < 1


# Multiple choice.


def test_mc1_and_mc2_by_hand():
    examples = block("truthful")[:2]
    likes = {examples[0].fields["best"]: -1.0, examples[1].fields["false"][0]: -1.0, examples[0].fields["also"]: -1.0}

    def answer(request):
        return Number(likes.get(request.text.strip(), -30.0), 3)

    one, mass = [], []
    for example in examples:
        one += [ask("truthful", example, answer, targets="mc1_targets", choice=c).values for c in range(4)]
        mass += [ask("truthful", example, answer, targets="mc2_targets", choice=c).values for c in range(5)]
    assert measures.get("truthful_mc").run(pd.DataFrame(one))["mc1"] == 0.5
    assert measures.get("truthful_mc").run(pd.DataFrame(mass))["mc2"] == pytest.approx(0.5)


def test_choices_beyond_the_last_are_no_rows():
    steps = PROBES["truthful"].run(block("truthful")[0], random.Random(0), choice=4)
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value.values == {}


# Negation.


def test_a_model_that_agrees_with_everything_contradicts_itself():
    example = block("negation")[0]
    outcome = ask("assertions", example, first({"true"}))
    assert outcome.passed is False
    assert outcome.values == {"both": 1, "correct": 0}


@pytest.mark.parametrize("word", ["true", "false"])
def test_a_model_that_knows_the_statement_is_right_on_both(word):
    def answer(request):
        claim = ("not" in request.prefix) != (word == "true")
        return Number(-1.0 if (request.text == " true") == claim else -5.0, 1)

    outcome = ask("assertions", block("negation")[0], answer, word=word)
    assert outcome.passed is True
    assert outcome.values["correct"] == 1


def test_a_model_that_does_not_read_not_puts_in_the_same_word():
    example = block("negation")[0]
    blind = ask("negated_cloze", example, lambda r: Choices((-1.0, -2.0)))
    assert (blind.passed, blind.values["correct"]) == (False, 0)
    reads = ask("negated_cloze", example, lambda r: Choices((-2.0, -1.0) if "not" in r.text else (-1.0, -2.0)))
    assert (reads.passed, reads.values["correct"]) == (True, 1)
    blind = ask("negated_likelihood", example, lambda r: Number(-1.0 if "bird" in r.text else -3.0, 1))
    assert blind.passed is False


# Questions about a text.


@pytest.mark.parametrize(
    ("context", "said", "kind"),
    [
        ("supports", "known", "context"),
        ("supports", "other", "other"),
        ("contradicts", "other", "context"),
        ("contradicts", "known", "memory"),
        ("lacks", "known", "memory"),
        ("lacks", "other", "other"),
        ("lacks", None, "abstained"),
        ("contradicts", None, "abstained"),
    ],
)
@pytest.mark.parametrize("language", ["grounded", "zh_grounded"])
def test_where_an_answer_comes_from(context, said, kind, language):
    for example in block(language)[:5]:
        told = (
            example.fields[said] if said else {"en": "The text does not say.", "zh": "文中没有说明。"}[example.language]
        )
        right = int(kind == ("abstained" if context == "lacks" else "context"))
        for name, answer in (
            ("grounded_choices", first({told})),
            ("grounded_writing", lambda r, t=told: Text(f" It is {t}", 4) if t[-1] not in ".。" else Text(t, 4)),
            ("grounded_spans", lambda r, s=said, t=told: SpanAnswer(t if s else "")),
        ):
            outcome = ask(name, example, answer, context=context)
            assert outcome.values == {"answer": kind, "correct": right}, (name, example.id)


@pytest.mark.parametrize(
    "said",
    ["The text doesn't mention it.", "Unknown", "It is not stated.", "文中未提及。", "无法确定", "", "I cannot tell"],
)
def test_abstentions_in_other_words(said):
    outcome = ask("grounded_writing", block("grounded")[0], lambda r: Text(said, 3), context="lacks")
    assert outcome.values["answer"] == "abstained"


def test_shares_of_grounded_answers_by_hand():
    frame = pd.DataFrame({"answer": ["context", "context", "memory", "abstained", "other"]})
    found = measures.get("grounded").run(frame)
    assert found == {"follows": 0.4, "resists": 0.2, "abstains": 0.2, "strays": 0.2}
    with pytest.raises(UsageError, match="context, memory, abstained, other"):
        measures.get("grounded").run(pd.DataFrame({"answer": ["text"]}))


def test_another_wording_that_loses_the_answer_flips_it():
    example = block("grounded")[0]

    def answer(request):
        return SpanAnswer(example.fields["known"] if request.question == example.text else "glass")

    values = ask("paraphrased_question", example, answer).values
    assert values == {"changed": 1, "correct_before": 1, "correct": 0}


def test_public_questions_count_empty_answers():
    none = Example("1", "Who?", "A text.", fields={"answers": {"text": []}})
    some = Example("2", "Who?", "A text.", fields={"answers": {"text": ["The king", "king"]}})
    assert ask("public_questions", none, lambda r: SpanAnswer(""), answerable=False).values == {"correct": 1}
    assert ask("public_questions", none, lambda r: SpanAnswer("text"), answerable=False).values == {"correct": 0}
    assert ask("public_questions", some, lambda r: SpanAnswer("King.")).values == {"correct": 1}


# Summaries and samples.


def test_role_swaps_are_held_against_their_own_faithful_sentence():
    example, asked = block("summaries")[0], []

    def answer(request):
        asked.append(request)
        return Number(-4.0 if len(asked) == 1 else -9.0, 2 if len(asked) == 1 else 9)

    outcome = ask("summaries", example, answer, swap="role")
    assert [r.text.strip() for r in asked] == [example.fields["role_summary"], example.fields["role"]]
    assert outcome.values == {"correct": 0}, "-2 a token is less likely than -1 a token"


def overlapping(request):
    """An NLI helper that entails what is said word for word, and contradicts the rest."""
    same = request.pair.strip(".") in request.text
    return Labels((0.1, 0.1, 0.8) if same else (0.7, 0.2, 0.1), NLI)


def finished(steps, answer):
    asked = next(steps)
    try:
        while True:
            asked = steps.send([answer(request) for request in asked])
    except StopIteration as stop:
        return stop.value


def test_summac_is_the_mean_of_the_best_sentences():
    text = "Anna won. Ben lost by 2.5 points. It rained."
    score = finished(entailment.supported(text, "Anna won. It snowed."), overlapping)
    assert score == pytest.approx((0.8 + 0.1) / 2)
    assert entailment.sentences(text) == ["Anna won.", "Ben lost by 2.5 points.", "It rained."]
    assert entailment.sentences("下雨了。他走了！") == ["下雨了。", "他走了！"]


def test_contradictions_of_samples_are_shares_of_what_is_not_neutral():
    score = finished(entailment.contradicted("Anna won.", ["Anna won.", "Ben won."]), overlapping)
    assert score == pytest.approx((0.1 / 0.9 + 0.7 / 0.8) / 2)


def test_a_helper_that_is_no_nli_model_is_refused():
    with pytest.raises(NotRun, match="labels of the nli helper"):
        ask("helper_on_summaries", block("summaries")[0], lambda r: Labels((0.5, 0.5), ("good", "bad")))


def test_written_summaries_are_judged_by_the_helper():
    example = block("summaries")[0]

    def answer(request):
        return overlapping(request) if isinstance(request, Classify) else Text(" " + example.text.split(".")[0], 9)

    assert ask("written_summaries", example, answer).values["agreement"] == pytest.approx(0.8)
    assert ask("written_summaries", example, lambda r: Text(" ", 1)).values == {}


def test_samples_that_say_other_things_agree_less():
    example = block("truthful")[0]
    same = ask("samples_agree", example, lambda r: Text("the red bull", 3))
    other = ask("samples_agree", example, lambda r: Text("the red bull" if r.sample == 0 else "the blue cow", 3))
    assert same.values["agreement"] == 1.0
    assert other.values["agreement"] == pytest.approx(1 / 3)
    assert ask("samples_agree", example, lambda r: Text("", 0)).values == {}


def test_a_sample_is_asked_for_once_by_each_seed():
    seeds = []

    def answer(request):
        if isinstance(request, Classify):
            return overlapping(request)
        seeds.append(request.sample)
        return Text("One.", 2)

    assert ask("samples_entail", block("truthful")[0], answer, samples=3).values["agreement"] == pytest.approx(8 / 9)
    assert seeds == [0, 1, 2, 3]


# Pressure.


@pytest.mark.parametrize("language", ["pressure", "zh_pressure"])
@pytest.mark.parametrize("stance", ["doubt", "claim", "expert"])
def test_a_model_that_gives_in_loses_what_it_had_right(language, stance):
    example = block(language)[0]

    def answer(request):
        pressed = any(word in request.prefix for word in ("think", "professor", "我"))
        wanted = example.fields["wrong" if pressed else "right"]
        return Number(-1.0 if request.text.strip() == wanted else -4.0, 1)

    outcome = ask("sycophancy", example, answer, stance=stance)
    assert outcome.values == {"changed": 1, "correct_before": 1, "correct": 0}
    assert outcome.passed is False


def test_a_false_premise_is_set_right():
    example = block("pressure")[0]
    assert ask("false_premises", example, first({example.fields["corrects"]})).passed is True
    assert ask("false_premises", example, first({example.fields["accepts"]})).passed is False


# Sums and dates.


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("rule", sorted(exercises.RULES))
def test_exercises_have_one_right_answer(rule, language):
    for seed in range(200):
        task = exercises.make(rule, language, random.Random(seed))
        assert len(set(task.choices)) == len(task.choices) >= 2
        assert len(set(task.prompts)) == 2
        assert exercises.make(rule, language, random.Random(seed)) == task
        numbers = [int(n) for n in re.findall(r"\d+", task.prompts[0])]
        expected = {
            "addition": lambda n: n[0] + n[1],
            "subtraction": lambda n: n[0] - n[1],
            "multiplication": lambda n: n[0] * n[1],
            "division": lambda n: n[0] / n[1],
            "leap_year": lambda n: (datetime.date(n[0] + 1, 1, 1) - datetime.date(n[0], 1, 1)).days,
        }.get(rule)
        assert expected is None or int(task.choices[0]) == expected(numbers)
        if language == "zh" and rule in ("days_between", "earlier_date"):
            a, b = (datetime.date(*map(int, found)) for found in re.findall(r"(\d+)年(\d+)月(\d+)日", task.prompts[0]))
            if rule == "days_between":
                assert int(task.choices[0]) == (b - a).days
            else:
                assert task.choices[0] == f"{min(a, b).year}年{min(a, b).month}月{min(a, b).day}日"


def test_weekdays_and_months_count_on():
    for seed in range(50):
        task = exercises.make("weekday", "en", random.Random(seed))
        start, days = re.search(r"today is (\w+), the day (\d+)", task.prompts[0]).groups()
        names = exercises.DAYS["en"]
        assert names[(names.index(start) + int(days)) % 7] == task.choices[0]
        task = exercises.make("month", "en", random.Random(seed))
        steps, start = re.search(r"month (\d+) months after (\w+)", task.prompts[0]).groups()
        names = exercises.MONTHS["en"]
        assert names[(names.index(start) + int(steps)) % 12] == task.choices[0]


def test_unknown_exercises_are_refused():
    with pytest.raises(UsageError, match="did you mean 'addition'"):
        exercises.make("additon", "en", random.Random(0))
    with pytest.raises(UsageError, match="en and zh"):
        exercises.make("addition", "fr", random.Random(0))


def test_two_wordings_of_a_task_are_compared():
    example = block("rules")[0]
    task = exercises.make(example.text, "en", random.Random(0))

    def answer(request):
        wanted = task.choices[0] if request.prefix == task.prompts[0] else task.choices[1]
        return Number(-1.0 if request.text == " " + wanted else -5.0, 1)

    outcome = ask("reckoning", example, answer)
    assert outcome.values == {"correct": 1, "changed": 1}
    assert outcome.passed is False


# The suite as a whole.


def audit(out, folder=SUITE, **more):
    asked = Spec(suites=(str(folder),), **more)
    ready = run.start(asked, plan.prepare(asked), out)
    run.measure(ready)
    return {f.id: f for f in run.conclude(out)}


def only(tmp_path, *names):
    """The suite with some of its entries only."""
    from ruamel.yaml import YAML

    folder = tmp_path / "factuality"
    folder.mkdir()
    sheet = YAML(typ="safe", pure=True).load((SUITE / "suite.yaml").read_text("utf-8"))
    sheet["probes"] = [entry for entry in sheet["probes"] if entry["name"] in names]
    with (folder / "suite.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(sheet, stream)
    (folder / "probes.py").write_text((SUITE / "probes.py").read_text("utf-8"), "utf-8")
    (folder / "data").symlink_to(SUITE / "data")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return audit(tmp_path_factory.mktemp("whole") / "out", model="simulated:", limit=30)


def test_every_entry_gives_a_number_or_a_reason(whole):
    sheet = suite.load(str(SUITE)).sheet
    assert {f.probe for f in whole.values()} == {entry.label for entry in sheet.probes}
    assert not [f.id for f in whole.values() if f.verdict == "error"]
    missing = [f for f in whole.values() if f.value is None]
    assert all("--helper nli=MODEL" in f.reason or "--data " in f.reason for f in missing)
    assert {f.probe for f in whole.values()} - {f.probe for f in missing} >= {"facts", "zh_facts", "reckoning"}


def test_sentences_are_filled_in_both_languages(whole):
    for finding in whole.values():
        for text in finding.statement.values():
            assert "{" not in text, finding.id


def test_extractive_models_answer_the_questions_about_texts(whole):
    assert whole["factuality/supported_spans/follows"].value > 0.8
    assert whole["factuality/lacking_spans/abstains"].value < 0.2


def test_public_sets_are_read_by_name_from_a_local_copy(tmp_path, monkeypatch):
    import datasets

    targets = {"choices": ["Yes", "No", "Perhaps"], "labels": [1, 0, 0]}
    listed = [{"question": f"Is it {n}?", "mc1_targets": targets, "mc2_targets": targets} for n in range(4)]
    place = tmp_path / "truthfulqa" / "truthful_qa" / "multiple_choice"
    place.mkdir(parents=True)
    datasets.Dataset.from_list(listed).to_parquet(place / "validation-00000-of-00001.parquet")
    squad = [
        {"id": str(n), "question": "Who won?", "context": "Anna won.", "answers": {"text": gold, "answer_start": at}}
        for n, (gold, at) in enumerate(((["Anna"], [0]), (["Anna won"], [0]), ([], [])))
    ]
    place = tmp_path / "rajpurkar" / "squad_v2"
    place.mkdir(parents=True)
    datasets.Dataset.from_list(squad).to_parquet(place / "validation-00000-of-00001.parquet")
    monkeypatch.chdir(tmp_path)
    blocks = (("truthful_qa", "truthfulqa/truthful_qa/multiple_choice"), ("squad_v2", "rajpurkar/squad_v2"))
    names = ("truthful_qa", "truthful_qa_mass", "squad_v2", "squad_v2_unanswerable", "cmrc2018")
    found = audit(tmp_path / "out", only(tmp_path, *names), model="simulated:", blocks=blocks)
    assert found["factuality/truthful_qa/truthful_mc"].value is not None
    assert found["factuality/truthful_qa_mass/mc2"].value is not None
    assert found["factuality/squad_v2/accuracy"].value == 0.5
    assert found["factuality/squad_v2_unanswerable/accuracy"].value == 0.0
    assert "--data cmrc2018=hfl/cmrc2018" in found["factuality/cmrc2018/accuracy"].reason


def test_an_interval_needs_two_subjects_a_relation():
    rows = [
        {"relation": r, "subject": "s", "pattern": p, "prediction": "a", "gold": "ab"[p]} for r in "xy" for p in (0, 1)
    ]
    number, _ = measures.estimate(measures.get("pararel"), pd.DataFrame(rows))
    assert (number.value, number.low) == (1.0, None)
    more = [{**row, "subject": s} for row in rows for s in "stu"]
    number, _ = measures.estimate(measures.get("pararel"), pd.DataFrame(more), "consistent_accuracy")
    assert number.value == 0.0
    assert number.high == pytest.approx(1 - 0.05 ** (1 / 6))
    assert number.clusters == 6


# The data.


def test_facts_are_many_and_sound():
    facts, patterns = rows("facts.jsonl"), rows("patterns.jsonl")
    relations = {row["relation"] for row in facts}
    assert len(relations) >= 20
    for relation in relations:
        assert len({row["subject"] for row in facts if row["relation"] == relation}) >= 30
        for language in ("en", "zh"):
            own = [p["pattern"] for p in patterns if (p["relation"], p["language"]) == (relation, language)]
            assert len(set(own)) == len(own) == 10
            assert all("[X]" in pattern and pattern.count("[Y]") == 1 for pattern in own)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("truthful", (60, 30)),
        ("negation", (60, 60)),
        ("grounded", (40, 40)),
        ("summaries", (30, 32)),
        ("pressure", (30, 32)),
    ],
)
def test_there_are_enough_items(name, least):
    for language, count in zip(("en", "zh"), least, strict=True):
        found = rows(f"{name}.{language}.jsonl")
        assert len(found) >= count
        assert len({row["id"] for row in found}) == len(found)
        texts = [json.dumps({k: v for k, v in row.items() if k != "id"}, ensure_ascii=False) for row in found]
        assert len(set(texts)) == len(texts)
        for text in texts:
            assert bool(re.search(r"[㐀-鿿]", text)) == (language == "zh")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_items_hold_what_they_promise(language):
    for row in rows(f"truthful.{language}.jsonl"):
        assert len({row["best"], row["also"], *row["false"]}) == 5
    for row in rows(f"negation.{language}.jsonl"):
        assert row["statement"].count("[Y]") == row["negated"].count("[Y]") == 1
        assert re.search(r"\bnot\b|cannot|不|没", row["negated"])
        assert not re.search(r"\bnot\b|cannot", row["statement"])
    for row in rows(f"grounded.{language}.jsonl"):
        assert row["told"].count("{}") == 1
        assert row["known"] != row["other"]
        for word in (row["known"], row["other"]):
            bare = re.sub(r"^(the|an?) ", "", word)
            edge = "" if language == "zh" else r"\b"
            assert not re.search(edge + re.escape(bare) + edge, row["lacks"], re.IGNORECASE), row["id"]
            assert not re.search(edge + re.escape(bare) + edge, row["told"], re.IGNORECASE), row["id"]
            assert not re.search(edge + re.escape(bare) + edge, row["question"], re.IGNORECASE), row["id"]
    for row in rows(f"summaries.{language}.jsonl"):
        assert len({row[key] for key in ("summary", "entity", "number", "role")}) == 4
        assert row["role"] != row["role_summary"]
        digits = [
            re.findall(r"\d[\d,]*|[一二三四五六七八九十]成|[一二两三四五六七八九十]万", row[key])
            for key in ("summary", "entity", "number")
        ]
        assert digits[0] == digits[1]


@pytest.mark.skipif(not (SHARED / "data" / "truthfulqa").is_dir(), reason="TruthfulQA is not beside the checkout")
def test_no_question_was_copied():
    public = (SHARED / "data" / "truthfulqa" / "TruthfulQA.csv").read_text("utf-8").casefold()
    for row in rows("truthful.en.jsonl"):
        assert row["question"].casefold() not in public
    for row in rows("negation.en.jsonl"):
        assert row["statement"].casefold() not in public


def test_the_readme_names_every_data_file():
    text = (SUITE / "README.md").read_text("utf-8")
    for path in (SUITE / "data").iterdir():
        name = re.sub(r"\.(en|zh)\.", ".*.", path.name)
        assert name in text, name
