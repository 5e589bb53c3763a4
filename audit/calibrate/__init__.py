"""How good a suite's probes are as instruments: run on subjects whose defect is planted and exactly known.

Every probe meets subjects that answer unchanged texts rightly or wrongly and keep or change the answer where the text
is changed, through the same scheduler, tables, measures and intervals as in a real run.  A subject that is right with
chance `a` and changes its answer with chance `e`, item by item, then gives in each repetition a mixture of those
records: what it was asked is the same, and equal requests have equal answers.  Entries whose records are the same
numbers in the same places have the same figures: they are simulated once, and say on which entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from audit import measures
from audit.calibrate.bench import Bench, Chances, bench, made
from audit.calibrate.power import NULL, RIGHT, lever, row, says, sweep
from audit.calibrate.subjects import VARIANTS, Asked, ask, middle, roles, told
from audit.manifest import calibrated
from audit.models.planted import Planted
from audit.plan import Part, Planned, Spec, aligned, plan, prepare
from audit.suite import Across, Entry, MeasureUse
from audit.types import Classify

SLOW = "its interval is a bootstrap of whole tables: calibrated only with --thorough"
NO_INTERVAL = "no repetition has an interval"
UNMOVED = "no planted defect moves it"
__all__ = ["NULL", "RIGHT", "Bench", "Chances", "bench", "calibrate", "lever", "says", "sweep", "told"]


def calibrate(
    reference: str, repetitions: int = 500, only: Sequence[str] = (), seed: int = 0, thorough: bool = False
) -> Iterator[dict[str, Any]]:
    """One row for each entry and measure of a suite: bias, coverage, false alarms, power, smallest effect, or why none.

    `repetitions` are of each subject of a sweep of eight, four times as many of the one on the limit; of measures that
    are no ratio of sums a fifth (and 500 of the one on the limit).  Measures whose interval calls them hundreds
    of times are left out unless `thorough`.  UsageError for a suite that is not as it must be.
    """
    yield from Session(reference, repetitions, seed, thorough).rows(only)


class Session:
    """One calibration: what was asked and simulated already."""

    def __init__(self, reference: str, repetitions: int, seed: int, thorough: bool) -> None:
        [part] = prepare(Spec((reference,), "planted"))
        self.names = _names(part)
        self.subject = Planted(self.names)
        self.part = Part(part.suite, part.bound, aligned(part, self.subject))
        self.draws = repetitions, seed
        self.thorough = thorough
        self.hashes = calibrated(part, {b.entry.label: b.probe for b in part.bound})
        self.known: dict[str, dict[str, Any]] = {}
        self.asked: dict[str, Asked] = {}

    def rows(self, only: Sequence[str]) -> Iterator[dict[str, Any]]:
        sheet = self.part.suite.sheet
        wanted = {name for a in sheet.across if not only or a.name in only for name in a.probes}
        plans = {b.entry.label: plan(b, self.part, roles(self.subject)) for b in self.part.bound}
        for name, planned in plans.items():
            if only and name not in {*only, *wanted}:
                continue
            asked = self._asked(planned, keep=name in wanted)
            if not only or name in only:
                yield from self._of_entry(planned, asked)
        for across in sheet.across:
            if not only or across.name in only:
                yield self._of_across(across)

    def _asked(self, planned: Planned, keep: bool) -> Asked:
        """The records of an entry, at all its settings where something compares these."""
        bound = planned.bound
        if planned.reason:
            asked = Asked((), (), {}, planned.reason["en"])
        else:
            every = [cell for cell in bound.cells if cell not in planned.refused]
            whole = keep or any(use.across for use in self._uses(planned))
            asked = ask(self.part, planned, self.names, every if whole else [middle(bound)])
        if keep:
            self.asked[bound.entry.label] = asked
        return asked

    def _uses(self, planned: Planned) -> Sequence[MeasureUse]:
        return planned.bound.entry.measures or self.part.suite.sheet.measures or (MeasureUse(measure="failure_rate"),)

    def _of_entry(self, planned: Planned, asked: Asked) -> Iterator[dict[str, Any]]:
        bound = planned.bound
        for use in self._uses(planned):
            about = self._about(bound.entry.label, use)
            some = asked if use.across or asked.why else _only(asked, middle(bound))
            yield self._row(about, bound.entry, use, {bound.entry.label: some})

    def _of_across(self, across: Across) -> dict[str, Any]:
        some = {name: self.asked[name] for name in across.probes if not self.asked[name].why}
        some = some or {name: self.asked[name] for name in across.probes[:1]}
        return self._row(self._about(across.name, across.measure), across, across.measure, some)

    def _about(self, name: str, use: MeasureUse) -> dict[str, Any]:
        return {"probe": name, "measure": use.key or use.measure, "hash": self.hashes[name]}

    def _row(
        self, about: dict[str, Any], entry: Entry | Across, use: MeasureUse, asked: dict[str, Asked]
    ) -> dict[str, Any]:
        result = measures.get(use.measure).results[use.key or measures.get(use.measure).headline]
        why = next(iter(asked.values())).why
        if not why and result.none:
            why = f"no interval: {result.none}"
        if not why and slow(use) and not self.thorough:
            why = SLOW
        found = None if why else made(self.part, entry, use, asked)
        if found is None or not lever(found):
            return {**about, "reason": why or UNMOVED}
        if found.signature not in self.known:
            repetitions, seed = self.draws
            figures = row(found, repetitions if found.sums else max(2, repetitions // 5), seed)
            self.known[found.signature] = {**figures, "same_as": about["probe"]}
        figures = {**self.known[found.signature]}
        if figures["coverage"] is None:
            return {**about, "reason": NO_INTERVAL}
        same = figures.pop("same_as")
        return {**about, **figures, **({"same_as": same} if same != about["probe"] else {})}


def _names(part: Part) -> list[str]:
    """The labels that texts are given: those of the data that is classified, else those the suite has words for."""
    asking = {n for b in part.bound if Classify in b.probe.needs for n in (b.entry.data, *b.entry.also)}
    blocks = [b for b in part.blocks if asking & {None, b.source.name}]
    names = {e.label for block in blocks for e in block.examples if e.label is not None}
    return sorted(names) or sorted(part.suite.sheet.verbalisers)


def _only(asked: Asked, cell: Any) -> Asked:
    """What was asked in one cell."""
    at, size = asked.cells.index(cell), len(asked.examples)
    kept = {v: asked.records[v][at * size : (at + 1) * size] for v in VARIANTS}
    return Asked((cell,), asked.examples, kept)


def slow(use: MeasureUse) -> bool:
    """Whether each interval of this measure calls it hundreds of times."""
    result = measures.get(use.measure).results[use.key or measures.get(use.measure).headline]
    return result.terms is None and result.interval is None and not result.none
