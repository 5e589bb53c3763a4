"""Other people's predictions, read into the contract's columns, must give the numbers that were published for them."""

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from audit import measures

DATA = Path(__file__).parents[2] / "../shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no folder shared/data beside the checkout")


@pytest.fixture(scope="module")
def expected():
    return json.loads((DATA / "EXPECTED.json").read_text())


def lines(path):
    with (DATA / path).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


# --- StereoSet ----------------------------------------------------------------------------------------------------


def stereoset_rows(domain, predictions):
    scores = {
        row["id"]: row["score"] for row in json.loads((DATA / "stereoset" / predictions).read_text())["intrasentence"]
    }
    gold = json.loads((DATA / f"stereoset/gold_{domain}_test.json").read_text())
    for item in gold:
        score = {s["gold_label"]: scores[s["id"]] for s in item["sentences"]}
        yield {
            "term": item["target"], "bias_type": item["bias_type"], "stereotype": score["stereotype"],
            "anti_stereotype": score["anti-stereotype"], "unrelated": score["unrelated"],
        }  # fmt: skip


@pytest.mark.parametrize("domain", ["race", "religion"])
@pytest.mark.parametrize(
    "system",
    [
        "gpt2_ModelNSP_GPT2LM",
        "SentimentModel",
        "bert-base-cased_BertNextSentence_BertLM",
        "xlnet-base-cased_ModelNSP_XLNetLM",
    ],
)
def test_stereoset(expected, system, domain):
    official = expected["stereoset"]["values"][f"predictions_{system}.json"]["intrasentence"][domain]
    found = measures.get("stereoset").run(pd.DataFrame(stereoset_rows(domain, f"predictions_{system}.json")))
    assert found["lms"] == pytest.approx(official["LM Score"], abs=1e-9)
    assert found["ss"] == pytest.approx(official["SS Score"], abs=1e-9)
    assert found["icat"] == pytest.approx(official["ICAT Score"], abs=1e-9)
    assert 3 * found["n"] == official["Count"]


# --- BBQ ----------------------------------------------------------------------------------------------------------


def bbq_rows(category, column):
    for item in lines(f"bbq/preds_{category}.jsonl"):
        kinds = [bbq_kind(item, f"ans{i}") for i in range(3)]
        texts = [plain(item[f"ans{i}"]) for i in range(3)]
        said = plain(item[f"unifiedqa-t5-11b_pred_{column}"])
        yield {
            "category": category, "context": item["context_condition"], "polarity": item["question_polarity"],
            "answer": kinds[texts.index(said)] if said in texts else None, "gold": kinds[item["label"]],
        }  # fmt: skip


def bbq_kind(item, answer):
    name, group = item["answer_info"][answer]
    if group == "unknown":
        return "unknown"
    stereotyped = item["additional_metadata"]["stereotyped_groups"]
    return "target" if name in stereotyped or group in stereotyped else "nontarget"


def plain(text):
    return text.strip().lower().rstrip(".")


@pytest.mark.parametrize("column", ["arc", "race"])
@pytest.mark.parametrize("category", ["Age", "Nationality", "Religion"])
def test_bbq(expected, category, column):
    published, where = expected["bbq"], ["arc", "race"].index(column)
    rows = pd.DataFrame(bbq_rows(category, column))
    found = measures.get("bbq").run(rows)
    assert round(100 * found["bias_ambig"], 1) == published["bias_score_ambig"][category][where]
    assert round(100 * found["bias_disambig"], 1) == published["bias_score_disambig"][category][where]
    computed = published["computed"][category][column]
    assert round(100 * found["accuracy_ambig"], 2) == computed["ambig"]["acc"]
    assert round(100 * found["accuracy_disambig"], 2) == computed["disambig"]["acc"]
    assert found["n"] == computed["ambig"]["n"] + computed["disambig"]["n"]
    assert found.get("left_out", 0) == len(rows) - found["n"]


def test_bbq_scaled_by_the_accuracy_over_all_items_would_be_another_number(expected):
    """Trap 3: one peer scales the ambiguous score by 1 - accuracy over all items."""
    rows = pd.DataFrame(bbq_rows("Age", "arc"))
    found = measures.get("bbq").run(rows)
    kept = rows[rows["answer"].notna()]
    overall = (kept["answer"] == kept["gold"]).mean()
    peer = found["bias_ambig"] / (1 - found["accuracy_ambig"]) * (1 - overall)
    assert round(100 * peer, 1) != expected["bbq"]["bias_score_ambig"]["Age"][0]


# --- HateCheck ----------------------------------------------------------------------------------------------------


def hatecheck_rows(model):
    with (DATA / "hatecheck/model_predictions.csv").open(encoding="utf-8") as file:
        predicted = {row["case_id"]: row for row in csv.DictReader(file)}
    with (DATA / "hatecheck/test_suite_cases.csv").open(encoding="utf-8") as file:
        for case in csv.DictReader(file):
            yield {
                "functionality": case["functionality"], "gold": case["label_gold"], "group": case["target_ident"],
                "predicted": predicted[case["case_id"]][f"pred_{model}"], "template": "IDENTITY" in case["case_templ"],
            }  # fmt: skip


@pytest.mark.parametrize("model", ["BERT_davidson2017_weighted", "BERT_founta2018_weighted"])
def test_hatecheck(expected, model):
    functional, published = measures.get("functional"), expected["hatecheck"]
    rows = pd.DataFrame(hatecheck_rows(model))
    found = [
        functional.run(part)["accuracy"]
        for part in (rows, *(rows[rows["gold"] == g] for g in ("hateful", "non-hateful")))
    ]
    assert [round(100 * value, 1) for value in found] == published["overall"][model]
    column = list(published["overall"]).index(model)
    for group, accuracies in published["target_ident_accuracy_template_cases_only"].items():
        part = rows[rows["template"] & (rows["group"] == group)]
        assert len(part) == 421
        assert round(100 * functional.run(part)["accuracy"], 1) == accuracies[column]


# --- PromptBench --------------------------------------------------------------------------------------------------


def promptbench_rows(model, attack):
    for shots in ("zeroshot", "fewshot"):
        section = ""
        for line in (DATA / f"promptbench/{model}_{shots}.md").read_text(encoding="utf-8").splitlines():
            if line.startswith("## "):
                section = line[3:].strip()
            numbers = re.match(r"Original acc: ([\d.]+)%, attacked acc: ([\d.]+)%", line)
            if numbers and section == attack:
                yield {"original": float(numbers[1]), "attacked": float(numbers[2])}


@pytest.mark.parametrize("attack", ["bertattack", "checklist", "deepwordbug", "stresstest", "textbugger", "textfooler"])
@pytest.mark.parametrize("model", ["t5", "vicuna"])
def test_promptbench_pdr(expected, model, attack):
    rows = pd.DataFrame(promptbench_rows(model, attack))
    found = measures.get("pdr").run(rows)
    mean, std, n = expected["promptbench_pdr"]["computed"][f"{model}|{attack}"]
    assert (round(found["mean"], 2), round(found["std"], 2)) == (mean, std)
    assert len(rows) - found.get("left_out", 0) == n


# --- contrast sets ------------------------------------------------------------------------------------------------

MATRES = {"AFTER": "1", "BEFORE": "0", "EQUAL": "2", "VAGUE": "3"}


def matres_rows():
    for part in ("original", "perturbed"):
        path = DATA / f"contrast_sets/matres/proposed_elmo_lr0.001.{part}.output"
        for line in path.read_text().splitlines():
            item, gold, predicted, _ = line.split(",", 3)
            yield {"set_id": item, "correct": MATRES[gold] == predicted, "is_original": part == "original"}


def test_matres_contrast_consistency(expected):
    found = measures.get("contrast_consistency").run(pd.DataFrame(matres_rows()))
    published = expected["contrast_sets"]["MATRES"]
    assert round(100 * found["original_accuracy"], 1) == published["original_acc"]
    assert round(100 * found["contrast_accuracy"], 1) == published["contrast_acc"]
    assert round(100 * found["consistency"], 1) == published["consistency"]


# --- TruthfulQA ---------------------------------------------------------------------------------------------------

GEMMA = "truthfulqa/google__gemma-2-9b__samples_truthfulqa-multi_gen_en_2024-10-22T17-11-01.997775.jsonl"


def test_truthfulqa_generation(expected):
    samples = lines(GEMMA)
    rows = pd.DataFrame(
        {
            "prediction": sample["filtered_resps"][0],
            "correct_answers": sample["doc"]["correct_answers"],
            "incorrect_answers": sample["doc"]["incorrect_answers"],
        }
        for sample in samples
    )
    measure = measures.get("truthful_generation")
    found = measure.run(rows)
    values = next(iter(expected["truthfulqa"]["values"].values()))["truthfulqa-multi_gen_en"]
    assert found["n"] == len(samples) == 817
    for key in ("bleu_acc", "bleu_max", "bleu_diff"):
        assert found[key] == pytest.approx(values[f"{key},none"], abs=1e-9)
        assert found[f"{key}_stderr"] == pytest.approx(values[f"{key}_stderr,none"], abs=1e-9)
    each = measure.rows(measure.check(rows))
    assert each["bleu_max"].tolist() == pytest.approx([s["bleu_max"] for s in samples], abs=1e-9)
    assert (each["bleu_diff"] > 0).tolist() == [bool(s["bleu_acc"]) for s in samples]


# --- RULER --------------------------------------------------------------------------------------------------------

LENGTHS = ("4k", "8k", "16k", "32k", "64k", "128k")
REPORTED_BY_AUTHORS = ("Qwen3-14B*", "Qwen2.5-7B-Instruct-1M*", "Qwen3-8B*", "Qwen3-4B*", "EXAONE")


def ruler_rows():
    with (DATA / "ruler/results_table.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if not row["model"].startswith(REPORTED_BY_AUTHORS)]


def test_ruler_effective_length():
    table = ruler_rows()
    assert len(table) >= 18  # of the 39 rows measured by RULER's authors, those kept here
    for row in table:
        tested = [name for name in LENGTHS if row[name]]
        frame = pd.DataFrame({"length": [int(name[:-1]) for name in tested], "score": [float(row[n]) for n in tested]})
        found = measures.get("effective_length").run(frame)
        length = found["effective_length"]
        claim = row["effective_published"].upper()
        # The table prints "<4K" where 4K already fails, and ">128K" where the longest length tested still works.
        shown = {0: "<4K", 128: ">128K"}.get(length, f"{length}K")
        assert shown == claim or (length == 128 and claim == "128K"), row["model"]
        assert found["average"] == pytest.approx(float(row["avg_recomputed"]), abs=0.006)


# --- BABILong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", ["NousResearch__Meta-Llama-3-8B-Instruct.jsonl", "microsoft__Phi-3-mini-128k-instruct.jsonl"]
)
def test_babilong_verdict_of_every_row(expected, file):
    rows = pd.DataFrame(lines(f"babilong/{file}"))
    measure = measures.get("babilong")
    verdicts = measure.rows(measure.check(rows))
    assert verdicts["correct"].tolist() == rows["official_correct"].tolist()
    for cell, (right, n) in expected["babilong"]["correct_total"][file].items():
        task, length = cell.split("|")
        part = rows[(rows["task"] == task) & (rows["length"] == length)]
        assert measure.run(part)["accuracy"] * len(part) == pytest.approx(right)
        assert len(part) == n


# --- needle -------------------------------------------------------------------------------------------------------


def test_needle_against_its_judge(expected):
    rows = pd.DataFrame(lines("niah/claude-2.1_original_results.jsonl"))
    frame = pd.DataFrame(
        {"output": rows["model_response"], "needle_answer": [["Dolores Park", "sandwich"]] * len(rows)}
    )
    measure, known = measures.get("needle"), expected["niah_claude21"]
    found, judged = measure.rows(measure.check(frame))["correct"], rows["score"] == 10
    assert len(rows) == known["n"]
    against = known["substring_dolores_park_and_sandwich_vs_judge10"]
    assert int((found & judged).sum()) == against["both"]
    assert int((found & ~judged).sum()) == against["substring_only"]
    assert int((~found & ~judged).sum()) == against["neither"]
    assert (found == judged).mean() == pytest.approx(0.985, abs=5e-4)  # as the card says
    assert measure.run(frame)["accuracy"] == pytest.approx((against["both"] + against["substring_only"]) / len(rows))
