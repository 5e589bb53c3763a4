"""The out-of-distribution suite: its scores against direct computations, its probes by hand, the user's own domains."""

from __future__ import annotations

import functools
import json
import math
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HOME
from ruamel.yaml import YAML

from audit import Embed, Example, Labels, LogProb, NotRun, Number, Trial, UsageError, Vector, plan, run, store, suite
from audit.kit import outliers
from audit.plan import Spec
from audit.types import Finding, Record

OOD = HOME / "suites" / "ood"
SIMULATED = "simulated:accuracy=0.9"


def only(folder: Path, *labels: str) -> Path:
    """A copy of the suite with these entries only."""
    made = folder / "ood"
    shutil.copytree(OOD, made, ignore=shutil.ignore_patterns("__pycache__"))
    yaml = YAML()
    sheet = yaml.load(made / "suite.yaml")
    sheet["probes"] = [entry for entry in sheet["probes"] if entry.get("name", entry["probe"]) in labels]
    sheet["across"] = [across for across in sheet["across"] if set(across["probes"]) <= set(labels)]
    yaml.dump(sheet, made / "suite.yaml")
    return made


def audited(folder: Path, out: Path, model: str = SIMULATED, **more: Any) -> dict[str, Finding]:
    spec = Spec(suites=(str(folder),), model=model, **more)
    ready = run.start(spec, plan.prepare(spec), out)
    run.measure(ready)
    return {finding.id: finding for finding in run.conclude(out)}


def records(out: Path) -> list[Record]:
    return [record for record in store.Store(out) if record.outcome is not None]


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def films(count: int, good: float = 0.5) -> list[dict[str, Any]]:
    """Rows whose label the simulated subject reads rightly when it makes no errors."""
    rows = [("a great film number", "positive"), ("a terrible film number", "negative")]
    return [{"text": f"{rows[i % 2][0]} {i}", "label": rows[i % 2][1]} for i in range(count)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[dict[str, Finding], Path]:
    out = tmp_path_factory.mktemp("whole") / "out"
    return audited(OOD, out, limit=48), out


def test_every_entry_gives_a_number_or_a_reason(whole):
    found, _ = whole
    sheet = suite.load(str(OOD)).sheet
    assert {f.probe for f in found.values()} == {e.label for e in sheet.probes} | {a.name for a in sheet.across}
    assert not [f.id for f in found.values() if f.verdict == "error"]
    assert not [f.id for f in found.values() if f.value is None and not f.reason]
    missing = {f.id: f.reason for f in found.values() if f.value is None and not f.group}
    assert {name: why for name, why in missing.items() if "in-distribution texts" not in why} == {}


def test_sentences_are_filled_in_both_languages(whole):
    for finding in whole[0].values():
        for text in finding.statement.values():
            assert "{" not in text.replace('{"', ""), finding.id


def test_worst_domain_is_named(whole):
    found, _ = whole
    worst = found["ood/worst_domain/min"]
    domains = {f.group: f.value for f in found.values() if f.id.startswith("ood/domains/accuracy@")}
    assert worst.value == min(domains.values())
    assert worst.detail["worst_group"] in worst.statement["en"]


def test_a_slice_holds_one_domain_against_the_in_distribution_rows(whole):
    found, out = whole
    rows = [r for r in records(out) if r.entry == "domains"]
    right = {g: [r.outcome.values["correct"] for r in rows if r.group == g] for g in {r.group for r in rows}}
    for finding in (f for f in found.values() if f.id.startswith("ood/domains/domain_drop@")):
        assert finding.value == pytest.approx(np.mean(right["reviews"]) - np.mean(right[finding.group]))
        assert finding.n == len(right["reviews"]) + len(right[finding.group])


def test_contrast_sets_are_kept_whole_by_a_limit(whole):
    rows = [r for r in records(whole[1]) if r.entry == "contrast"]
    names = [r.outcome.values["set_id"] for r in rows]
    assert len(rows) == 48
    assert {names.count(name) for name in names} == {2}


# The user's own domains.


def test_own_domains_take_the_place_of_the_suites(tmp_path):
    folder = only(tmp_path, "domains", "detection", "distance")
    blocks = (("out", written(tmp_path / "b.jsonl", films(40))), ("in", written(tmp_path / "a.jsonl", films(60))))
    found = audited(folder, tmp_path / "out", "simulated:accuracy=1", blocks=blocks)
    assert found["ood/domains/domain_drop"].value == 0
    assert found["ood/domains/domain_drop"].n == 100
    assert found["ood/domains/domain_drop"].direction == "lower"
    rows = [r for r in records(tmp_path / "out") if r.entry == "domains"]
    assert {(r.group, r.outcome.values["is_ood"]) for r in rows} == {("in", 0), ("out", 1)}
    assert len({r.example for r in rows}) == 100, "rows of two files keep apart"
    assert {f.group for f in found.values() if "/auroc@" in f.id} == {"out", "nonsense"}


def test_one_domain_of_ones_own_stands_beside_the_suites(tmp_path):
    folder = only(tmp_path, "domains")
    blocks = (("in", written(tmp_path / "a.jsonl", films(60))),)
    found = audited(folder, tmp_path / "out", blocks=blocks)
    assert {f.group for f in found.values() if "domain_drop@" in f.id} == {
        "reviews", "news", "medical", "legal", "finance", "social", "support", "conversation",
    }  # fmt: skip


def test_the_first_is_in_distribution_where_none_is_called_in(tmp_path):
    folder = only(tmp_path, "domains")
    blocks = (("films", written(tmp_path / "a.jsonl", films(20))), ("books", written(tmp_path / "b.jsonl", films(20))))
    audited(folder, tmp_path / "out", blocks=blocks)
    sides = {(r.group, r.outcome.values["is_ood"]) for r in records(tmp_path / "out")}
    assert sides == {("films", 0), ("books", 1)}


def test_one_group_only_is_not_run(tmp_path):
    folder = only(tmp_path, "domains", "detection")
    found = audited(folder, tmp_path / "out", data=written(tmp_path / "a.jsonl", films(30)))
    drop, auroc = found["ood/domains/domain_drop"], found["ood/detection/score=msp/auroc"]
    assert drop.verdict == auroc.verdict == "not_run"
    assert "only one kind of row" in drop.reason
    assert found["ood/domains/accuracy"].value is not None


def test_one_file_with_a_column_of_unknown_domains(tmp_path):
    folder = only(tmp_path, "domains")
    rows = [{**row, "source": ["planets", "rivers"][i % 3 == 0]} for i, row in enumerate(films(60))]
    found = audited(folder, tmp_path / "out", data=written(tmp_path / "a.jsonl", rows), group="source")
    assert found["ood/domains/domain_drop"].n == 60
    assert {f.group for f in found.values() if "/accuracy@" in f.id} == {"planets", "rivers"}


def test_too_few_items_are_inconclusive_with_the_n_that_would_do(tmp_path):
    folder = only(tmp_path, "domains")
    blocks = (("in", written(tmp_path / "a.jsonl", films(8))), ("out", written(tmp_path / "b.jsonl", films(6))))
    drop = audited(folder, tmp_path / "out", blocks=blocks)["ood/domains/domain_drop"]
    assert drop.verdict == "inconclusive"
    assert drop.detail["n_to_decide"] > drop.n
    assert f"about {drop.detail['n_to_decide']:,} items would be needed" in drop.statement["en"]


def test_a_name_given_twice_or_a_slip_is_refused(tmp_path):
    path = written(tmp_path / "a.jsonl", films(4))
    with pytest.raises(UsageError, match=r"--data in=... is given 2 times"):
        plan.prepare(Spec((str(OOD),), SIMULATED, blocks=(("in", path), ("in", path))))
    other = Spec((str(HOME / "suites" / "robustness"),), SIMULATED, blocks=(("enn", path),))
    with pytest.raises(UsageError, match=r"no data block 'enn': did you mean 'en'"):
        plan.prepare(other)


def test_data_without_what_a_probe_needs_says_so(tmp_path):
    folder = only(tmp_path, "domains", "contrast", "nonsense", "styles", "few_shot")
    rows = [{"text": row["text"]} for row in films(20)]
    found = audited(folder, tmp_path / "out", data=written(tmp_path / "a.jsonl", rows))
    assert "set_id" in found["ood/contrast/consistency"].reason
    assert "column 'kind'" in found["ood/nonsense/failure_rate"].reason
    assert "column 'base'" in found["ood/styles/accuracy_drop"].reason
    assert "labelled in-distribution texts" in found["ood/few_shot/count=2/accuracy"].reason
    assert "no labels" in found["ood/domains/accuracy"].statement["en"]


def test_no_in_distribution_rows_in_a_language(tmp_path):
    folder = only(tmp_path, "zh_domains")
    blocks = (("in", written(tmp_path / "a.jsonl", films(20))), ("out", written(tmp_path / "b.jsonl", films(20))))
    found = audited(folder, tmp_path / "out", blocks=blocks)
    assert "no text in Chinese" in found["ood/zh_domains/accuracy"].reason


# Probes by hand, without a model.


def probes() -> dict[str, Any]:
    return {bound.probe.name: bound.probe for bound in suite.bind(suite.load(str(OOD)))}


def people(count: int) -> tuple[Example, ...]:
    return tuple(Example(str(i), f"text {i}", label=["bad", "good"][i % 2], group="in") for i in range(count))


def test_peers_are_part_of_what_was_asked():
    probe, one = probes()["domain"], Example("1", "x")
    plainly = Trial("s", "e", probe, one, peers=people(2))
    assert plainly.id == Trial("s", "e", probe, one).id
    assert Trial("s", "e", probe, one, peers=people(2), company="a").id != plainly.id


def test_worked_examples_are_the_same_for_all_and_never_the_text_itself():
    ask = probes()["shots"].run
    peers = people(10)
    first = next(ask(Example("x", "new", label="good", group="out"), random.Random(0), peers, 4))
    assert [r.text for r in first] == [" bad", " good", " bad", " good"]
    assert first[0] == LogProb("Review: new\nSentiment:", " bad")
    assert first[2].prefix.count("Review:") == 5
    assert first[2].prefix.startswith("Review: text 0\nSentiment: bad\n\nReview: text 1\nSentiment: good\n\n")
    own = next(ask(peers[0], random.Random(0), peers, 4))
    assert own[2].prefix.count("text 0") == 1
    assert own[2].prefix.endswith("Review: text 0\nSentiment:")


def test_order_asks_the_same_examples_in_another_order():
    steps = probes()["order"].run(Example("x", "new", label="good", group="out"), random.Random(0), people(10), 4, 3)
    asked = next(steps)
    before, after = asked[0].prefix.split("\n\n"), asked[2].prefix.split("\n\n")
    assert before != after
    assert sorted(before) == sorted(after)
    with pytest.raises(StopIteration) as stop:
        steps.send([Number(-1.0, 1), Number(-2.0, 1), Number(-3.0, 1), Number(-2.0, 1)])
    assert stop.value.value.values["changed"] == 1
    assert stop.value.value.values["correct"] == 1


def test_too_few_labelled_peers_for_the_examples():
    ask = probes()["shots"].run
    with pytest.raises(NotRun, match="8 labelled"):
        next(ask(Example("x", "new", label="good", group="out"), random.Random(0), people(4), 8))


def test_a_text_is_left_out_of_its_own_bank():
    peers = people(12)
    steps = probes()["distance_score"].run(peers[3], random.Random(0), peers, "knn", 1)
    asked = next(steps)
    assert asked[0] == Embed("text 3")
    assert Embed("text 3") not in asked[1:]
    assert len(asked) == 12
    vectors = [Vector((1.0, 0.0)), *(Vector((0.0, float(i + 1))) for i in range(11))]
    with pytest.raises(StopIteration) as stop:
        steps.send(vectors)
    assert stop.value.value.values == {"score": pytest.approx(-math.sqrt(2)), "is_ood": 0}


def test_longer_texts_keep_their_label():
    steps = probes()["length"].run(people(40)[1], random.Random(0), people(40), 4)
    _, whole = next(steps)
    numbers = [int(word) for word in whole.text.split() if word.isdigit()]
    assert len(numbers) == 4
    assert 1 in numbers
    assert all(number % 2 for number in numbers)


@pytest.mark.parametrize("kind", ["record", "html"])
def test_layouts_quote_what_they_hold(kind):
    text = 'He said "no" & <left>'
    _, framed = next(probes()["layout"].run(Example("1", text), random.Random(0), kind))
    if kind == "record":
        assert json.loads(framed.text)["text"] == text
    else:
        assert "&quot;no&quot; &amp; &lt;left&gt;" in framed.text


# Scores against other people's code.


def test_scores_of_one_answer():
    from scipy.special import logsumexp, softmax
    from scipy.stats import entropy

    logits = np.array([2.0, -1.0, 0.5])
    answer = Labels(tuple(softmax(logits)), ("a", "b", "c"), tuple(logits))
    assert outliers.msp(answer) == pytest.approx(softmax(logits).max())
    assert outliers.max_logit(answer) == 2.0
    assert outliers.energy(answer) == pytest.approx(logsumexp(logits))
    assert outliers.entropy(answer) == pytest.approx(-entropy(softmax(logits)))
    with pytest.raises(NotRun, match="no logits"):
        outliers.energy(Labels((0.5, 0.5), ("a", "b")))


@pytest.mark.parametrize("shape", [(20, 50), (200, 10), (40, 40)])
def test_distances_against_scikit_learn(shape):
    from sklearn.covariance import LedoitWolf
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import normalize

    rng = np.random.default_rng(0)
    rows, one = rng.normal(size=shape) * rng.uniform(0.1, 3, shape[1]), rng.normal(size=shape[1])
    labels = ["a" if i % 3 else "b" for i in range(len(rows))]
    means = {name: rows[[label == name for label in labels]].mean(axis=0) for name in "ab"}
    centred = rows - np.stack([means[label] for label in labels])
    covariance = LedoitWolf(assume_centered=True).fit(centred).covariance_
    expected = -min(float((one - m) @ np.linalg.inv(covariance) @ (one - m)) for m in means.values())
    bank = outliers.bank(tuple(map(tuple, rows)), tuple(labels))
    assert bank.mahalanobis(one) == pytest.approx(expected, rel=1e-6)
    found = NearestNeighbors(n_neighbors=5).fit(normalize(rows)).kneighbors(normalize(one[None]))[0][0, 4]
    assert bank.knn(one, 5) == pytest.approx(-found)


def test_a_bank_of_few_says_so():
    with pytest.raises(NotRun, match="at least 8"):
        outliers.bank(((1.0, 2.0),) * 7, (None,) * 7)


def test_a_bank_without_any_spread_still_gives_numbers():
    bank = outliers.bank(((1.0, 2.0),) * 8, (None,) * 8)
    assert math.isfinite(bank.mahalanobis((1.0, 2.1)))
    assert math.isfinite(bank.knn((0.0, 0.0), 3))


# Real text and a real model.


def film_reviews(shared: Path, count: int) -> list[dict[str, Any]]:
    """The first of the MR sentences that the model was not trained on, in their drawn order."""
    ids = json.loads((shared / "data" / "text" / "mr_test_ids.json").read_text("utf-8"))["ids"][:count]
    with zipfile.ZipFile(shared / "data" / "text" / "sentence_polarity.zip") as box:
        whole = {part: box.read(f"sentence_polarity/rt-polarity.{part}").decode("latin-1") for part in ("pos", "neg")}
    lines = {part: text.split("\n") for part, text in whole.items()}
    names = {"pos": "positive", "neg": "negative"}
    rows = [name.split(":") for name in ids]
    return [{"text": lines[part][int(at)].strip(), "label": names[part]} for part, at in rows]


def plots(shared: Path, count: int) -> list[dict[str, Any]]:
    """Sentences of film plots, which judge nothing."""
    with zipfile.ZipFile(shared / "data" / "text" / "subjectivity.zip") as box:
        lines = box.read("subjectivity/plot.tok.gt9.5000").decode("latin-1").split("\n")
    return [{"text": line.strip(), "label": "negative"} for line in lines[:count]]


def test_a_model_of_film_reviews_drops_out_of_its_domain(shared, tmp_path):
    folder = only(tmp_path, "domains")
    blocks = (("in", written(tmp_path / "mr.jsonl", film_reviews(shared, 400))),)
    found = audited(folder, tmp_path / "out", str(shared / "models" / "minilm-sentiment"), blocks=blocks)
    drop = found["ood/domains/domain_drop@support"]
    assert drop.low > 0
    assert drop.verdict == "confirmed"
    assert found["ood/domains/overconfidence_shift@support"].low > 0


@pytest.fixture(scope="module")
def detected(tmp_path_factory) -> tuple[dict[str, Finding], list[Record], Path]:
    shared = HOME.parent / "shared"
    if not shared.is_dir():
        pytest.skip("the folder 'shared' with real data and models is not beside this checkout")
    where = tmp_path_factory.mktemp("detected")
    rows = film_reviews(shared, 40), plots(shared, 40)
    blocks = (("in", written(where / "in.jsonl", rows[0])), ("out", written(where / "out.jsonl", rows[1])))
    model = str(shared / "models" / "minilm-sentiment")
    found = audited(only(where, "detection", "distance"), where / "run", model, blocks=blocks)
    return found, records(where / "run"), where


@pytest.fixture(scope="module")
def direct(detected) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Logits and mean last hidden states of each text, one text at a time, by group and row number."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = HOME.parent / "shared" / "models" / "minilm-sentiment"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    texts = {
        group: [json.loads(line)["text"] for line in (detected[2] / f"{group}.jsonl").read_text().splitlines()]
        for group in ("in", "out")
    }
    nonsense = [json.loads(line) for line in (OOD / "data" / "nonsense.en.jsonl").read_text("utf-8").splitlines()]
    texts["nonsense"] = [row["text"] for row in nonsense]
    names = {"nonsense": [row["id"] for row in nonsense]}
    found: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for group, rows in texts.items():
        ids = names.get(group, [f"{group}:{at}" for at in range(len(rows))])
        found[group] = {}
        for name, text in zip(ids, rows, strict=True):
            with torch.inference_mode():
                out = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
            found[group][name] = out.logits[0].double().numpy(), out.hidden_states[-1][0].mean(0).double().numpy()
    return found


def scores(direct, kind: str, labels: dict[str, str]) -> dict[str, float]:
    """One score of every text from its own forward pass, by libraries other than ours."""
    from scipy.special import logsumexp, softmax
    from scipy.stats import entropy
    from sklearn.covariance import LedoitWolf
    from sklearn.preprocessing import normalize

    of_logits = {
        "msp": lambda z: softmax(z).max(),
        "max_logit": max,
        "energy": logsumexp,
        "entropy": lambda z: -entropy(softmax(z)),
    }
    every = {name: pair for rows in direct.values() for name, pair in rows.items()}
    if kind in of_logits:
        return {name: float(of_logits[kind](logits)) for name, (logits, _) in every.items()}

    @functools.cache
    def fitted(left_out: str) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        bank = [(labels[other], v) for other, (_, v) in direct["in"].items() if other != left_out]
        rows = np.stack([v for _, v in bank])
        means = {c: rows[[label == c for label, _ in bank]].mean(axis=0) for c in ("negative", "positive")}
        shrunk = LedoitWolf(assume_centered=True).fit(rows - np.stack([means[label] for label, _ in bank]))
        return normalize(rows), list(means.values()), np.linalg.inv(shrunk.covariance_)

    found = {}
    for name, (_, vector) in every.items():
        units, means, inverse = fitted(name if name in direct["in"] else "")
        if kind == "knn":
            found[name] = -float(np.sort(np.linalg.norm(units - normalize(vector[None]), axis=1))[9])
        else:
            found[name] = -min(float((vector - m) @ inverse @ (vector - m)) for m in means)
    return found


@pytest.mark.parametrize("kind", [*outliers.CONFIDENCE, *outliers.DISTANCE])
def test_detection_agrees_with_a_direct_computation(detected, direct, kind):
    from sklearn.metrics import average_precision_score, roc_auc_score

    found, rows, where = detected
    inside = [json.loads(line) for line in (where / "in.jsonl").read_text().splitlines()]
    expected = scores(direct, kind, {f"in:{at}": row["label"] for at, row in enumerate(inside)})
    entry = "distance" if kind in outliers.DISTANCE else "detection"
    ours = {r.example: r for r in rows if r.entry == entry and r.params["score"] == kind}
    assert set(ours) == set(expected)
    for name, record in ours.items():
        assert record.outcome.values["score"] == pytest.approx(expected[name], rel=2e-3, abs=2e-4), name
    for group in ("out", "nonsense"):
        kept = [name for name, r in ours.items() if r.group in ("in", group)]
        truth, values = [int(ours[name].group == "in") for name in kept], [expected[name] for name in kept]
        auroc = found[f"ood/{entry}/score={kind}/auroc@{group}"]
        assert auroc.value == pytest.approx(roc_auc_score(truth, values), abs=2e-3)
        assert auroc.low < auroc.value < auroc.high
        assert auroc.detail["aupr"] == pytest.approx(average_precision_score(truth, values), abs=5e-3)
