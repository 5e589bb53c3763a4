"""Builds run folders as the engine writes them: many probes with curves, groups, gaps, errors and hostile text."""

from __future__ import annotations

import hashlib
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


FLIPS = "robustness/keyboard_typos/rate={rate}/flip_rate"
WHY = {
    "violated": {"en": "30.0% [95% CI 26–34, n = 320]: wholly beyond the limit of 10.0%.", "zh": "整个区间超出限值。"},
    "inconclusive": {"en": "the interval holds the limit of 10.0%.", "zh": "区间包含限值。"},
    "not_run": {"en": "Not run: the vectors are not here.", "zh": "未运行：缺少词向量。"},
    "met": {"en": "wholly within the limit of 10.0%.", "zh": "整个区间在限值之内。"},
}


def gate(folder: Path, state: str = "violated", *, times: int = 1, blocking: int = 2) -> Path:
    """Write gate.json in the shape of audit/gate/__init__.py, its checks and changes `times` over."""
    asked = [
        ("flips", 0.2, "violated", "violates", "fail"), ("open", 0.1, "inconclusive", "blocks", "fail"),
        ("attacks", 0.0, "not_run", "blocks", "fail"), ("soft", 0.05, "inconclusive", "warns", "warn"),
        ("low", 0.02, "met", "passes", "info"),
    ]  # fmt: skip
    asked = [row for row in asked if row[0] != "soft" or state == "violated"] if state != "nothing" else []
    rows = [_check(*row) for row in asked] * times
    head = "robustness/textfooler/flip_rate"
    for row in rows:
        if row["status"] == "not_run":
            row["finding"] = head
    names = [(row[0], row[2], row[3], row[4]) for row in asked if row[0] != "soft"]
    waivers = [
        {"rule": "flips", "finding": "*", "reason": "fixed in 1.5", "owner": "team-reviews", "approved_by": "risk",
         "expires": "2099-12-31", "max_value": 0.45, "min_value": None, "state": "active"},
        {"rule": "open", "finding": "*", "reason": HOSTILE, "owner": HOSTILE, "approved_by": HOSTILE,
         "expires": "2020-01-01", "max_value": None, "min_value": None, "state": "expired"},
    ]  # fmt: skip
    digest = hashlib.sha256((folder / "findings.json").read_bytes()).hexdigest()
    floor = folder / "noise.json"
    measured = hashlib.sha256(floor.read_bytes()).hexdigest() if floor.exists() else None
    tree = {
        "schema": 1, "state": state, "exit": 1, "summary": {"en": "", "zh": ""},
        "policy": {"name": "release", "file": "release.yaml", "hash": "ab12", "confidence": 0.95, "corrected": 4},
        "run": {"id": "5eed5eed", "findings": digest, "noise": measured},
        "baselines": [_baseline("previous", None), _baseline("pinned", "there is no such folder")],
        "counts": {"violated": 1, "inconclusive": 2, "not_run": 1, "met": 1, "blocking": blocking},
        "rules": [_rule(*row) for row in names + ([("soft", "met", "warns", "warn")] if asked else [])],
        "verdicts": rows, "waivers": waivers, "changes": {"previous": _changes() * times},
    }  # fmt: skip
    (folder / "gate.json").write_text(json.dumps(tree), "utf-8")
    return folder


def _rule(name: str, status: str, effect: str, level: str) -> dict[str, Any]:
    said = {"en": "flip_rate at most 10.0%", "zh": "flip_rate 不超过 10.0%"}
    return {"id": name, "kind": "limit", "level": level, "status": status, "effect": effect, "text": said,
            "line": 5, "cells": 1}  # fmt: skip


def _check(name: str, rate: float, status: str, effect: str, level: str) -> dict[str, Any]:
    return {"rule": name, "finding": FLIPS.format(rate=rate), "baseline": "", "level": level, "status": status,
            "effect": effect, "why": WHY[status], "value": 0.3, "low": 0.26, "high": 0.34, "n": 320, "limit": 0.1,
            "unit": "proportion", "p_adjusted": 0.01, "needed": None, "waiver": ""}  # fmt: skip


def _baseline(name: str, missing: str | None) -> dict[str, Any]:
    said = {"en": missing, "zh": missing} if missing else None
    return {"name": name, "source": "runs/v1.3", "id": "b", "model": None if missing else "m", "revision": "0" * 40,
            "reason": "RFC 12", "missing": said}  # fmt: skip


def _changes() -> list[dict[str, Any]]:
    found = []
    for rate, verdict, value in ((0.2, "worse", 0.1), (0.1, "better", -0.1), (0.05, "no_detectable_change", 0.0)):
        found.append({"finding": FLIPS.format(rate=rate), "verdict": verdict, "before": 0.2, "after": 0.2 + value,
                      "value": value, "low": value - 0.038, "high": value + 0.038, "n": 320, "unit": "proportion",
                      "unpaired": 0, "worsened": 30, "improved": 5, "p_adjusted": 0.01, "why": {}})  # fmt: skip
    why = {"en": "not comparable: the data differ.", "zh": "不可比：数据不同。"}
    none = dict.fromkeys(("before", "after", "value", "low", "high"))
    lost = {"verdict": "not_comparable", **none, "n": 0, "unit": "proportion", "worsened": 0, "improved": 0, "why": why}
    return [*found, {"finding": FLIPS.format(rate=0.02), **lost}, {"finding": HOSTILE, **lost}]


def noise(folder: Path) -> Path:
    """Write noise.json as `audit run --noise-floor` does."""
    drop = FLIPS.format(rate=0.1).replace("flip_rate", "accuracy_drop")
    tree = {
        "schema": 1, "run": "5eed5eed", "trials": 40,
        "variants": [{"name": "batch", "batch_tokens": 96, "dtype": "float32", "moved": {}},
                     {"name": "dtype", "batch_tokens": 0, "dtype": "bfloat16",
                      "reason": "this machine has no bfloat16."}],
        "findings": {FLIPS.format(rate=0.1): 0.0125, FLIPS.format(rate=0.2): 0.004, drop: 0.0001},
    }  # fmt: skip
    (folder / "noise.json").write_text(json.dumps(tree), "utf-8")
    return folder


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 30)
