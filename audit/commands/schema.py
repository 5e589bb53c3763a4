"""`audit schema`: the JSON schemas of a run folder's files, made from the nouns themselves."""

from __future__ import annotations

import json
from typing import Any

import click

from audit.types import Finding, Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"
RUN_KEYS = ("schema", "audit", "id", "spec", "model", "suites", "versions", "machine")
TIMES = ("command", "started", "finished", "seconds")


@click.command()
@click.argument("what", type=click.Choice(["findings", "run", "record", "policy", "gate"]))
def schema(what: str) -> None:
    """Print the JSON schema of findings.json, run.json, one line of records.jsonl, a gate's policy, or gate.json."""
    made = {"findings": findings, "run": run, "record": record, "policy": policy, "gate": gate}
    click.echo(json.dumps(made[what](), indent=1))


def record() -> dict[str, Any]:
    """One line of records.jsonl."""
    return {"$schema": DIALECT, "title": "record", **_shape(Record)}


def findings() -> dict[str, Any]:
    """findings.json."""
    finding = _shape(Finding)
    definitions = finding.pop("$defs", {})
    return {
        "$schema": DIALECT,
        "title": "findings",
        "type": "object",
        "required": ["schema", "run", "findings"],
        "additionalProperties": False,
        "properties": {
            "schema": {"const": 1},
            "run": _run(RUN_KEYS),
            "findings": {"type": "array", "items": {**finding, "additionalProperties": False}},
        },
        "$defs": definitions,
    }


def run() -> dict[str, Any]:
    """run.json."""
    return {"$schema": DIALECT, "title": "run", **_run((*RUN_KEYS, *TIMES))}


def policy() -> dict[str, Any]:
    """A policy file."""
    from audit.gate import Policy

    return {"$schema": DIALECT, **Policy.model_json_schema()}


def gate() -> dict[str, Any]:
    """gate.json."""
    from audit.gate import shape

    return {"$schema": DIALECT, "title": "gate", **shape.schema()}


def _run(required: tuple[str, ...]) -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number"}
    both = {"type": "object", "required": ["en", "zh"]}
    probe = {
        "type": "object",
        "required": ["name", "probe", "doc", "hash", "needs", "settings", "planned", "limit", "status", "reason"],
        "properties": {"name": text, "status": {"enum": ["planned", "not_run"]}, "planned": {"type": "integer"}},
    }
    suite = {
        "type": "object",
        "required": ["name", "hash", "title", "limitations", "data", "probes", "sheet"],
        "properties": {"name": text, "hash": text, "title": both, "probes": {"type": "array", "items": probe}},
    }
    model = {"type": "object", "required": ["reference", "name", "weights_hash", "dtype", "device", "labels"]}
    return {
        "type": "object",
        "required": list(required),
        "properties": {
            "schema": {"const": 1},
            "audit": text,
            "id": text,
            "spec": {"type": "object", "required": ["suites", "seed", "limit"]},
            "model": model,
            "suites": {"type": "array", "items": suite},
            "versions": {"type": "object"},
            "machine": {"type": "object"},
            "command": text,
            "started": text,
            "finished": {"type": ["string", "null"]},
            "seconds": number,
        },
    }


def _shape(kind: type) -> dict[str, Any]:
    """The schema of a dataclass; every field is written out, so every field is required."""
    from pydantic import TypeAdapter

    made = TypeAdapter(kind).json_schema(mode="serialization")
    made["required"] = list(made["properties"])
    for key in ("default", "description"):
        made.pop(key, None)
    return made
