"""What run.json says: what was asked, of what, with what, on which machine.  Measures nothing."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import shlex
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from audit.models import LoadedModel
from audit.plan import Part, Planned, Spec
from audit.subjects import about
from audit.suite import CALIBRATION
from audit.types import Probe

SCHEMA = 1
VERSIONS = ("torch", "transformers", "tokenizers", "textattack", "datasets", "numpy", "pandas", "scipy")


def describe(
    spec: Spec, parts: list[Part], plans: Mapping[str, list[Planned]], subjects: Mapping[str, LoadedModel]
) -> dict[str, Any]:
    """The content of run.json before anything is measured; `id` is equal for runs that must give equal findings."""
    model = about(subjects)
    suites = [_suite_about(part, plans[part.suite.name], subjects[part.suite.name]) for part in parts]
    asked = {**asdict(spec), "suites": [part.suite.name for part in parts]}
    same = {
        key: value
        for key, value in asked.items()
        if key not in ("batch_tokens", "device", "model", "data", "blocks", "concurrency", "timeout", "rate")
    }
    key = [
        same,
        [s["hash"] for s in suites],
        [b["hash"] for s in suites for b in s["data"]],
        model["weights_hash"],
    ]
    key += [model["dtype"], model["device"], [s["probes"] for s in suites]]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return {
        "schema": SCHEMA,
        "audit": metadata.version("audit"),
        "id": digest,
        "spec": json.loads(json.dumps(asked)),
        "model": model,
        "suites": suites,
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": _machine(model),
        "command": _command(spec),
        "started": now(),
        "finished": None,
        "seconds": 0.0,
    }


def _suite_about(part: Part, plans: list[Planned], subject: LoadedModel) -> dict[str, Any]:
    sheet = part.suite.sheet.model_copy(update={"probes": tuple(plan.bound.entry for plan in plans)})
    shown = [{"place": place, "why": why} for b in part.blocks for place, why in b.malformed[:20]]
    return {
        "name": part.suite.name,
        "reference": part.reference,
        "model": subject.about["name"],
        "hash": part.suite.hash,
        "title": sheet.title.model_dump(),
        "about": sheet.about.model_dump() if sheet.about else None,
        "limitations": list(sheet.limitations),
        "data": [{**b.about, "malformed_rows": shown if n == 0 else []} for n, b in enumerate(part.blocks)],
        "probes": [_entry_about(plan) for plan in plans],
        "calibration": _calibration(part, plans),
        "sheet": sheet.model_dump(mode="json", by_alias=True),
    }


def _entry_about(plan: Planned) -> dict[str, Any]:
    entry, probe = plan.bound.entry, plan.bound.probe
    return {
        "name": entry.label,
        "probe": entry.probe,
        "doc": probe.doc,
        "hash": probe_hash(probe),
        "needs": sorted(kind.__name__ for kind in probe.needs),
        "settings": [dict(cell) for cell in plan.bound.cells],
        "over": list(entry.over),
        "title": entry.title.model_dump() if entry.title else None,
        "when": entry.when.model_dump() if entry.when else None,
        "language": entry.language,
        "limitations": list(entry.limitations),
        "planned": len(plan.examples),
        "labelled": any(example.label is not None for example in plan.examples),
        "limit": entry.limit if entry.limit is not None and len(plan.examples) == entry.limit else None,
        "status": "planned" if plan.reason is None else "not_run",
        "reason": dict(plan.reason) if plan.reason is not None else None,
        "refused": [{"settings": dict(cell), "reason": dict(why)} for cell, why in plan.refused.items()],
    }


def _calibration(part: Part, plans: list[Planned]) -> list[dict[str, Any]]:
    """The rows of the suite's calibration whose probes are still what was calibrated."""
    path = part.suite.folder / CALIBRATION
    rows = json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []
    hashes = calibrated(part, {plan.bound.entry.label: plan.bound.probe for plan in plans})
    return [row for row in rows if row.get("says") and hashes.get(row["probe"]) == row["hash"]]


def calibrated(part: Part, probes: Mapping[str, Probe]) -> dict[str, str]:
    """What a row of a calibration stands for: by entry the hash of its probe, of several entries those of them all."""
    hashes = {name: probe_hash(found) for name, found in probes.items()}
    for across in part.suite.sheet.across:
        hashes[across.name] = "+".join(sorted({hashes[name] for name in across.probes if name in hashes}))
    return hashes


def probe_hash(probe: Probe) -> str:
    """A hash of the probe's source, so that a changed probe makes two runs not comparable."""
    try:
        source = inspect.getsource(probe.run)
    except (OSError, TypeError):
        source = probe.doc
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _command(spec: Spec) -> str:
    """The command that asks for the same run."""
    words = ["python -m audit run", *spec.suites, "--model", spec.model]
    plain = {f.name: f.default for f in fields(spec)}
    for name in (
        "revision",
        "head",
        "data",
        "split",
        "text",
        "pair",
        "label",
        "group",
        "limit",
        "seed",
        "device",
        "device_map",
        "dtype",
        "chat",
        "overlong",
        "template",
    ):
        value = getattr(spec, name)
        if value != plain[name]:
            words += [f"--{name.replace('_', '-')}", shlex.quote(str(value))]
    words += [f"--data {name}={where}" for name, where in spec.blocks]
    if spec.labels:
        words += ["--labels", ",".join(f"{name}={label}" for name, label in spec.labels)]
    if spec.verbalisers:
        words += ["--verbalise", shlex.quote(",".join(f"{name}={text}" for name, text in spec.verbalisers))]
    words += [f"--helper {name}={value}" for name, value in spec.helpers]
    words += ["--trust-remote-code"] * spec.trust_remote_code + ["--allow-pickle"] * spec.allow_pickle
    return " ".join(words)


def _versions() -> dict[str, str]:
    found = {}
    for package in VERSIONS:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _machine(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": model.get("device", ""),
    }


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
