"""The JSON schema of gate.json; what its keys mean is said in audit/gate/__init__.py."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": ["number", "null"]}
NAME: Schema = {"type": ["string", "null"]}
LEVEL: Schema = {"enum": ["fail", "warn", "info"]}
EFFECT: Schema = {"enum": ["violates", "blocks", "warns", "passes"]}
STATUSES = ("violated", "error", "not_run", "not_comparable", "inconclusive", "waived", "met")


def _shape(**keys: Schema) -> Schema:
    """An object with exactly these keys."""
    return {"type": "object", "required": list(keys), "properties": keys, "additionalProperties": False}


def _rows(row: Schema) -> Schema:
    return {"type": "array", "items": row}


BOTH = _shape(en=TEXT, zh=TEXT)
RULE = _shape(
    id=TEXT, kind={"enum": ["limit", "regression"]}, level=LEVEL, status={"enum": list(STATUSES)}, effect=EFFECT,
    text=BOTH, line=COUNT, cells=COUNT,
)  # fmt: skip
VERDICT = _shape(
    rule=TEXT, finding=TEXT, baseline={"enum": ["", "previous", "pinned"]}, level=LEVEL,
    status={"enum": list(STATUSES)}, effect=EFFECT, why=BOTH, value=NUMBER, low=NUMBER, high=NUMBER, n=COUNT,
    limit=NUMBER, unit=TEXT, p_adjusted=NUMBER, needed={"type": ["integer", "null"]}, waiver=TEXT,
)  # fmt: skip
WAIVER = _shape(
    rule=TEXT, finding=TEXT, reason=TEXT, owner=TEXT, approved_by=TEXT, expires={"type": "string", "format": "date"},
    max_value=NUMBER, min_value=NUMBER, state={"enum": ["active", "expired", "exceeded", "unused"]},
)  # fmt: skip
CHANGE = _shape(
    finding=TEXT, verdict={"enum": ["worse", "better", "no_detectable_change", "not_comparable"]}, before=NUMBER,
    after=NUMBER, value=NUMBER, low=NUMBER, high=NUMBER, n=COUNT, unit=TEXT, unpaired=COUNT, worsened=COUNT,
    improved=COUNT, p_adjusted=NUMBER, why={"type": "object", "additionalProperties": TEXT},
)  # fmt: skip
MODEL = {"id": TEXT, "model": TEXT, "revision": NAME, "weights_hash": TEXT}
BASELINE = {
    **_shape(name={"enum": ["previous", "pinned"]}, source=TEXT, id=NAME, model=NAME, revision=NAME, weights_hash=TEXT,
             reason=TEXT, missing={"oneOf": [BOTH, {"type": "null"}]}),
    "required": ["name", "source", "id", "model", "revision", "reason", "missing"],
}  # fmt: skip


def schema() -> Schema:
    """gate.json."""
    return _shape(
        schema={"const": 1},
        state={"enum": ["met", "violated", "undecided", "nothing"]},
        exit={"enum": [0, 1, 4, 5]},
        summary=BOTH,
        policy=_shape(name=TEXT, file=TEXT, hash=TEXT, confidence={"type": "number"}, corrected=COUNT),
        run=_shape(**MODEL, findings=TEXT, noise=NAME),
        baselines=_rows(BASELINE),
        counts=_shape(**dict.fromkeys((*STATUSES, "blocking"), COUNT)),
        rules=_rows(RULE),
        verdicts=_rows(VERDICT),
        waivers=_rows(WAIVER),
        changes={"type": "object", "additionalProperties": _rows(CHANGE)},
    )
