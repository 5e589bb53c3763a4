"""Failures of a run as a suite of their own: frozen texts that must be answered rightly from now on."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit import again, store
from audit.errors import UsageError
from audit.gate import stored
from audit.types import Example, Record

SHEET = """\
title: {{en: "Regressions", zh: "回归用例"}}
about:
  en: {count} cases that {model} once got wrong, frozen from run {run}.
  zh: {model} 曾经出错的 {count} 个用例，取自运行 {run}。
limitations: [robustness]
data:
{data}
# One case is as good as another here: every failure counts, and each probe of the run is a group.
measures: [{{measure: failure_rate, by: [group]}}]
severity:
  failure_rate: {{low: 0.0, medium: 0.05, high: 0.2, critical: 0.5}}
probes:
{probes}
"""
BLOCK = "  - {{name: {name}, load: {name}.jsonl, text: text,{pair} label: {label}, group: group}}"
ENTRY = "  - {{probe: {probe}, name: {probe}{tail}, data: {name}, title: {{en: {en}, zh: {zh}}}}}"
TITLES = {
    "right": ("Cases with a known answer", "有标准答案的用例"),
    "stays": ("Answers that must stay", "应保持不变的回答"),
}
PROBES = '''\
"""Frozen cases: texts on which a model once failed, as they were then."""

from audit import Classify, Outcome, probe


@probe(Classify)
def right(example, rng):
    """The text that was answered wrongly once is answered rightly."""
    [answer] = yield [Classify(example.text, example.pair)]
    evidence = {"after": example.text, "predicted": answer.top, "gold": example.label}
    return Outcome(answer.top == example.label, {"correct": int(answer.top == example.label)}, evidence)


@probe(Classify)
def stays(example, rng):
    """The changed text gets the answer of the text before the change; both are frozen."""
    before = example.fields["before"]
    first, second = yield [Classify(before, example.pair), Classify(example.text, example.pair)]
    evidence = {"before": before, "after": example.text, "predicted_before": first.top, "predicted": second.top}
    return Outcome(first.top == second.top, {"changed": int(first.top != second.top)}, evidence)
'''


def export(folder: Path, out: Path, finding: str = "") -> dict[str, Any]:
    """Write the failed cases of a run as a suite into `out`; says how many, and what could not be frozen, by entry.

    A case can be frozen where its probe asks for a label of one text and left that text as evidence.  UsageError where
    `out` is not empty, or no case can be frozen.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and not empty; name a new folder with --out.")
    run = stored.read(folder)
    examples = again.planned(again.spec(run.about))
    needs = {(s["name"], p["name"]): p["needs"] for s in run.about["suites"] for p in s["probes"]}
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    left: Counter[str] = Counter()
    for record in again.failures(run, finding):
        example = examples.get((record.suite, record.example))
        row = _row(record, example) if needs[record.suite, record.entry] == ["Classify"] and example else None
        if row is None:
            left[f"{record.suite}/{record.entry}"] += 1
        else:
            name = "labelled" if row["label"] is not None else "unlabelled"
            rows[f"{name}_pairs" if row["pair"] else name].append(row)
    count = sum(map(len, rows.values()))
    if not count:
        raise UsageError(
            f"{folder}: none of its {sum(left.values())} failed cases can be frozen as a text and its answer."
        )
    _write(out, run, dict(sorted(rows.items())), count)
    return {"cases": count, "left": dict(left), "folder": str(out)}


def _row(record: Record, example: Example) -> dict[str, Any] | None:
    """One frozen case; None where the evidence does not hold the text."""
    evidence: Mapping[str, str] = record.outcome.evidence if record.outcome else {}
    before = _alone(evidence.get("before", example.text), example.pair)
    text = _alone(evidence["after"], example.pair) if "after" in evidence else before
    if "after" not in evidence and "gold" not in evidence:
        return None
    settings = ", ".join(f"{name} {value}" for name, value in sorted(record.params.items()))
    return {
        "id": record.trial,
        "text": text,
        "pair": example.pair,
        "label": evidence.get("gold"),
        "group": record.entry,
        "before": before,
        "settings": settings,
    }


def _alone(shown: str, pair: str) -> str:
    """The text of evidence without the pair that is shown below it."""
    return shown.removesuffix(f"\n{pair}") if pair else shown


def _block(name: str) -> str:
    label = "label" if name.startswith("labelled") else "null"
    return BLOCK.format(name=name, label=label, pair=" pair: pair," if name.endswith("_pairs") else "")


def _entry(name: str) -> str:
    probe = "right" if name.startswith("labelled") else "stays"
    tail = "_pairs" if name.endswith("_pairs") else ""
    return ENTRY.format(probe=probe, tail=tail, name=name, en=TITLES[probe][0], zh=TITLES[probe][1])


def _write(out: Path, run: stored.Stored, rows: Mapping[str, list[dict[str, Any]]], count: int) -> None:
    store.create(out)
    for name, found in rows.items():
        lines = [json.dumps(row, ensure_ascii=False) for row in found]
        store.write_text(out / f"{name}.jsonl", "\n".join(lines) + "\n")
    sheet = SHEET.format(
        count=count,
        model=json.dumps(run.model, ensure_ascii=False).strip('"').replace(":", " "),
        run=run.about["id"],
        data="\n".join(_block(name) for name in rows),
        probes="\n".join(_entry(name) for name in rows),
    )
    store.write_text(out / "suite.yaml", sheet)
    store.write_text(out / "probes.py", PROBES)
