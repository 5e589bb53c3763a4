"""A judgement as SARIF 2.1.0: one result a check that is not met, pointing at its rule's line in the policy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from audit import document, store
from audit.gate.clean import line
from audit.gate.files import rule_text
from audit.gate.judge import Judgement, Light

LEVELS = {"violates": "error", "blocks": "error", "warns": "warning", "passes": "note"}
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def write(judgement: Judgement, path: Path, version: str) -> None:
    """Write the file; `version` is this tool's."""
    store.write_text(path, json.dumps(tree(judgement, version), ensure_ascii=False, indent=1) + "\n")


def tree(judgement: Judgement, version: str) -> dict[str, Any]:
    """One SARIF run; waived checks are suppressed with their justification, met ones left out."""
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": line(rule_text(rule, _unit(judgement, rule.id))["en"])},
            "defaultConfiguration": {"level": {"fail": "error", "warn": "warning", "info": "note"}[rule.level]},
        }
        for rule in judgement.policy.rules
    ]
    driver = {"name": "audit", "semanticVersion": version, "rules": rules}
    results = [_result(judgement, light) for light in judgement.lights if light.status != "met"]
    about = {"exitCode": int(judgement.exit), "executionSuccessful": True}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [about],
                "columnKind": "unicodeCodePoints",
                "results": results,
                "properties": {"state": judgement.state, "run": judgement.run.about["id"]},
            }
        ],
    }


def _unit(judgement: Judgement, rule: str) -> str:
    return next((light.finding.unit for light in judgement.lights if light.rule.id == rule), "proportion")


def _result(judgement: Judgement, light: Light) -> dict[str, Any]:
    ids = [rule.id for rule in judgement.policy.rules]
    at = ids.index(light.rule.id)
    row = document.line(judgement.path, ("rules", at))
    result: dict[str, Any] = {
        "ruleId": light.rule.id,
        "ruleIndex": at,
        "level": LEVELS[light.effect],
        "message": {"text": line(f"{light.name}: {light.status}: {light.why['en']}")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(judgement.path)},
                    "region": {"startLine": row},
                },
                "logicalLocations": [{"fullyQualifiedName": line(light.finding.id), "kind": "member"}],
            }
        ],
        "partialFingerprints": {"check/v1": hashlib.sha256(f"{light.rule.id}\0{light.name}".encode()).hexdigest()[:32]},
    }
    if light.waiver is not None:
        reason = judgement.policy.waivers[light.waiver].reason
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": line(reason)}]
    return result


def _uri(path: Path) -> str:
    """The policy as seen from the working directory where it lies below it, else its bare name."""
    from urllib.parse import quote

    inside = path.resolve()
    here = Path.cwd().resolve()
    return quote((inside.relative_to(here) if inside.is_relative_to(here) else Path(path.name)).as_posix())
