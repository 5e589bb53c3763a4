"""What changed between a run and its baselines: each finding paired once, with Holm's correction over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.gate import pairs, words
from audit.gate.baseline import Reference
from audit.gate.decide import Question, adjusted, p_value
from audit.gate.pairs import Pair
from audit.gate.stored import Stored
from audit.gate.words import Both, number, quoted, say
from audit.types import Estimate, Finding, VerdictName

UNKNOWN = Estimate(None)
UNPAIRED = Pair(UNKNOWN)


@dataclass(frozen=True)
class Change:
    """One finding, then and now; `value` is now - then in the measure's unit, None where they are not comparable."""

    finding: Finding
    verdict: VerdictName
    why: Both
    before: float | None = None
    after: float | None = None
    difference: Estimate = UNKNOWN
    pair: Pair = UNPAIRED
    p: float = 1.0


class Changes:
    """The pairs of one run with its baselines; each is computed when it is first asked for, and kept."""

    def __init__(
        self, run: Stored, references: Sequence[Reference], confidence: float = 0.95, ignore: tuple[str, ...] = ()
    ) -> None:
        self.run = run
        self.references = references
        self._confidence = confidence
        self._ignore = ignore
        self._pairs: dict[tuple[str, str], Pair] = {}

    def incomparable(self, name: str, reference: Reference) -> Both:
        """Why a finding cannot be compared with this baseline, naming what differs; empty where it can."""
        assert reference.run is not None
        named = words.baseline(reference.name)
        then = reference.run.findings.get(name)
        if then is None or name not in reference.run.tables or name not in self.run.tables:
            return say("absent", baseline=named)
        fields = pairs.differences(name, self.run, reference.run, self._ignore)
        if fields:
            return say("not_comparable", baseline=named, why=pairs.names(fields))
        return say("unmeasured_then", baseline=named) if then.value is None else {}

    def pair(self, name: str, reference: Reference, *, quick: bool = False) -> Pair:
        """One finding paired with a baseline that it is comparable with; `quick` for an overview, not for a rule."""
        assert reference.run is not None
        key = (name, reference.name)
        if key not in self._pairs and quick:
            return pairs.pair(name, self.run, reference.run, self._confidence, quick=True)
        if key not in self._pairs:
            self._pairs[key] = pairs.pair(name, self.run, reference.run, self._confidence)
        return self._pairs[key]

    def all(self, reference: Reference) -> list[Change]:
        """Every measured finding against one baseline: worse and better only where that outlasts the correction."""
        measured = [f for f in self.run.findings.values() if f.value is not None and f.direction != "none"]
        found = [self._one(finding, reference) for finding in measured]
        asked = [change for change in found if change.verdict != "not_comparable"]
        p = adjusted([_question(change) for change in asked])
        settled = {id(change): _settled(change, value) for change, value in zip(asked, p, strict=True)}
        return [settled.get(id(change), change) for change in found]

    def _one(self, finding: Finding, reference: Reference) -> Change:
        assert reference.run is not None
        if why := self.incomparable(finding.id, reference):
            return Change(finding, "not_comparable", why)
        pair = self.pair(finding.id, reference, quick=True)
        before, after = reference.run.findings[finding.id].value, finding.value
        if pair.worse.value is None:
            why = say("not_comparable", baseline=words.baseline(reference.name), why=pair.worse.method)
            return Change(finding, "not_comparable", why, before, after, pair=pair)
        return Change(finding, "no_detectable_change", {}, before, after, _signed(finding, pair.worse), pair)


def _signed(finding: Finding, worse: Estimate) -> Estimate:
    """now - then, of how much worse."""
    if finding.direction != "higher" or worse.value is None:
        return worse
    low = None if worse.high is None else -worse.high
    high = None if worse.low is None else -worse.low
    return replace(worse, value=-worse.value, low=low, high=high)


def _question(change: Change) -> Question:
    """Two-sided: whichever side of no difference the number lies on."""
    return Question(change.pair.worse, 0.0, (change.pair.worse.value or 0) >= 0)


def _settled(change: Change, p: float) -> Change:
    worse, unit = change.pair.worse, change.finding.unit
    value, level = worse.value or 0.0, 1 - worse.confidence
    real = p < level and p_value(_question(change)) < level and abs(value) > change.pair.floor
    verdict: VerdictName = ("worse" if value > 0 else "better") if real else "no_detectable_change"
    why = say(
        f"change_{verdict}",
        before=number(change.before, unit),
        after=number(change.after, unit),
        value=quoted(change.difference, unit, difference=True),
    )
    return replace(change, verdict=verdict, p=p, why=why)
