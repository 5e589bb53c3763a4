"""Failed records of a run as cases that can be asked for ever: as texts, or by their probe on a stored example."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from audit import again, data, plan
from audit.gate.stored import Stored
from audit.plan import Part
from audit.suite import Bound
from audit.types import Example, Record

Row = dict[str, Any]
TEXT = ["Classify"]  # what a probe asks whose failures can be frozen as texts


@dataclass
class Casebook:
    """Cases by data block: `texts` of two plain probes, `asked` of (suite, entry), labelled or not.

    `left` counts, by entry, what could not be frozen; `peers` are the in-distribution examples that cases name;
    `parts` the suites by name.
    """

    texts: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    asked: dict[tuple[str, str, bool], list[Row]] = field(default_factory=lambda: defaultdict(list))
    peers: dict[str, list[Row]] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many cases there are."""
        return sum(map(len, [*self.texts.values(), *self.asked.values()]))


def collect(run: Stored, finding: str = "") -> Casebook:
    """The failures of a run, or of one finding.  UsageError where its suites or data cannot be read any more."""
    wanted, labels = again.spec(run.about), run.about["model"].get("labels") or ()
    book = Casebook(parts={part.suite.name: _named(run, part) for part in plan.prepare(wanted)})
    examples = dict(_examples(book.parts))
    needs = {(s["name"], p["name"]): p["needs"] for s in run.about["suites"] for p in s["probes"]}
    for record in again.failures(run, finding):
        example = examples.get((record.suite, record.entry, record.language, record.group, record.example))
        bound = _bound(book.parts, record)
        if example is None or bound is None:
            book.left[f"{record.suite}/{record.entry}"] += 1
        elif needs[record.suite, record.entry] == TEXT and (row := _text(record, example, labels)) is not None:
            name = "labelled" if row["label"] is not None else "unlabelled"
            book.texts[f"{name}_pairs" if row["pair"] else name].append(row)
        else:
            labelled = example.label is not None
            peers = _peers(book, record, bound, wanted.seed)
            book.asked[record.suite, record.entry, labelled].append(_case(record, example, wanted.seed, peers))
    return book


def _named(run: Stored, part: Part) -> Part:
    """A suite of the run with the model's names for the labels of its data, where the model labelled texts."""
    names = run.about["model"].get("labels")
    plans = run.suites[part.suite.name]["probes"]
    asked = any("Classify" in entry["needs"] and entry["status"] == "planned" for entry in plans)
    return replace(part, blocks=plan.renamed(part, names)) if names and asked else part


def _examples(parts: Mapping[str, Part]) -> Iterator[tuple[tuple[str, ...], Example]]:
    """Every example that an entry may have been asked of."""
    for part in parts.values():
        for bound in part.bound:
            for e in plan.wanted(bound.entry, part.blocks):
                yield (part.suite.name, bound.entry.label, e.language, e.group, e.id), e


def _bound(parts: Mapping[str, Part], record: Record) -> Bound | None:
    bound = parts[record.suite].bound if record.suite in parts else []
    return next((b for b in bound if b.entry.label == record.entry), None)


def _text(record: Record, example: Example, labels: Sequence[str]) -> Row | None:
    """A text that got a wrong one of the model's labels, or another one than before it was changed, if either."""
    evidence: Mapping[str, str] = record.outcome.evidence if record.outcome else {}
    before = _alone(evidence.get("before", example.text), example.pair)
    text = _alone(evidence["after"], example.pair) if "after" in evidence else before
    gold, then, said = (evidence.get(key) for key in ("gold", "predicted_before", "predicted"))
    wrong = gold is not None and said != gold and gold in (example.label, *labels)
    turned = "after" in evidence and (said is None or then is None or said != then)
    if not text.strip() or not (wrong or turned):
        return None
    return {
        "id": record.trial,
        "text": text,
        "pair": example.pair,
        "label": gold if wrong else None,
        "group": record.entry,
        "before": before,
        "settings": ", ".join(f"{name} {value}" for name, value in sorted(record.params.items())),
    }


def _alone(shown: str, pair: str) -> str:
    """The text of evidence without the pair that is shown below it."""
    return shown.removesuffix(f"\n{pair}") if pair else shown


def _case(record: Record, example: Example, seed: int, peers: str) -> Row:
    case = {
        "example": {key: value for key, value in asdict(example).items() if key != "label"},
        "settings": dict(record.params),
        "draws": f"{seed}/{example.fields.get('set_id', example.id)}",
        "peers": peers,
    }
    return {"id": record.trial, "text": example.text, "label": example.label, "group": record.entry, "case": case}


def _peers(book: Casebook, record: Record, bound: Bound, seed: int) -> str:
    """The name under which the in-distribution examples of a case are kept; "" for a probe that wants none."""
    if not plan.has_peers(bound.probe):
        return ""
    found = plan.peers(bound.entry, book.parts[record.suite].blocks, seed)
    name = data.content_hash(found)
    book.peers.setdefault(name, [asdict(example) for example in found])
    return name
