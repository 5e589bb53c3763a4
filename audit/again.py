"""The questions of a stored run asked once more: of the same model, another one, or the same under other settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from audit import execute, store
from audit import run as running
from audit.errors import AuditError, UsageError, nearest
from audit.gate import pairs, stored
from audit.gate.stored import Stored
from audit.plan import Spec, prepare
from audit.types import Record

SAMPLE = 40  # examples an entry
SMALL = 96  # tokens: about one text a batch
OTHER = {"float32": "bfloat16", "bfloat16": "float32", "float16": "float32"}


@dataclass(frozen=True)
class Case:
    """One stored trial, and what the model says now."""

    then: Record
    now: Record

    @property
    def verdict(self) -> str:
        """same, other (the values differ), fixed, broken, or error."""
        if self.then.outcome is None or self.now.outcome is None:
            return "error"
        before, after = self.then.outcome.passed, self.now.outcome.passed
        if before != after:
            return "fixed" if before is False else "broken" if after is False else "other"
        return "same" if dict(self.then.outcome.values) == dict(self.now.outcome.values) else "other"


def spec(about: Mapping[str, Any]) -> Spec:
    """What a stored run asked for, with its suites as they were named then."""
    known = {field.name: field.default for field in fields(Spec)}
    saved = {key: _frozen(value) for key, value in about["spec"].items() if key in known}
    suites = tuple(suite.get("reference", suite["name"]) for suite in about["suites"])
    return Spec(**{**saved, "suites": suites})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def ask(wanted: Spec, trials: Sequence[str]) -> dict[str, Record]:
    """The records of these trials, asked now, by trial; those that the suites no longer plan are left out."""
    ready = running.start(wanted, prepare(wanted), None, "fresh")
    asked = set(trials)
    return {r.trial: r for r in execute.local([t for t in ready.trials if t.id in asked], ready.roles)}


def replay(folder: Path, finding: str = "", case: str = "", limit: int = 20, model: str = "") -> list[Case]:
    """Stored failures, asked again.  UsageError for a finding or case that is not there, or suites that changed."""
    run = stored.read(folder)
    chosen = [record for record in _chosen(run, finding, case) if record.outcome is not None][:limit]
    if not chosen:
        raise UsageError(f"{folder}: no failed case{f' under {finding}' if finding else ''} to ask again.")
    wanted = spec(run.about)
    now = ask(replace(wanted, model=model, revision=None) if model else wanted, [r.trial for r in chosen])
    if not now:
        raise UsageError(
            f"none of the {len(chosen)} cases is asked any more: suite or data have changed since the run."
        )
    return [Case(record, now[record.trial]) for record in chosen if record.trial in now]


def _chosen(run: Stored, finding: str, case: str) -> list[Record]:
    """The case; else the failures of a finding, or of the run, in an order that nobody chose."""
    if finding and finding not in run.tables:
        raise UsageError(f"{run.folder}: no finding {finding!r}: {nearest(finding, run.tables)}")
    records = run.tables[finding].records if finding else run.records
    if case:
        found = [record for record in records if case in (record.trial, record.example)]
        if not found:
            raise UsageError(f"{run.folder}: no case {case!r}: {nearest(case, {r.example for r in records})}")
        return found
    return _failed(records)


def failures(run: Stored, finding: str = "") -> list[Record]:
    """The failed records of a finding, or of the run.  UsageError for a finding that is not there."""
    return _chosen(run, finding, "")


def _failed(records: Sequence[Record]) -> list[Record]:
    failed = [r for r in records if r.outcome is not None and r.outcome.passed is False]
    return sorted(failed, key=lambda r: hashlib.sha256(r.trial.encode()).digest())


def noise(folder: Path) -> dict[str, Any]:
    """Ask a sample again in other batches and in another dtype; noise.json says how far each finding's rows moved.

    A variant that this machine or model cannot run is kept with its reason.
    """
    run = stored.read(folder)
    wanted, dtype = spec(run.about), str(run.about["model"]["dtype"])
    sample = _sample(run.records)
    variants: list[dict[str, Any]] = [{"name": "batch", "batch_tokens": SMALL, "dtype": dtype}]
    if dtype in OTHER:
        variants.append({"name": "dtype", "batch_tokens": wanted.batch_tokens, "dtype": OTHER[dtype]})
    found: dict[str, float] = {}
    for variant in variants:
        changed = {
            "batch_tokens": variant["batch_tokens"],
            "dtype": variant["dtype"] if dtype in OTHER else wanted.dtype,
        }
        try:
            now = ask(replace(wanted, **changed), sample)
        except AuditError as error:
            variant["reason"] = str(error)
            continue
        variant["moved"] = jitters(run, now)
        found = {name: max(found.get(name, 0.0), moved) for name, moved in {**found, **variant["moved"]}.items()}
    content = {"schema": 1, "run": run.about["id"], "trials": len(sample), "variants": variants, "findings": found}
    store.write_json(folder / "noise.json", content)
    return content


def _sample(records: Sequence[Record]) -> list[str]:
    """Trials of up to 40 examples of each entry, chosen by a hash of the example, the same ones for all settings."""
    examples: dict[str, set[str]] = {}
    for record in records:
        examples.setdefault(f"{record.suite}/{record.entry}", set()).add(record.example)
    kept = {
        entry: set(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:SAMPLE])
        for entry, names in examples.items()
    }
    return [r.trial for r in records if r.example in kept[f"{r.suite}/{r.entry}"]]


def jitters(run: Stored, now: Mapping[str, Record]) -> dict[str, float]:
    """By finding: the mean distance of its rows between the stored answers and those given now."""
    found = {}
    for name, table in run.tables.items():
        first = [r for r in table.records if r.trial in now and now[r.trial].outcome is not None]
        moved = pairs.jitter(table, first, [now[r.trial] for r in first]) if first else None
        if moved is not None:
            found[name] = float(f"{moved:.9g}")
    return found
