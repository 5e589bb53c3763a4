"""Two or more runs side by side: the first is what the others are compared with.  Writes JSON; knows no page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.errors import UsageError
from audit.gate.baseline import Reference
from audit.gate.change import Change, Changes
from audit.gate.files import change_row
from audit.gate.stored import Stored
from audit.gate.words import Both, say
from audit.types import Record

VERDICTS = ("worse", "better", "no_detectable_change", "not_comparable")


@dataclass(frozen=True)
class Comparison:
    """The first run, and for each later one (by its name) what changed against it."""

    names: Sequence[str]
    runs: Sequence[Stored]
    changes: Mapping[str, Sequence[Change]]

    def counts(self, name: str) -> dict[str, int]:
        """Changes of one run by verdict."""
        found: Counter[str] = Counter(change.verdict for change in self.changes[name])
        return {verdict: found[verdict] for verdict in VERDICTS}

    def summary(self, name: str) -> Both:
        """One sentence for one later run."""
        counts = self.counts(name)
        same, lost = counts["no_detectable_change"], counts["not_comparable"]
        return say("compare_counts", run=name, name=self.names[0], same=same, lost=lost, **counts)


def compare(runs: Sequence[Stored], confidence: float = 0.95, ignore: tuple[str, ...] = ()) -> Comparison:
    """Pair every later run with the first.  UsageError for fewer than two runs."""
    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more.")
    names = _names(runs)
    first = Reference(names[0], str(runs[0].folder), runs[0])
    later = zip(names[1:], runs[1:], strict=True)
    changes = {name: Changes(run, [first], confidence, ignore).all(first) for name, run in later}
    return Comparison(names, runs, changes)


def _names(runs: Sequence[Stored]) -> list[str]:
    """Short names: the models' where they differ, else the folders', numbered where those are equal too."""
    models, folders = [run.model for run in runs], [run.folder.resolve().name for run in runs]
    chosen = models if len(set(models)) == len(models) else folders
    if len(set(chosen)) == len(chosen):
        return chosen
    return [f"{name} ({number})" for number, name in enumerate(chosen, 1)]


def tree(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON: runs, and for each later one its changes with the items that changed sides."""
    runs = [
        {"name": name, "folder": str(run.folder), "id": run.about["id"], "model": run.model}
        for name, run in zip(comparison.names, comparison.runs, strict=True)
    ]
    changes = {
        name: [{**change_row(change), "items": _items(change)} for change in found]
        for name, found in comparison.changes.items()
    }
    return {"schema": 1, "runs": runs, "changes": changes}


def _items(change: Change) -> dict[str, list[str]]:
    def ids(records: Sequence[Record]) -> list[str]:
        return [record.example for record in records]

    return {"worsened": ids(change.pair.worsened), "improved": ids(change.pair.improved)}
