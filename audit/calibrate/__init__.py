"""How good a suite's probes are as instruments: run on subjects whose defect is planted and exactly known.

Every probe meets four subjects (answering unchanged texts rightly or wrongly; keeping or changing the answer where the
text is changed) through the same scheduler, tables, measures and intervals as in a real run.  A subject that is right
with chance `a` and changes its answer with chance `e`, item by item, then gives in each repetition a mixture of those
records: what it was asked is the same, and equal requests have equal answers.  Its truth follows exactly, since the
expectation of a sum over rows is linear in both chances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from audit.calibrate.bench import Bench, Chances, bench, made, slow, told, variants
from audit.calibrate.power import NULL, RIGHT, lever, row, says, sweep
from audit.manifest import probe_hash
from audit.models.planted import Planted
from audit.plan import Part, Planned, Spec, aligned, plan, prepare
from audit.suite import MeasureUse
from audit.types import SUBJECT

SLOW = "its interval is a bootstrap: calibrated only with --thorough"
__all__ = ["NULL", "RIGHT", "Bench", "Chances", "bench", "calibrate", "lever", "says", "sweep", "told"]


def calibrate(
    reference: str, repetitions: int = 60, only: Sequence[str] = (), seed: int = 0, thorough: bool = False
) -> Iterator[dict[str, Any]]:
    """One row for each probe and measure of a suite: bias, coverage, false alarms, power, smallest effect, or why none.

    `repetitions` are of each subject of a sweep of nine; measures whose interval calls them hundreds of times are left
    out unless `thorough`.  UsageError for a suite that is not as it must be.
    """
    [part] = prepare(Spec((reference,), "planted"))
    names = sorted({e.label for block in part.blocks for e in block.examples if e.label is not None})
    subject = Planted(names)
    part = Part(part.suite, part.bound, aligned(part, subject))
    for bound in part.bound:
        if only and bound.entry.label not in only:
            continue
        yield from _rows(part, plan(bound, part, {SUBJECT: subject}), subject, (repetitions, seed), thorough)


def _rows(
    part: Part, planned: Planned, subject: Planted, draws: tuple[int, int], thorough: bool
) -> Iterator[dict[str, Any]]:
    bound = planned.bound
    uses = bound.entry.measures or part.suite.sheet.measures or (MeasureUse(measure="failure_rate"),)
    named = [(use, {"probe": bound.entry.label, "measure": use.key or use.measure}) for use in uses]
    records, why = ({}, planned.reason["en"]) if planned.reason else variants(part, planned, subject.names)
    for use, about in named:
        if use.across:
            yield {**about, "reason": "measured over all settings at once: not calibrated"}
            continue
        if not why and slow(use) and not thorough:
            yield {**about, "reason": SLOW}
            continue
        found = None if why else made(part, planned, use, records)
        if found is None or not lever(found):
            yield {**about, "reason": why or "no planted defect moves it"}
        else:
            yield {**about, "hash": probe_hash(bound.probe), **row(found, *draws)}
