"""Measures against scikit-learn, scipy, sacrebleu, rouge-score, TextAttack, or their definitions by brute force."""

import importlib.util
import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.metrics

from audit import measures
from audit.measures import estimate


def run(name, rows, **options):
    return measures.get(name).run(pd.DataFrame(rows), **options)


@pytest.fixture(params=[0, 1, 2])
def generator(request):
    return np.random.default_rng(request.param)


# --- calibration and selection ------------------------------------------------------------------------------------


def test_ece_by_its_definition(generator):
    confidence = np.append(generator.random(300), [0.0, 1.0, 3 / 15, 0.2])
    correct = generator.random(304) < confidence
    gaps, n = [], len(confidence)
    for low, high in itertools.pairwise(np.linspace(0, 1, 16)):
        inside = (confidence > low) & (confidence <= high) | ((low == 0) & (confidence == 0))
        if inside.any():
            gaps.append((inside.sum() / n, abs(correct[inside].mean() - confidence[inside].mean())))
    found = run("ece", {"confidence": confidence, "correct": correct})
    assert found["ece"] == pytest.approx(sum(w * g for w, g in gaps))
    assert found["mce"] == pytest.approx(max(g for _, g in gaps))
    assert found["brier"] == pytest.approx(sklearn.metrics.brier_score_loss(correct, confidence))
    parts = np.array_split(np.argsort(confidence, kind="stable"), 15)
    mass = sum(len(p) / n * abs(correct[p].mean() - confidence[p].mean()) for p in parts)
    assert found["ece_equal_mass"] == pytest.approx(mass, abs=2 / n)  # 0.2 is there twice: its rows share their mean


def test_aurc_by_its_definition(generator):
    confidence, correct = generator.permutation(200) / 200, generator.random(200) < 0.7
    ranked = correct[np.argsort(-confidence)]
    risks = [1 - ranked[:k].mean() for k in range(1, 201)]
    best = [1 - np.sort(correct)[::-1][:k].mean() for k in range(1, 201)]
    found = run("selective", {"confidence": confidence, "correct": correct})
    assert found["aurc"] == pytest.approx(np.mean(risks))
    assert found["e_aurc"] == pytest.approx(np.mean(risks) - np.mean(best))
    assert found["accuracy_at_80"] == pytest.approx(ranked[:160].mean())
    assert found["accuracy_at_90"] == pytest.approx(ranked[:180].mean())
    enough = [k for k in range(1, 201) if ranked[:k].mean() >= 0.95]
    assert found["coverage_at_95"] == pytest.approx(max(enough, default=0) / 200)


@pytest.mark.parametrize("name", ["ece", "selective"])
def test_the_order_of_rows_of_equal_confidence_does_not_matter(name, generator):
    frame = pd.DataFrame({"confidence": generator.integers(0, 6, 100) / 5, "correct": generator.random(100) < 0.6})
    first = measures.get(name).run(frame)
    again = measures.get(name).run(frame.sample(frac=1, random_state=3))
    assert again == pytest.approx(first)


def test_tied_confidences_give_the_mean_over_all_orders():
    confidence, correct = [0.9, 0.5, 0.5, 0.5, 0.1], [1, 1, 0, 0, 1]
    curves = []
    for order in itertools.permutations([1, 2, 3]):
        ranked = np.array(correct)[[0, *order, 4]]
        curves.append(np.mean([1 - ranked[:k].mean() for k in range(1, 6)]))
    assert run("selective", {"confidence": confidence, "correct": correct})["aurc"] == pytest.approx(np.mean(curves))


# --- detection ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [False, True])
def test_ood_detection_equals_scikit_learn(generator, tied):
    out = generator.random(400) < 0.4
    score = generator.normal(1.0 * ~out, 1)
    score = np.round(score, 1) if tied else score
    found = run("ood_detection", {"score": score, "is_ood": out})
    assert found["auroc"] == pytest.approx(sklearn.metrics.roc_auc_score(~out, score))
    assert found["aupr"] == pytest.approx(sklearn.metrics.average_precision_score(~out, score))
    assert found["aupr_out"] == pytest.approx(sklearn.metrics.average_precision_score(out, -score))
    false, true, _ = sklearn.metrics.roc_curve(~out, score, drop_intermediate=False)
    assert found["fpr_at_95_tpr"] == pytest.approx(false[np.argmax(true >= 0.95)])


def test_identity_aucs_equal_scikit_learn(generator):
    frame = pd.DataFrame(
        {"score": generator.random(300), "label": generator.random(300) < 0.5, "subgroup": generator.random(300) < 0.3}
    )
    found = measures.get("identity_auc").run(frame)
    bpsn = frame[(frame["subgroup"] & ~frame["label"]) | (~frame["subgroup"] & frame["label"])]
    assert found["bpsn_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(bpsn["label"], bpsn["score"]))
    positive = frame[frame["label"]]
    u = scipy.stats.mannwhitneyu(
        positive.loc[positive["subgroup"], "score"], positive.loc[~positive["subgroup"], "score"]
    )
    pairs = positive["subgroup"].sum() * (~positive["subgroup"]).sum()
    assert found["positive_aeg"] == pytest.approx(0.5 - u.statistic / pairs)


# --- generated text -----------------------------------------------------------------------------------------------

PREDICTIONS = ["The cat sat on the mat.", "A dog, barking loudly!", "nothing at all", ""]
REFERENCES = [["A cat sat on a mat."], ["The dog barks.", "A dog barking loudly"], ["nothing at all"], ["something"]]


def test_generation_equals_sacrebleu_and_rouge_score():
    import sacrebleu
    from rouge_score import rouge_scorer

    found = run("generation", {"prediction": PREDICTIONS, "references": REFERENCES})
    streams = [[r[0] for r in REFERENCES], [r[1] if len(r) > 1 else None for r in REFERENCES]]
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(PREDICTIONS, streams, force=True).score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(PREDICTIONS, streams).score)
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    for kind in ("rouge1", "rouge2", "rougeL"):
        best = [scorer.score_multi(r, p)[kind].fmeasure for p, r in zip(PREDICTIONS, REFERENCES, strict=True)]
        assert found[kind] == pytest.approx(np.mean(best))
    assert found["exact_match"] == pytest.approx(3 / 4)  # articles, case and punctuation do not count
    assert found["token_f1"] == pytest.approx((1 + 1 + 1 + 0) / 4)


def test_generation_takes_one_reference_in_a_column_of_its_own():
    single = run("generation", {"prediction": ["the cat"], "reference": ["a cat here"]})
    assert single == run("generation", {"prediction": ["the cat"], "references": [["a cat here"]]})
    assert single["token_f1"] == pytest.approx(2 / 3)


def test_chinese_text_is_not_scored_as_nothing():
    found = run("generation", {"prediction": ["我喜欢这部电影"], "reference": ["我喜欢这部影片"]})
    assert found["rouge1"] == pytest.approx(6 / 7)
    assert found["token_f1"] == pytest.approx(6 / 7)
    assert found["bleu"] > 40
    assert run("generation", {"prediction": ["很好。"], "reference": ["很好"]})["exact_match"] == 1


def test_perplexity():
    found = run("perplexity", {"loglikelihood": [-30.0, -10.0], "tokens": [10, 10]})
    assert found["perplexity"] == pytest.approx(math.exp(2))  # the mean of the texts' perplexities would be 11.4
    assert found["bits_per_token"] == pytest.approx(2 / math.log(2))
    assert run("perplexity", {"loglikelihood": [0.0], "tokens": [0]})["perplexity"] is None
    assert "float" in run("perplexity", {"loglikelihood": [-1e6], "tokens": [1]})["reasons"]["perplexity"]


# --- groups -------------------------------------------------------------------------------------------------------


def test_group_gap_names_its_groups():
    found = run("group_gap", {"group": ["a", "a", "b", "b", "c"], "value": [1, 0, 1, 1, 0.2]})
    assert (found["min"], found["max"], found["gap"]) == pytest.approx((0.2, 1.0, 0.8))
    assert (found["worst_group"], found["best_group"]) == ("c", "b")


def test_equal_groups_give_a_gap_that_may_be_zero():
    """Bootstrapping max - min itself would exclude zero nearly always; ours may do so in 5% of samples."""
    false_alarms = naive = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        frame = pd.DataFrame({"group": list("abcde") * 60, "value": generator.random(300) < 0.3})
        found, _ = estimate(measures.get("group_gap"), frame, "gap")
        false_alarms += found.low > 0
        drawn = [
            frame["value"].to_numpy()[generator.integers(0, 60, (5, 60)) * 5 + np.arange(5)[:, None]].mean(1)
            for _ in range(50)
        ]
        naive += np.quantile(np.ptp(drawn, axis=1), 0.025) > 0
        assert found.low <= found.value <= found.high
    assert false_alarms <= 20
    assert naive > 150


def test_a_gap_between_groups_asked_by_the_same_templates_is_seen_through_the_templates():
    generator = np.random.default_rng(0)
    hard = np.repeat(generator.normal(0, 5, 80), 2)
    frame = pd.DataFrame(
        {
            "group": ["f", "m"] * 80,
            "value": hard + generator.normal(0, 0.3, 160) + np.tile([0, 0.3], 80),
            "cluster": np.repeat(np.arange(80), 2),
        }
    )
    paired, _ = estimate(measures.get("group_gap"), frame, "gap")
    loose, _ = estimate(measures.get("group_gap"), frame.drop(columns="cluster"), "gap")
    assert paired.low > 0.1
    assert loose.low == 0


@pytest.mark.parametrize("gap", [0.0, 0.15])
def test_coverage_of_the_gap_of_two_groups(gap):
    inside = 0
    for seed in range(400):
        generator = np.random.default_rng(seed)
        value = generator.random(400) < np.tile([0.4, 0.4 + gap], 200)
        found, _ = estimate(measures.get("group_gap"), pd.DataFrame({"group": ["a", "b"] * 200, "value": value}), "gap")
        inside += found.low <= gap <= found.high
    assert 0.92 <= inside / 400 <= 1 if gap else inside / 400 >= 0.92


# --- sequences of strengths ---------------------------------------------------------------------------------------


def test_breaking_strength_takes_the_smallest_that_broke():
    rows = [("a", 0.1, 0), ("a", 0.2, 1), ("a", 0.3, 0), ("b", 0.1, 0), ("b", 0.3, 0), ("c", 0.3, 1), ("c", 0.1, 1)]
    frame = pd.DataFrame(rows, columns=["item_id", "strength", "changed"])
    found = measures.get("breaking_strength").run(frame)
    assert found["share_broken"] == pytest.approx(2 / 3)
    assert found["median"] == pytest.approx(0.15)
    assert found["n"] == 3
    share, _ = estimate(measures.get("breaking_strength"), frame)
    assert (share.n, share.clusters, share.method) == (3, 3, "wilson, exact one-sided bound")
    never = measures.get("breaking_strength").run(frame.assign(changed=0))
    assert never["median"] is None
    assert "no item" in never["reasons"]["median"]


# --- TextAttack's own metrics -------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("textattack") is None, reason="TextAttack is not installed")
def test_attack_equals_textattacks_metric_classes():
    from audit.kit import recipes_quiet

    recipes_quiet.load()
    from textattack.attack_results import FailedAttackResult, SkippedAttackResult, SuccessfulAttackResult
    from textattack.goal_function_results import ClassificationGoalFunctionResult
    from textattack.metrics.attack_metrics import AttackQueries, AttackSuccessRate, WordsPerturbed
    from textattack.shared import AttackedText

    generator = np.random.default_rng(4)
    kinds = {"successful": SuccessfulAttackResult, "failed": FailedAttackResult, "skipped": SkippedAttackResult}
    results, rows = [], []
    for outcome in generator.choice(list(kinds), 60):
        words = [f"word{k}" for k in range(generator.integers(4, 15))]
        changed = list(generator.choice(len(words), generator.integers(1, 4), replace=False))
        moved = [w + "x" if outcome != "skipped" and k in changed else w for k, w in enumerate(words)]
        queries = int(generator.integers(1, 90))
        first, last = AttackedText(" ".join(words)), AttackedText(" ".join(moved))
        states = [
            ClassificationGoalFunctionResult(t, np.array([0.3, 0.7]), 1, 0, 0.5, n, 0)
            for t, n in ((first, 1), (last, queries))
        ]
        results.append(kinds[outcome](states[0]) if outcome == "skipped" else kinds[outcome](*states))
        rows.append(
            {
                "outcome": outcome,
                "queries": queries,
                "words": len(words),
                "words_changed": len(first.all_words_diff(last)),
            }
        )
    found = run("attack", rows)
    rates = AttackSuccessRate().calculate(results)
    assert round(found["original_accuracy"], 2) == rates["original_accuracy"]
    assert round(found["accuracy_under_attack"], 2) == rates["attack_accuracy_perc"]
    assert round(found["attack_success_rate"], 2) == rates["attack_success_rate"]
    assert found["mean_queries"] == pytest.approx(AttackQueries().calculate(results)["avg_num_queries"], abs=0.0051)
    words = WordsPerturbed().calculate(results)["avg_word_perturbed_perc"]
    assert found["mean_words_changed_percent"] == pytest.approx(words, abs=0.0051)


# --- intervals of every measure -----------------------------------------------------------------------------------


def every_column(n=240):
    generator = np.random.default_rng(7)
    item = np.arange(n) // 3
    return pd.DataFrame(
        {
            "correct": generator.random(n) < 0.8,
            "correct_before": generator.random(n) < 0.9,
            "changed": generator.random(n) < 0.2,
            "passed": generator.random(n) < 0.7,
            "outcome": generator.choice(["successful", "failed", "skipped"], n),
            "queries": generator.integers(1, 50, n),
            "words": 12,
            "words_changed": 2,
            "original": generator.uniform(0.5, 1, n),
            "attacked": generator.uniform(0, 0.5, n),
            "set_id": item,
            "item_id": item,
            "is_original": (np.arange(n) % 3 == 0),
            "strength": np.tile([0.1, 0.2, 0.3], n // 3),
            "value": generator.random(n),
            "confidence": generator.random(n),
            "score": generator.random(n) * 100,
            "is_ood": generator.random(n) < 0.5,
            "direction": generator.choice(["stereo", "antistereo"], n),
            "more": -generator.random(n),
            "less": -generator.random(n),
            "bias_type": "age",
            "term": generator.choice(list("abcdefgh"), n),
            "stereotype": generator.random(n),
            "anti_stereotype": generator.random(n),
            "unrelated": generator.random(n) / 2,
            "category": "age",
            "context": generator.choice(["ambig", "disambig"], n),
            "polarity": generator.choice(["neg", "nonneg"], n),
            "answer": generator.choice(["target", "nontarget", "unknown"], n),
            "label": generator.random(n) < 0.5,
            "subgroup": generator.random(n) < 0.5,
            "group": generator.choice(["g", "h", "i"], n),
            "set": generator.choice(["X", "Y"], n),
            "association": generator.random(n),
            "functionality": "f",
            "predicted": generator.choice(["target", "unknown"], n),
            "question_id": item,
            "position": np.tile([0, 1, 2], n // 3),
            "is_true": np.tile([1, 0, 0], n // 3),
            "loglikelihood": -generator.random(n) * 9,
            "tokens": 5,
            "relation": np.where(item < 40, "r1", "r2"),
            "subject": item,
            "pattern": np.tile(["p", "q", "r"], n // 3),
            "prediction": generator.choice(["target", "unknown"], n),
            "length": np.arange(n),
            "task": "qa1",
            "output": generator.choice(["kitchen", "garden"], n),
            "question": "Where?",
            "target": "kitchen",
            "references": "target",
            "needle_answer": "kitchen",
            "correct_answers": "target",
            "incorrect_answers": "unknown",
            "gold": "target",
            "extra": "ignored",
        }
    )


# Measures of single suites whose columns mean something else here: their own tests are beside their suites.
ELSEWHERE = {
    "agreement",
    "calibration_shift",
    "counterfactual",
    "found_share",
    "grounded",
    "occupations",
    "position_gap",
}
COVERED = [name for name in measures.names() if name not in ELSEWHERE]


@pytest.mark.parametrize("name", COVERED)
def test_every_result_has_an_interval_or_says_why(name):
    measure, frame = measures.get(name), every_column()
    if name == "babilong":
        frame["task"] = "qa1"
    for key in measure.results:
        found, values = estimate(measure, frame, key)
        assert set(measure.results) <= set(values)
        if isinstance(values[key], str):
            assert found.low is None
            continue
        assert found.value == pytest.approx(values[key], abs=1e-9), key
        assert found.method
        if found.low is None:
            assert "interval" in found.method or measure.results[key].none, (key, found.method)
        else:
            assert found.low <= found.value <= found.high, key
            assert found.n > 0


@pytest.mark.parametrize("name", COVERED)
def test_every_measure_has_a_card_a_unit_and_a_direction(name):
    measure = measures.get(name)
    for word in ("Row:", "Direction", "Source:", "Validity:"):
        assert word in measure.card, f"{name}'s card lacks {word}"
    assert len(measure.card_hash) == 12
    assert measure.headline in measure.results
    assert all(r.unit in ("proportion", "percent", "points", "score", "count") for r in measure.results.values())


@pytest.mark.parametrize("name", COVERED)
def test_measures_leave_their_frame_alone_and_ignore_extra_columns(name):
    measure, frame = measures.get(name), every_column()
    before = frame.copy(deep=True)
    found = measure.run(frame)
    pd.testing.assert_frame_equal(frame, before)
    kept = [c for c in frame if c in measure.columns or c in measure.optional]
    assert measure.run(frame[kept]) == found


def test_a_changed_card_is_another_hash():
    def one(frame):
        """A score."""
        return {"value": 1.0}

    def two(frame):
        """Another score."""
        return {"value": 1.0}

    make = measures.measure(columns={}, results={"value": measures.Result()})
    assert make(one).card_hash != make(two).card_hash


def test_a_mean_share_stays_within_its_range():
    """Of six texts one had 20% of what was hidden found: a t interval would begin below zero."""
    frame = pd.DataFrame({"found": [1, 0, 0, 0, 0, 0], "hidden": [5] * 6})
    share, values = estimate(measures.get("found_share"), frame)
    assert values["found_share"] == share.value == pytest.approx(0.2 / 6)
    assert 0 <= share.low < share.value < share.high < 0.6
