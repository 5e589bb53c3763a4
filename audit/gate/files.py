"""A judgement as gate.json: the contract from which every other output could be made."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from audit import document, store
from audit.gate import words
from audit.gate.baseline import Reference
from audit.gate.change import Change
from audit.gate.judge import EFFECTS, ORDER, Judgement, Light
from audit.gate.policy import Rule
from audit.gate.words import Both, bare, number, say

SCHEMA = 1
WORST = ("violates", "blocks", "warns", "passes")


def write(judgement: Judgement) -> Path:
    """gate.json in the run's folder."""
    path = judgement.run.folder / "gate.json"
    store.write_json(path, tree(judgement))
    return path


def tree(judgement: Judgement) -> dict[str, Any]:
    """gate.json's content; its keys are listed in audit/gate/__init__.py."""
    policy, run = judgement.policy, judgement.run.about
    return {
        "schema": SCHEMA,
        "state": judgement.state,
        "exit": int(judgement.exit),
        "summary": judgement.summary,
        "policy": {
            "name": policy.name,
            "file": judgement.path.name,
            "hash": _digest(judgement.path)[:16],
            "confidence": policy.defaults.confidence,
            "corrected": judgement.corrected,
        },
        "run": {"id": run["id"], **_model(run), **_judged(judgement.run.folder)},
        "baselines": [_baseline(reference) for reference in judgement.references],
        "counts": judgement.counts,
        "rules": _rules(judgement),
        "verdicts": [_verdict(judgement, light) for light in judgement.lights],
        "waivers": [{**waiver.model_dump(mode="json"), "state": state} for waiver, state in judgement.waivers],
        "changes": {name: [change_row(c) for c in changes] for name, changes in judgement.changes.items()},
    }


def current(folder: Path) -> dict[str, Any] | None:
    """gate.json of a run; None where there is none, or it was judged by other findings or another noise floor."""
    path = folder / "gate.json"
    found = store.read_json(path) if path.exists() else {}
    judged, now = found.get("run") or {}, _judged(folder)
    return found if found.get("schema") == SCHEMA and {key: judged.get(key) for key in now} == now else None


def _judged(folder: Path) -> dict[str, str | None]:
    """Hashes of what a judgement rests on beside the records."""
    noise = folder / "noise.json"
    return {"findings": _digest(folder / "findings.json"), "noise": _digest(noise) if noise.exists() else None}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _model(run: Any) -> dict[str, Any]:
    model = run["model"]
    return {"model": model["name"], "revision": model.get("revision"), "weights_hash": model["weights_hash"]}


def _baseline(reference: Reference) -> dict[str, Any]:
    run = reference.run
    known = {"id": run.about["id"], **_model(run.about)} if run else {"id": None, "model": None, "revision": None}
    missing = say("missing", why=reference.missing) if reference.missing else None
    return {"name": reference.name, "source": reference.source, **known, "reason": reference.reason, "missing": missing}


def _rules(judgement: Judgement) -> list[dict[str, Any]]:
    lights: dict[str, list[Light]] = defaultdict(list)
    for light in judgement.lights:
        lights[light.rule.id].append(light)
    rows = []
    for at, rule in enumerate(judgement.policy.rules):
        mine = lights[rule.id]
        rows.append(
            {
                "id": rule.id,
                "kind": "regression" if rule.regression else "limit",
                "level": rule.level,
                "status": min((light.status for light in mine), key=ORDER.index, default="not_run"),
                "effect": min((light.effect for light in mine), key=WORST.index, default=EFFECTS["fail"]),
                "text": rule_text(rule, mine[0].finding.unit if mine else "proportion"),
                "line": document.line(judgement.path, ("rules", at)),
                "cells": len(mine),
            }
        )
    return rows


def rule_text(rule: Rule, unit: str) -> Both:
    """What a rule demands, in words."""
    select = rule.select
    named = [v for v in (select.suite, select.probe, select.measure) if v != "*"] or [select.finding]
    named += [f"{name} {value}" for name, value in select.params.items()]
    what = " / ".join(named) + (f" @ {select.group}" if select.group else "")
    if rule.regression:
        return say("rule_regression", what=what, limit=bare(number(rule.regression.max_worse, unit, difference=True)))
    assert rule.limit is not None
    bounds = [(k, v) for k, v in (("max", rule.limit.max), ("min", rule.limit.min)) if v is not None]
    texts = [say(f"rule_{key}", what=what, limit=number(value, unit)) for key, value in bounds]
    return {"en": ", ".join(t["en"] for t in texts), "zh": "，".join(t["zh"] for t in texts)}


def _verdict(judgement: Judgement, light: Light) -> dict[str, Any]:
    found = light.question.found if light.question else None
    waiver = "" if light.waiver is None else judgement.policy.waivers[light.waiver].reason
    return {
        "rule": light.rule.id,
        "finding": light.finding.id,
        "baseline": light.baseline,
        "level": light.rule.level,
        "status": light.status,
        "effect": light.effect,
        "why": light.why,
        **{name: _round(getattr(found, name, None)) for name in ("value", "low", "high")},
        "n": found.n if found else light.finding.n,
        "limit": light.question.limit if light.question else None,
        "unit": light.finding.unit,
        "p_adjusted": _round(light.p),
        "needed": light.needed,
        "waiver": waiver,
    }


def change_row(change: Change) -> dict[str, Any]:
    """One finding then and now, as JSON."""
    return {
        "finding": change.finding.id,
        "verdict": change.verdict,
        "before": _round(change.before),
        "after": _round(change.after),
        **{name: _round(getattr(change.difference, name)) for name in ("value", "low", "high", "n")},
        "unit": change.finding.unit,
        "unpaired": change.pair.unpaired,
        "worsened": len(change.pair.worsened),
        "improved": len(change.pair.improved),
        "p_adjusted": _round(change.p),
        "why": change.why,
    }


def _round(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else float(f"{value:.9g}")


def status_word(status: str, language: str = "en") -> str:
    """A status in words."""
    return words.word(status)[language]
