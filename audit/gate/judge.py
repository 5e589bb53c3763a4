"""A run against a policy: one light for each rule and finding, and from all of them the state and the exit code."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audit import measures, stats
from audit.errors import Exit
from audit.gate import words
from audit.gate.baseline import Reference
from audit.gate.change import Change, Changes
from audit.gate.decide import Question, adjusted, beyond, decide
from audit.gate.policy import Policy, Rule, Waiver, selected
from audit.gate.stored import Stored
from audit.gate.words import Both, bare, joined, number, quoted, say
from audit.types import Estimate, Finding, Verdict

EFFECTS = {"fail": "blocks", "warn": "warns", "pass": "passes"}
ORDER = ("violated", "error", "not_run", "not_comparable", "inconclusive", "waived", "met")


@dataclass(frozen=True)
class Light:
    """One rule on one finding: what it says, what follows from it, and why.

    `baseline` is "" for limits; `bound` max, min or worse; `value` of a regression is by how much the run is worse;
    `needed` the items that would decide; `waiver` indexes the policy's waivers; `missing`: there is no such baseline.
    """

    rule: Rule
    finding: Finding
    bound: str
    status: str
    why: Both
    baseline: str = ""
    question: Question | None = None
    p: float = 1.0
    effect: str = ""
    needed: int | None = None
    floor: float = 0.0
    waiver: int | None = None
    missing: bool = False

    @property
    def name(self) -> str:
        """What this light is called in files: unique within a judgement."""
        tail = f" [{self.bound}]" if self.rule.limit and None not in (self.rule.limit.max, self.rule.limit.min) else ""
        return f"{self.finding.id}{f' vs {self.baseline}' if self.baseline else ''}{tail}"


@dataclass(frozen=True)
class Judgement:
    """Everything that text, files and the exit code are made from."""

    path: Path
    policy: Policy
    run: Stored
    references: Sequence[Reference]
    lights: Sequence[Light]
    waivers: Sequence[tuple[Waiver, str]]
    changes: Mapping[str, list[Change]]
    corrected: int

    @property
    def exit(self) -> Exit:
        """The exit code; `state` and the summary follow from the same lights."""
        effects = {light.effect for light in self.lights}
        if not self.lights:
            return Exit.NOTHING
        if "violates" in effects:
            return Exit.VIOLATED
        return Exit.UNDECIDED if "blocks" in effects or self.unfinished else Exit.DONE

    @property
    def unfinished(self) -> bool:
        """Whether trials of the run are still to be measured: then nothing is passed yet."""
        return self.run.about.get("finished") is None

    @property
    def state(self) -> str:
        """met, violated, undecided or nothing."""
        return {Exit.DONE: "met", Exit.VIOLATED: "violated", Exit.UNDECIDED: "undecided"}.get(self.exit, "nothing")

    @property
    def counts(self) -> dict[str, int]:
        """Lights by status, and how many of them block."""
        found = Counter(light.status for light in self.lights)
        return {name: found[name] for name in ORDER} | {
            "blocking": sum(light.effect == "blocks" for light in self.lights)
        }

    @property
    def summary(self) -> Both:
        """One sentence."""
        counts, shown = self.counts, {"met": ("met",), "violated": ("violated",), "undecided": ()}.get(self.state, ())
        rest = [(words.word(s), n) for s, n in counts.items() if n and s not in (*shown, "blocking")]
        en = "".join(f"; {n} {word['en']}" for word, n in rest)
        zh = "".join(f"；{word['zh']} {n}" for word, n in rest)
        text = say(f"summary_{self.state}", all=len(self.lights), rest={"en": en, "zh": zh}, **counts)
        return joined(text, say("unfinished") if self.unfinished else {})

    @property
    def verdicts(self) -> list[Verdict]:
        """The lights as plain verdicts, in English."""
        return [Verdict(v.rule.id, v.finding.id, v.status, v.why["en"]) for v in self.lights]  # type: ignore[arg-type]


def judge(path: Path, policy: Policy, run: Stored, references: Sequence[Reference], today: datetime.date) -> Judgement:
    """Judge a run.  UsageError where a rule's select matches nothing, or a waiver's finding none of its rule's."""
    findings = list(run.findings.values())
    chosen = selected(path, policy, findings) if findings else []
    changes = Changes(run, references, policy.defaults.confidence, policy.baseline.ignore)
    drafts = [
        light
        for rule, taken in zip(policy.rules, chosen, strict=False)
        for finding in taken
        for light in _drafts(rule, finding, changes, policy.defaults.confidence)
    ]
    asked = [light for light in drafts if light.question is not None]
    p = adjusted([light.question for light in asked if light.question])
    corrected = sum(light.question.counts for light in asked if light.question)
    decided = dict(zip(map(id, asked), p, strict=True))
    lights = [_decided(light, decided[id(light)], corrected) if id(light) in decided else light for light in drafts]
    lights = [_waived(light, policy.waivers, today) for light in lights]
    lights = [replace(light, effect=_effect(policy, light)) for light in lights]
    states = [(waiver, _state(at, waiver, lights, today)) for at, waiver in enumerate(policy.waivers)]
    every = {r.name: changes.all(r) for r in references if r.run is not None}
    return Judgement(path, policy, run, references, lights, states, every, corrected)


def _drafts(rule: Rule, finding: Finding, changes: Changes, confidence: float) -> Iterator[Light]:
    """The lights of a rule on a finding, before correction: unmeasured ones are settled, the others hold a question."""
    bounds = _bounds(rule)
    if finding.verdict in ("not_run", "error") or finding.value is None:
        status = "error" if finding.verdict == "error" else "not_run"
        why = {code: finding.statement.get(code) or finding.reason for code in ("en", "zh")}
        for name in bounds:
            yield Light(rule, finding, name, status, why)
        return
    if rule.regression is None:
        found = _at(finding, changes.run, confidence)
        for name, limit in bounds.items():
            question = Question(found, limit, name == "max", rule.level == "fail")
            yield _asked(Light(rule, finding, name, "", {}, question=question))
        return
    if not changes.references:
        why = say("missing", why=words.messages()["no_source"])
        yield Light(rule, finding, "worse", "not_comparable", why, missing=True)
    for reference in changes.references:
        yield _against(rule, finding, reference, changes)


def _bounds(rule: Rule) -> dict[str, float]:
    if rule.regression:
        return {"worse": rule.regression.max_worse}
    assert rule.limit is not None
    named = {"max": rule.limit.max, "min": rule.limit.min}
    return {name: limit for name, limit in named.items() if limit is not None}


def _against(rule: Rule, finding: Finding, reference: Reference, changes: Changes) -> Light:
    """A regression rule against one baseline."""
    assert rule.regression is not None
    light = Light(rule, finding, "worse", "not_comparable", {}, reference.name)
    if reference.run is None:
        return replace(light, missing=True, why=say("missing", why=reference.missing))
    if why := changes.incomparable(finding.id, reference):
        return replace(light, why=why)
    pair = changes.pair(finding.id, reference)
    if pair.worse.value is None:
        named = words.baseline(reference.name)
        return replace(light, why=say("not_comparable", baseline=named, why=pair.worse.method))
    question = Question(pair.worse, rule.regression.max_worse, True, rule.level == "fail")
    return _asked(replace(light, status="", question=question, floor=pair.floor))


def _asked(light: Light) -> Light:
    """A light that can be decided, or one that is inconclusive for want of rows or of an interval."""
    assert light.question is not None
    found = light.question.found
    if found.n < light.rule.min_n:
        why = say("too_few", n=f"{found.n:,}", min_n=f"{light.rule.min_n:,}")
        return replace(light, status="inconclusive", why=why, question=replace(light.question, counts=False))
    if found.low is None or found.high is None:
        why = say("no_interval", why=found.method)
        return replace(light, status="inconclusive", why=why, question=replace(light.question, counts=False))
    return light


def _at(finding: Finding, run: Stored, confidence: float) -> Estimate:
    """The finding's estimate; from its records again where the policy wants another confidence."""
    found = Estimate(
        finding.value, finding.low, finding.high, finding.n, finding.clusters, finding.method, finding.confidence
    )
    if finding.confidence == confidence or finding.id not in run.tables:
        return found
    table = run.tables[finding.id]
    return measures.estimate(table.measure, table.frame(table.records), table.key, confidence)[0]


def _decided(light: Light, p: float, corrected: int) -> Light:
    """A light with its verdict, and the sentence that says why."""
    question = light.question
    if light.status or question is None:
        return light
    status, finding, kind = decide(question, p), light.finding, "regression" if light.baseline else "limit"
    notes: list[Mapping[str, str]] = []
    if status == "violated" and light.baseline and (question.found.value or 0) <= light.floor:
        status = "inconclusive"
        notes.append(say("under_floor", floor=number(light.floor, finding.unit)))
    elif status == "inconclusive" and beyond(question):
        notes.append(say("corrected", count=corrected, p=f"{p:.3f}"))
    needed = None
    if status == "inconclusive" and not notes:
        scale = 100.0 if finding.unit == "percent" else 1.0
        needed = stats.n_to_decide(question.found, question.limit, scale=scale)
    tail = say("needed", count=f"{needed:,}") if needed else {"en": "", "zh": ""}
    text = say(
        f"{'open' if status == 'inconclusive' else status}_{kind}",
        value=quoted(question.found, finding.unit, difference=bool(light.baseline)),
        limit=bare(number(question.limit, finding.unit, difference=bool(light.baseline))),
        needed=tail,
        baseline=words.baseline(light.baseline) if light.baseline else "",
    )
    return replace(light, status=status, p=p, needed=needed, why=joined(text, *notes))


def _effect(policy: Policy, light: Light) -> str:
    wanted = policy.consequence(light.rule, "missing" if light.missing else light.status)
    return "violates" if light.status == "violated" and wanted == "fail" else EFFECTS[wanted]


def _waived(light: Light, waivers: Sequence[Waiver], today: datetime.date) -> Light:
    """A violated light under a waiver that still holds is waived; one under a waiver that does not says so."""
    if light.status != "violated" or light.question is None:
        return light
    notes: list[Mapping[str, str]] = []
    for at, waiver in enumerate(waivers):
        if not _covers(waiver, light):
            continue
        if waiver.expires < today:
            notes.append(say("expired", expires=waiver.expires))
        elif (bound := _exceeded(waiver, light)) is not None:
            notes.append(say("exceeded", bound=number(bound, light.finding.unit, difference=bool(light.baseline))))
        else:
            text = say("waived", expires=waiver.expires, reason=waiver.reason)
            return replace(light, status="waived", waiver=at, why=joined(light.why, text))
    return replace(light, why=joined(light.why, *notes))


def _covers(waiver: Waiver, light: Light) -> bool:
    from fnmatch import fnmatchcase

    return waiver.rule == light.rule.id and fnmatchcase(light.finding.id, waiver.finding)


def _exceeded(waiver: Waiver, light: Light) -> float | None:
    """The waiver's bound, where the value lies beyond it."""
    assert light.question is not None
    value = light.question.found.value or 0.0
    if waiver.max_value is not None and value > waiver.max_value:
        return waiver.max_value
    return waiver.min_value if waiver.min_value is not None and value < waiver.min_value else None


def _state(at: int, waiver: Waiver, lights: Sequence[Light], today: datetime.date) -> str:
    if any(light.waiver == at for light in lights):
        return "active"
    if waiver.expires < today:
        return "expired"
    violated = [light for light in lights if light.status == "violated" and _covers(waiver, light)]
    return "exceeded" if violated else "unused"
