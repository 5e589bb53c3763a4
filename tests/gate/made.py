"""Run folders made of planted rows: what the gate, comparisons and cards judge, without a model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from audit import run as running
from audit import store
from audit.suite import Sheet
from audit.types import Outcome, Record

SHEET = {
    "probes": [{"probe": "typos", "over": {"rate": [0.05, 0.1]}}],
    "measures": ["flip_rate", "accuracy", "accuracy_drop"],
}
MODEL = {
    "reference": "simulated", "name": "simulated", "revision": None, "weights_hash": "w", "architecture": "x",
    "head": "h", "dtype": "float32", "device": "cpu", "labels": ["negative", "positive"], "parameters": 0,
}  # fmt: skip


def rows(before, after, entry: str = "typos", rate: float = 0.1) -> list[Record]:
    """One record an item: rightness before and after a change, (items,) each."""
    found = []
    for i, (b, a) in enumerate(zip(before, after, strict=True)):
        values = {"changed": int(b != a), "correct_before": int(b), "correct": int(a), "strength": rate, "edited": 1}
        outcome = Outcome(bool(b == a), values, {"before": f"text {i}", "after": f"tekst {i}", "predicted": "positive"})
        trial = f"{entry}-{rate}-{i}"
        found.append(Record(trial, "s", entry, {"rate": rate}, str(i), "ab"[i % 2], outcome=outcome, asked=2))
    return found


def draw(n: int, accuracy: float, flips: float, seed: int):
    """Rightness before and after: a share `accuracy` is right, and each answer flips with chance `flips`."""
    rng = np.random.default_rng(seed)
    before = rng.random(n) < accuracy
    return before, before ^ (rng.random(n) < flips)


def folder(path: Path, records: list[Record], sheet=None, **changed) -> Path:
    """A finished run folder of suite `s`; `changed` replaces parts of run.json."""
    path.mkdir(parents=True, exist_ok=True)
    full = Sheet.model_validate({"title": "T", "data": {"load": "x"}, **(sheet or SHEET)})
    plan = {
        "planned": len({r.example for r in records}),
        "reason": None,
        "limit": None,
        "labelled": True,
        "language": None,
    }
    plan |= {
        "hash": "p",
        "needs": ["Classify"],
        "doc": "",
        "status": "planned",
        "over": [],
        "title": None,
        "when": None,
    }
    plans = [
        {"name": e.label, "probe": e.probe, "settings": [], **plan, **changed.get("plan", {})} for e in full.probes
    ]
    data = {
        "name": "data",
        "source": "x",
        "hash": "d",
        "rows": 1,
        "used": 1,
        "labelled": 1,
        "groups": {},
        "malformed": 0,
    }
    suite = {
        "name": "s", "hash": "h", "title": {"en": "T", "zh": "T"}, "about": None, "limitations": [],
        "data": [{**data, "language": "en", "malformed_rows": [], **changed.get("data", {})}], "probes": plans,
        "sheet": full.model_dump(mode="json", by_alias=True),
    }  # fmt: skip
    about = {
        "schema": 1, "audit": "0.1.0", "id": changed.get("id", "id"), "versions": {}, "machine": {},
        "spec": {"seed": 0, "suites": ["s"], "limit": None}, "suites": [suite], "command": "x", "seconds": 1.0,
        "model": {**MODEL, **changed.get("model", {})},
        "started": "2026-01-01T00:00:00Z", "finished": changed.get("finished", "2026-01-01T00:01:00Z"),
    }  # fmt: skip
    (path / "run.json").write_text(json.dumps(about), "utf-8")
    lines = [json.dumps(asdict(record), ensure_ascii=False) for record in records]
    (path / "records.jsonl").write_bytes(("\n".join(lines) + "\n").encode("utf-8", "replace"))
    running.conclude(path)
    return path


def one(path: Path, n: int = 400, accuracy: float = 0.9, flips: float = 0.05, seed: int = 0, **changed) -> Path:
    """A run of one sweep of two rates, both with the same planted accuracy and flips."""
    records = [r for rate in (0.05, 0.1) for r in rows(*draw(n, accuracy, flips, seed), rate=rate)]
    return folder(path, records, **changed)


def policy(path: Path, text: str) -> Path:
    """A policy file."""
    path.write_text(text, "utf-8")
    return path


def gate_json(path: Path) -> dict:
    """The gate.json of a run folder."""
    return store.read_json(path / "gate.json")


def three(home: Path) -> Path:
    """A folder with runs `base`, `again` (the same) and `worse` (its flips are 15 points more frequent), same items."""
    one(home / "base", id="base")
    one(home / "worse", flips=0.2, id="worse")
    one(home / "again", id="again")
    return home
