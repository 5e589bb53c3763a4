"""The records of subjects whose defect is planted: what each item of a plan comes to, right or wrong, kept or changed.

Runs probes through the scheduler; knows no measure.  Two kinds of subject are asked: those that know the right answer
(`Planted`), and, where these cannot bring an outcome about, such that guess, until one guesses what is wanted.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audit import execute
from audit.models.guessing import Guessing
from audit.models.planted import HELPERS, Planted
from audit.plan import Cell, Part, Planned, Spec, trials
from audit.suite import Bound
from audit.types import SUBJECT, Example, Outcome, Probe, Record, Steps

VARIANTS = ((False, False), (False, True), (True, False), (True, True))  # (wrong, struck)
FEWEST, MOST = 6, 48  # subjects that guess, where outcomes are numbers, and at most
SHARED = "question_id"  # a column of probes that put one question in every cell: its cells have one answer
WEIGHT = {"before": 4, "changed": 2, "after": 1}


@dataclass(frozen=True)
class Asked:
    """One entry's records under each variant, cell by cell and item by item, all in one order."""

    cells: tuple[Cell, ...]
    examples: tuple[Example, ...]
    records: Mapping[tuple[bool, bool], list[Record]]
    why: str = ""


def middle(bound: Bound) -> Cell:
    """The settings in the middle of a sweep: a planted defect is the same at all of them."""
    return bound.cells[len(bound.cells) // 2]


def roles(subject: Guessing, seed: int = 0) -> dict[str, Guessing]:
    """A subject beside helpers that guess."""
    return {SUBJECT: subject, **{role: Guessing(names, seed) for role, names in HELPERS.items()}}


def ask(part: Part, planned: Planned, names: Sequence[str], cells: Sequence[Cell]) -> Asked:
    """The records of each variant on the items that all have an outcome for; or why there are none."""
    pool: dict[str, list[dict[Cell, Record]]] = {example.id: [] for example in planned.examples}
    todo = {(example.id, cell) for example in planned.examples for cell in cells}
    subjects = [roles(Planted(names, wrong=w, struck=s)) for w, s in VARIANTS]
    for turn in range(len(VARIANTS) + MOST):
        models = subjects[turn] if turn < len(VARIANTS) else roles(Guessing(names, turn), turn)
        found = _run(part, planned, todo, cells, models)
        for name, rows in pool.items():
            rows.append(found.get(name, {}))
        todo = {(name, cell) for name, cell in todo if not _complete([row[cell] for row in pool[name] if cell in row])}
        todo |= {(name, cell) for name, _ in todo if _shared(pool[name]) for cell in cells}
        if not todo:
            break
    chosen = {e.id: _chosen(pool[e.id], cells) for e in planned.examples}
    whole = [e for e in planned.examples if chosen[e.id]]
    if not whole:
        errors = [r.error for found in pool.values() for row in found for r in row.values() if r.error]
        return Asked((), (), {}, errors[0].strip().splitlines()[-1] if errors else "no item has an outcome")
    kept = {v: [chosen[e.id][cell][n] for cell in cells for e in whole] for n, v in enumerate(VARIANTS)}
    return Asked(tuple(cells), tuple(whole), kept)


def _run(
    part: Part, planned: Planned, todo: set[tuple[str, Cell]], cells: Sequence[Cell], models: Mapping[str, Guessing]
) -> dict[str, dict[Cell, Record]]:
    bound = planned.bound
    asked = told(bound.probe, list(models.values()))
    some = replace(planned, bound=Bound(bound.entry, asked, tuple(cells)))
    every = trials(Spec((), ""), [part], {part.suite.name: [some]})
    found: dict[str, dict[Cell, Record]] = defaultdict(dict)
    wanted = {tuple(sorted(cell)): cell for cell in cells}
    for record in execute.local((t for t in every if (t.example.id, t.params) in todo), {part.suite.name: models}):
        bare = record.outcome and replace(record.outcome, evidence={})
        found[record.example][wanted[tuple(sorted(record.params.items()))]] = replace(record, outcome=bare)
    return found


def _shared(found: list[dict[Cell, Record]]) -> bool:
    outcomes = [record.outcome for row in found[:1] for record in row.values()]
    return any(outcome is not None and SHARED in outcome.values for outcome in outcomes)


def _complete(found: list[Record]) -> bool:
    """Whether more subjects would show nothing new of an item: every outcome that is wanted was seen."""
    seen = [features(record) for record in found if record.outcome]
    if not seen:
        return len(found) > len(VARIANTS)
    if any("merit" in one for one in seen):
        return len(found) >= len(VARIANTS) + FEWEST
    return all(max(map(_matches(v), seen)) >= max(map(_most, seen)) for v in VARIANTS)


def _matches(variant: tuple[bool, bool]) -> Any:
    wrong, struck = variant
    wanted = {"before": not wrong, "after": wrong == struck, "changed": struck}
    return lambda seen: sum(WEIGHT[key] for key in WEIGHT if key in seen and seen[key] in (None, wanted[key]))


def _most(seen: Mapping[str, Any]) -> int:
    return sum(WEIGHT[key] for key in WEIGHT if key in seen)


def _chosen(found: list[dict[Cell, Record]], cells: Sequence[Cell]) -> dict[Cell, list[Record]]:
    """For each cell the record that shows each variant best; nothing where a cell has no outcome at all."""
    kept: dict[Cell, list[Record]] = {}
    turns: list[int] = []
    for cell in cells:
        seen = [(n, features(row[cell])) for n, row in enumerate(found) if cell in row and row[cell].outcome]
        if not seen:
            return {}
        first = found[seen[0][0]][cell].outcome
        if not turns or first is None or SHARED not in first.values:
            turns = [_best(seen, n, variant) for n, variant in enumerate(VARIANTS)]
        kept[cell] = [found[turn][cell] for turn in turns]
    return kept


def _best(seen: list[tuple[int, dict[str, Any]]], own: int, variant: tuple[bool, bool]) -> int:
    """The turn of the subject that shows a variant best: the planted one, if none does better."""
    good = 1 if variant[0] == variant[1] else -1
    match = _matches(variant)
    return max(seen, key=lambda one: (match(one[1]), good * one[1].get("merit", 0.0), one[0] == own, -one[0]))[0]


def features(record: Record) -> dict[str, Any]:
    """What a record shows: right `before` and `after` a change, `changed`, or a number, `merit`, that is better high.

    None: either way would do.
    """
    assert record.outcome is not None
    v = {**record.params, **record.outcome.values}
    seen: dict[str, Any] = {}
    for shows, columns in KINDS:
        if all(column in v for column in columns):
            return shows(v)
    if "correct_before" in v:
        seen = {"before": v["correct_before"] == 1, "after": v["correct"] == 1}
        seen["changed"] = bool(v.get("changed", v["correct_before"] != v["correct"]))
    elif "correct" in v:
        seen = {"after": v["correct"] == 1} | ({"changed": bool(v["changed"])} if "changed" in v else {})
    elif "changed" in v and v["changed"] is not None:
        seen = {"changed": bool(v["changed"])}
    elif record.outcome.passed is not None:
        seen = {"after": record.outcome.passed}
    return seen


def _sign(flag: bool) -> int:
    return 1 if flag else -1


# What the outcomes of probes without `correct` and `changed` show, by their columns; the first that fits counts.
KINDS: tuple[tuple[Callable[[dict[str, Any]], dict[str, Any]], tuple[str, ...]], ...] = (
    (
        lambda v: {
            "before": v["outcome"] != "skipped",
            "changed": None if v["outcome"] == "skipped" else v["outcome"] == "successful",
        },
        ("outcome", "queries"),
    ),
    (
        lambda v: {"merit": v["found"] / v["hidden"]} | ({"changed": bool(v["changed"])} if "changed" in v else {}),
        ("found", "hidden"),
    ),
    (lambda v: {"after": v["more"] < v["less"]} if v["more"] != v["less"] else {}, ("direction", "more", "less")),
    (
        lambda v: {
            "before": min(v["stereotype"], v["anti_stereotype"]) > v["unrelated"],
            "changed": v["stereotype"] > v["anti_stereotype"],
        },
        ("stereotype", "anti_stereotype", "unrelated"),
    ),
    (lambda v: {"merit": -v["score"] * v["is_ood"]}, ("score", "is_ood")),
    (lambda v: {"merit": -v["score"] * _sign(v["label"] == 0)}, ("score", "label", "subgroup")),
    (lambda v: {"merit": -(v["share"] - 0.5) * (v["women"] - 0.5)}, ("share", "women")),
    (lambda v: {"merit": v["association"] * _sign(v["set"] != "X")}, ("set", "association")),
    (
        lambda v: {
            "before": v["answer"] == v["gold"],
            "changed": (v["answer"], v["polarity"]) in (("target", "neg"), ("nontarget", "nonneg"))
            if v["answer"] != v["gold"]
            else None,
        },
        ("category", "answer", "gold", "polarity"),
    ),
    (lambda v: {"after": v["correct"] == 1, "merit": -float(v["answer"] == "memory")}, ("answer", "correct")),
    (lambda v: {"merit": v["agreement"]}, ("agreement",)),
    (lambda v: {"after": v["value"] >= 0.5}, ("predicted", "value")),
    (lambda v: {"merit": v["value"]}, ("value", "cluster")),
    (lambda v: {"merit": v["loglikelihood"]}, ("loglikelihood", "tokens")),
)


def told(probe: Probe, subjects: Sequence[Guessing] | Guessing) -> Probe:
    """The same probe, which tells the subjects of which example each request is."""
    listeners = [subjects] if isinstance(subjects, Guessing) else list(subjects)

    @functools.wraps(probe.run)
    def run(example: Example, rng: Any, **settings: Any) -> Steps:
        steps = probe.run(example, rng, **settings)
        try:
            requests = next(steps)
            while True:
                for subject in listeners:
                    subject.learn(requests, example)
                try:
                    answers = yield requests
                except GeneratorExit:
                    raise
                except Exception as error:
                    requests = steps.throw(error)
                else:
                    requests = steps.send(answers)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        finally:
            steps.close()

    return Probe(probe.name, probe.needs, run, probe.doc, probe.ready, probe.roles)
