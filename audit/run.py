"""One run: plan -> records -> findings, in one folder that can be continued.  Knows no report and no command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from audit import execute, findings, store
from audit.errors import CannotMeasure, UsageError
from audit.manifest import SCHEMA, describe, now
from audit.plan import Part, Spec, aligned, plan, trials
from audit.subjects import Cast, cast
from audit.types import Finding, Trial

Mode = Literal["auto", "resume", "fresh"]


@dataclass(frozen=True)
class Run:
    """A run that is ready to be measured; `about` is the content of run.json, `pending` what has no record yet.

    `roles` says which model plays which role in each suite.
    """

    folder: Path
    about: dict[str, Any]
    trials: list[Trial]
    pending: list[Trial]
    roles: Cast = field(repr=False)


def start(spec: Spec, parts: list[Part], out: Path | None = None, mode: Mode = "auto") -> Run:
    """Load the model, plan, and open or continue the run folder.  UsageError, CannotMeasure."""
    subjects, roles = cast(spec, parts)
    parts = [replace(part, blocks=aligned(part, subjects[part.suite.name])) for part in parts]
    plans = {part.suite.name: [plan(b, part, roles[part.suite.name], spec.seed) for b in part.bound] for part in parts}
    todo = list(trials(spec, parts, plans))
    about = describe(spec, parts, plans, subjects)
    folder = _folder(about, out, mode)
    return Run(folder, about, todo, store.Store(folder).pending(todo), roles)


def measure(run: Run, watch: Callable[[int], None] = lambda done: None) -> None:
    """Ask everything that is pending; `watch` hears how many records there are.  Safe to kill, and to call again."""
    begun = time.time()
    store.create(run.folder)
    earlier = store.read_json(run.folder / "run.json") if (run.folder / "run.json").exists() else run.about
    about = {**run.about, "started": earlier["started"], "seconds": earlier["seconds"]}
    store.write_json(run.folder / "run.json", about)
    done = len(run.trials) - len(run.pending)
    watch(done)
    for _ in store.Store(run.folder).append(execute.local(run.pending, run.roles)):
        done += 1
        watch(done)
    spent = about["seconds"] + time.time() - begun if run.pending else about["seconds"]
    finished = earlier.get("finished") if not run.pending else None
    store.write_json(run.folder / "run.json", {**about, "finished": finished or now(), "seconds": round(spent, 1)})


def conclude(folder: Path) -> list[Finding]:
    """Rebuild findings.json from run.json and records.jsonl, without a model.

    CannotMeasure where every trial failed.
    """
    about = store.read_json(folder / "run.json")
    if about.get("schema") != SCHEMA:
        raise UsageError(f"{folder / 'run.json'}: schema {about.get('schema')!r}; this version reads schema {SCHEMA}.")
    records = list(store.Store(folder))
    found = findings.findings(about, records)
    lasting = {key: value for key, value in about.items() if key not in ("started", "finished", "seconds", "command")}
    rows = [findings.rounded(finding) for finding in found]
    store.write_json(folder / "findings.json", {"schema": SCHEMA, "run": lasting, "findings": rows})
    if records and all(record.error is not None for record in records):
        first = (records[0].error or "").strip().splitlines()[-1]
        raise CannotMeasure(f"every one of the {len(records)} trials ended in an error; the first: {first}")
    return found


def _folder(about: Mapping[str, Any], out: Path | None, mode: Mode) -> Path:
    """Where this run lives: an unfinished run of the same kind is continued, unless a fresh one is asked for."""
    if out is not None:
        return _given(about, out, mode)
    parent = Path("reports") / _slug(about["model"]["name"]) / "+".join(s["name"] for s in about["suites"])
    earlier = sorted(path.parent for path in parent.glob("*/run.json") if _same(about, path))
    unfinished = [path for path in earlier if store.read_json(path / "run.json")["finished"] is None]
    if mode == "resume" and not earlier:
        raise UsageError(
            f"--resume: no run of these suites, this model and these settings under {parent}. Start one without it."
        )
    if mode != "fresh" and (found := unfinished or (earlier if mode == "resume" else [])):
        return found[-1]
    return _unused(parent / datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ"))


def _given(about: Mapping[str, Any], out: Path, mode: Mode) -> Path:
    path = out / "run.json"
    if not path.exists():
        if mode == "resume":
            raise UsageError(f"--resume: {out} holds no run. Start one without --resume.")
        if out.is_dir() and any(out.iterdir()):
            raise UsageError(f"{out} is not empty and holds no run. Choose an empty folder with --out.")
        return out
    if mode == "fresh":
        out.rename(_unused(out.with_name(f"{out.name}.{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}")))
        return out
    if not _same(about, path):
        changed = ", ".join(_differences(about, store.read_json(path))) or "settings"
        raise UsageError(
            f"{out} holds another run (different: {changed}). Choose another --out, or start anew with --fresh "
            f"(the old folder is kept under another name)."
        )
    return out


def _same(about: Mapping[str, Any], path: Path) -> bool:
    try:
        return bool(store.read_json(path).get("id") == about["id"])
    except UsageError:
        return False


def _differences(about: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The settings in which two runs differ, by name."""
    named = {key for key, value in about["spec"].items() if other.get("spec", {}).get(key) != value}
    pairs = ((s["data"], t["data"]) for s, t in zip(about["suites"], other.get("suites", []), strict=False))
    if any([b["hash"] for b in mine] != [b["hash"] for b in theirs] for mine, theirs in pairs):
        named.add("data")
    if about["model"]["weights_hash"] != other.get("model", {}).get("weights_hash"):
        named.add("model weights")
    if [s["hash"] for s in about["suites"]] != [s["hash"] for s in other.get("suites", [])]:
        named.add("suite files")
    return sorted(named)


def _unused(path: Path) -> Path:
    """The path, or the first of path-2, path-3 ... that does not exist."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name.strip("/")).strip("-.") or "model"
