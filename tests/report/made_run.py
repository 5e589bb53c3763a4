"""Builds run folders as the engine writes them: many probes with curves, groups, gaps, errors and hostile text."""

from __future__ import annotations

import json
import math
import random
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from audit.types import Finding, Outcome, Record

GROUPS = ("books", "electronics", "films", "hotels", "restaurants")
RATES = (0.02, 0.05, 0.1, 0.2)
HOSTILE = (
    '<script>alert(1)</script><img src=x onerror=alert(2)>]]>" style="color:red" onclick=\'x\' {{ 7*7 }} {% raw %} '
    "https://evil.example/x.js \u202eevil\u202c \x00\x08\x1b[31m &amp; --> </style> </title>"
)
ENGLISH = """keyboard_typos misspellings swapped_letters deleted_letters inserted_letters repeated_letters ocr_errors
    phonetic upper_case lower_case title_case random_case dropped_punctuation added_punctuation spaces_dropped
    spaces_added spaces_shifted contractions expansions british american diacritics leetspeak emoji homoglyphs
    zero_width bidi invisible_deletion filler_words distractor"""
CHINESE = "homophones look_alikes traditional simplified character_swap full_width pinyin"
NO_CHINESE = {
    "en": "the tokenizer loses more than a fifth of most texts to unknown tokens; ask a model that reads Chinese.",
    "zh": "大多数文本有超过五分之一被分词器当作未知词丢失；请换用能读中文的模型。",
}
NO_VECTORS = {
    "en": "word vectors are not here: put them into the folder that TA_CACHE_DIR names.",
    "zh": "缺少词向量：请将其放入 TA_CACHE_DIR 所指的文件夹。",
}
CARD = "Share of answers that change.\n\nDirection: lower is better; ideal 0; a proportion.\n" + HOSTILE
ATTACKED = {"unit": "percent", "card": "How often a search finds a wrong answer.", "card_hash": "decade"}
EVIL = "feedbeef00000000"


@dataclass
class Draft:
    """A run folder in the making."""

    findings: list[Finding] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(7))


def build(folder: Path, probes: int = 30, *, hostile: bool = True, groups: tuple[str, ...] = GROUPS) -> Path:
    """Write run.json, findings.json and records.jsonl of a made-up but plausible run into `folder`."""
    draft = Draft()
    _clean(draft)
    names = ENGLISH.split() + [f"extra_{at}" for at in range(max(0, probes - 30))]
    for at, name in enumerate(names[:probes]):
        _sweep(draft, name, at, groups)
    for name in CHINESE.split():
        _not_run(draft, name, "zh", NO_CHINESE)
    _attacks(draft)
    if hostile:
        _hostile(draft)
    return write(folder, draft)


def write(folder: Path, draft: Draft) -> Path:
    """Write the three files the report reads, the last record torn as by a kill."""
    folder.mkdir(parents=True, exist_ok=True)
    run = about(draft)
    (folder / "run.json").write_text(json.dumps(run, sort_keys=True), "utf-8")
    findings = {"schema": 1, "run": run, "findings": [asdict(each) for each in draft.findings]}
    (folder / "findings.json").write_text(json.dumps(findings, sort_keys=True), "utf-8")
    lines = [json.dumps(asdict(record)) for record in draft.records]
    (folder / "records.jsonl").write_text("\n".join(lines) + '\n{"trial": "torn', "utf-8")
    return folder


def finding(probe: str, measure: str, value: float, n: int, **rest: Any) -> Finding:
    """A judged finding; `value` in the measure's unit, limits at 10% (flips, attacks) or 3 points (drops)."""
    unit, direction, params = rest.pop("unit", "proportion"), rest.pop("direction", "lower"), rest.pop("params", {})
    scale = 100 if unit == "percent" else 1
    limit = rest.pop("limit", 0.03 if unit == "points" else 0.1 * scale)
    share = value / scale
    half = 1.96 * math.sqrt(max(share * (1 - share), 0.01) / n) * scale
    low, high = value - half, value + half
    if unit != "points":
        low, high = max(0.0, low), min(float(scale), high)
    verdict, severity = _judge(low, high, limit, direction)
    group = rest.pop("group", "")
    swept = "".join(f"/{key}={item}" for key, item in params.items() if key == "rate")
    detail = {"smallest_detectable": half * 1.43}
    if verdict == "inconclusive":
        detail["n_to_decide"] = math.ceil(n * (half / (abs(value - limit) or half)) ** 2) + n
    return Finding(
        id=f"robustness/{probe}{swept}/{measure}" + (f"@{group}" if group else ""), suite="robustness", probe=probe,
        params=params, group=group, measure=measure, value=value, low=low, high=high, n=n,
        clusters=rest.pop("clusters", n), method="Wilson", direction=direction, unit=unit, limit=limit,
        verdict=verdict, severity=severity, statement=_statement(probe, params, value / scale, n), detail=detail,
        card=rest.pop("card", CARD), card_hash=rest.pop("card_hash", "c0ffee"), seconds=1.25, asked=2 * n, **rest,
    )  # fmt: skip


def _judge(low: float, high: float, limit: float, direction: str) -> tuple[Any, Any]:
    if direction == "higher":
        low, high, limit = 1 - high, 1 - low, 1 - limit
    if low > limit:
        times = low / limit
        return "confirmed", "critical" if times > 5 else "high" if times > 3 else "medium" if times > 2 else "low"
    return ("not_detected" if high <= limit else "inconclusive"), "info"


def _statement(probe: str, params: dict[str, Any], share: float, n: int) -> dict[str, str]:
    words = probe.replace("_", " ") + "".join(f" at {value:.0%}" for key, value in params.items() if key == "rate")
    return {
        "en": f"Predictions flip on {share:.0%} [n = {n}] of inputs with {words}.",
        "zh": f"加入{words}后，{share:.0%}（n = {n}）的预测发生翻转。",
    }


def _clean(draft: Draft) -> None:
    for group in ("", *GROUPS):
        value, n = (0.86, 320) if not group else (0.9 - 0.01 * len(group), 64)
        draft.findings.append(finding("clean", "accuracy", value, n, direction="higher", limit=0.8, group=group))
    _plan(draft, "clean", doc="The label of an untouched text.")


def _sweep(draft: Draft, name: str, at: int, groups: tuple[str, ...]) -> None:
    steepness = draft.dice.random() ** 3 * 4
    for rate in RATES:
        flips = min(0.95, 0.01 + steepness * rate * draft.dice.uniform(0.9, 1.1))
        ids = tuple(_record(draft, name, rate, number) for number in range(5)) if flips > 0.05 else ()
        params = {"kind": name, "rate": rate}
        left_out = {"errors": at % 7 == 0, "truncated": at % 5, "unreadable": at % 3}
        draft.findings.append(finding(name, "flip_rate", flips, 320, params=params, examples=ids, **left_out))
        drop = flips * 0.6 - 0.005
        draft.findings.append(finding(name, "accuracy_drop", drop, 300, params=params, unit="points", skipped=20))
        for group in groups:
            shifted = min(0.97, max(0.0, flips * draft.dice.uniform(0.6, 1.5)))
            draft.findings.append(finding(name, "flip_rate", shifted, 64, params=params, group=group))
    doc = f"{name.upper()} should not change the label.\n\nEach word is changed with probability `rate`."
    _plan(draft, name, settings=[{"kind": name, "rate": rate} for rate in RATES], over=["rate"], doc=doc)


def _attacks(draft: Draft) -> None:
    for name, value in (("deepwordbug", 71.0), ("pruthi", 42.0), ("hotflip", 10.4)):
        ids = tuple(_record(draft, name, 0.0, number) for number in range(3))
        draft.findings.append(finding(name, "attack_success_rate", value, 60, examples=ids, skipped=9, **ATTACKED))
        queries = finding(name, "mean_queries", 23.4, 60, direction="higher", **{**ATTACKED, "unit": "count"})
        draft.findings.append(replace(queries, limit=None, verdict="inconclusive", severity="info"))
        _plan(draft, name, limit=60, planned=60, doc=f"The {name} recipe.")
    for name in ("textfooler", "bae", "clare"):
        _not_run(draft, name, "en", NO_VECTORS)
    failed = finding("checklist", "attack_success_rate", 0.0, 60, errors=60, **ATTACKED)
    said = {
        "en": "Could not be measured: 60 of 60 trials ended in an error.",
        "zh": "无法测量：60 次试验中有 60 次出错。",
    }
    lost = replace(failed, value=None, low=None, high=None, n=0, limit=None, verdict="error", statement=said)
    draft.findings.append(replace(lost, reason=said["en"]))
    _plan(draft, "checklist", limit=60, planned=60)


def _hostile(draft: Draft) -> None:
    texts = {
        "before": "The movie was great. " * 120 + HOSTILE,
        "after": "The m\u200bovie was gr\u0435at. " + "The movie was great. " * 119 + HOSTILE + "\u2066\ud800 服务差。",
        "predicted": HOSTILE,
        "note": "长" * 3000,
        HOSTILE: HOSTILE,
    }
    outcome = Outcome(False, {}, texts)
    draft.records.append(Record(EVIL, "robustness", "evil", {"text": HOSTILE}, "e1", HOSTILE, "en", outcome, HOSTILE))
    said = {"en": "Hostile " + HOSTILE, "zh": "恶意 " + HOSTILE}
    for text in (HOSTILE, "x"):
        bad = finding("evil", "flip_rate", 0.93, 320, params={"text": text}, examples=(EVIL,))
        draft.findings.append(replace(bad, statement=said, reason=HOSTILE))
        for group in (HOSTILE, "b"):
            draft.findings.append(finding("evil", "flip_rate", 0.9, 40, params={"text": text}, group=group))
    _plan(draft, "evil", settings=[{"text": HOSTILE}], doc=HOSTILE, title={"en": HOSTILE, "zh": HOSTILE})
    lost = Finding(f"robustness/{HOSTILE}/m", "robustness", HOSTILE, {}, "", HOSTILE, reason=HOSTILE, statement=said)
    draft.findings.append(lost)


def _not_run(draft: Draft, name: str, language: str, reason: dict[str, str]) -> None:
    said = {"en": f"Not run: {reason['en']} This is not a pass.", "zh": f"未运行：{reason['zh']}不等于通过。"}
    for measure in ("flip_rate", "accuracy_drop"):
        place = f"robustness/{name}/{measure}"
        draft.findings.append(Finding(place, "robustness", name, {}, "", measure, reason=reason["en"], statement=said))
    _plan(draft, name, language=language, status="not_run", reason=reason, planned=0)


def _plan(draft: Draft, name: str, **rest: Any) -> None:
    title = name.replace("_", " ")
    entry = {"name": name, "probe": name, "doc": "", "settings": [{}], "over": [], "language": "en", "planned": 320,
             "title": {"en": title.capitalize(), "zh": f"{title}扰动"}, "labelled": True, "limit": None,
             "status": "planned", "reason": None}  # fmt: skip
    draft.probes.append(entry | rest)


def _record(draft: Draft, name: str, rate: float, number: int) -> str:
    trial = f"{draft.dice.getrandbits(64):016x}"
    thing = draft.dice.choice(["battery", "plot", "breakfast", "waiter"])
    before = f"The {thing} was better than I had expected, and I would happily come back."
    letters = list(before)
    for _change in range(2):
        at = draft.dice.randrange(len(letters))
        letters[at] = draft.dice.choice(["\u200b" + letters[at], "\u0435", "x", "", letters[at].upper()])
    evidence = {"before": before, "after": "".join(letters), "predicted": "positive → negative", "gold": "positive"}
    outcome = Outcome(False, {}, evidence)
    place = (trial, "robustness", name, {"kind": name, "rate": rate}, f"row{number}", GROUPS[number % 5], "en")
    draft.records.append(Record(*place, outcome, asked=2))
    return trial


def about(draft: Draft) -> dict[str, Any]:
    """The content of run.json."""
    data = [
        {"name": "english", "language": "en", "source": "data/english.jsonl", "hash": "0123456789abcdef",
         "rows": 330, "used": 320, "labelled": 300, "groups": dict.fromkeys(GROUPS, 64), "malformed": 2},
        {"name": "chinese", "language": "zh", "source": "data/chinese.jsonl", "hash": "fedcba9876543210",
         "rows": 160, "used": 160, "labelled": 160, "groups": {"酒店": 80, "外卖": 80}, "malformed": 0},
    ]  # fmt: skip
    suite = {
        "name": "robustness", "hash": "aa11bb22", "title": {"en": "Robustness", "zh": "鲁棒性"},
        "about": {"en": "Do small changes change the answer?", "zh": "细微改动是否改变回答？"},
        "limitations": ["robustness"], "data": data, "probes": draft.probes,
    }  # fmt: skip
    model = {
        "reference": "reference", "name": "reference-sentiment", "revision": "4f1c2d", "weights_hash": "77aa88bb99cc",
        "architecture": "BertForSequenceClassification", "head": "classifier", "parameters": 1_900_000,
        "dtype": "float32", "device": "cpu", "context": 128, "vocabulary": 8000, "labels": ["negative", "positive"],
        "tokenizer": "PreTrainedTokenizerFast", "notes": ["Trained on English only."],
    }  # fmt: skip
    return {
        "schema": 1, "audit": "0.1.0", "id": "5eed5eed", "suites": [suite], "model": model,
        "spec": {"suites": ["robustness"], "model": "reference", "seed": 0, "limit": None, "trust_remote_code": False},
        "started": "2026-03-02T10:11:12Z", "finished": "2026-03-02T10:12:41Z", "seconds": 89.2,
        "versions": {"python": "3.11.9", "torch": "2.6.0"}, "machine": {"system": "Linux x86_64", "cores": 2},
        "command": "python -m audit run suites/robustness --model reference",
    }  # fmt: skip


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 30)
