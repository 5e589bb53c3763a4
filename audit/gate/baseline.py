"""What a run is compared with: run folders, and the file that says which run was accepted when, by whom and why."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit import store
from audit.errors import UsageError
from audit.gate import stored
from audit.gate.policy import Baseline
from audit.gate.stored import Stored
from audit.gate.words import Both, say

SCHEMA = 1
NAMES = ("previous", "pinned")


@dataclass(frozen=True)
class Reference:
    """One baseline: a run, or why there is none; `reason` is why it was accepted."""

    name: str
    source: str
    run: Stored | None
    reason: str = ""
    missing: Both = field(default_factory=dict)


def accepted(file: Path) -> list[dict[str, Any]]:
    """The accepted baselines, oldest first; none where the file is not there yet."""
    if not file.exists():
        return []
    tree = store.read_json(file)
    if tree.get("schema") != SCHEMA or not isinstance(tree.get("accepted"), list):
        raise UsageError(f"{file}: no list of accepted baselines of schema {SCHEMA}.")
    return list(tree["accepted"])


def accept(file: Path, folder: Path, reason: str, when: str, *, pin: bool = False) -> dict[str, Any]:
    """Add a run to the file.  UsageError where it is no finished run, or no reason is given."""
    run = stored.read(folder)
    if not reason.strip():
        raise UsageError("a baseline is accepted for a reason: give one with --reason.")
    if run.about.get("finished") is None:
        raise UsageError(f"{folder} is not finished: run the same command again, then accept it.")
    model = run.about["model"]
    entry = {
        "run": Path(os.path.relpath(folder.resolve(), file.parent.resolve())).as_posix(),
        "id": run.about["id"],
        "model": model["name"],
        "revision": model.get("revision"),
        "weights_hash": model["weights_hash"],
        "reason": reason.strip(),
        "by": _user(),
        "accepted": when,
        "pinned": pin,
    }
    store.write_json(file, {"schema": SCHEMA, "accepted": [*accepted(file), entry]})
    return entry


def references(policy: Baseline, where: Path, given: Sequence[str] = ()) -> list[Reference]:
    """The baselines to compare with: those given as `[previous=|pinned=]PATH`, else the policy's.

    Paths of the policy are relative to `where`.  A baseline that cannot be read is kept, with the reason.
    """
    if given:
        asked = [_named(text) for text in given]
    else:
        asked = [(n, where / text) for n, text in (("previous", policy.source), ("pinned", policy.pinned)) if text]
    found = [reference for name, path in asked for reference in _read(name, path)]
    for name in NAMES:
        if sum(reference.name == name for reference in found) > 1:
            raise UsageError(
                f"two baselines are named {name!r}: name them, --baseline previous=RUN --baseline pinned=RUN."
            )
    return found


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    return (name, Path(path)) if equals and name in NAMES else ("previous", Path(text))


def _read(name: str, path: Path) -> list[Reference]:
    """A folder is one baseline; a file of accepted ones gives its newest, and as pinned its newest pinned one."""
    if path.is_dir():
        return [_run(name, path, "")]
    if not path.exists():
        return [Reference(name, str(path), None, missing=say("not_there", path=path))]
    rows = accepted(path)
    if not rows:
        return [Reference(name, str(path), None, missing=say("none_accepted", path=path))]
    pinned = [row for row in rows if row.get("pinned")]
    chosen = [("pinned", pinned[-1])] if pinned else []
    if name == "previous":
        chosen = [("previous", rows[-1]), *(c for c in chosen if c[1] is not rows[-1])]
    elif not pinned:
        return [Reference(name, str(path), None, missing=say("none_pinned", path=path))]
    return [_checked(label, path, row) for label, row in chosen]


def _checked(name: str, file: Path, row: dict[str, Any]) -> Reference:
    found = _run(name, file.parent / row["run"], str(row.get("reason", "")))
    if found.run is not None and found.run.about["id"] != row["id"]:
        why = say("another_run", path=found.source, now=found.run.about["id"], then=row["id"])
        return Reference(name, found.source, None, found.reason, why)
    return found


def _run(name: str, folder: Path, reason: str) -> Reference:
    try:
        return Reference(name, str(folder), stored.read(folder), reason)
    except UsageError as error:
        why = str(error).rstrip(".")
        return Reference(name, str(folder), None, reason, {"en": why, "zh": why})


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
