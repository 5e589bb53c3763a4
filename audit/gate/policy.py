"""A policy file into checked rules: what a release must meet, and what is excused until when.  Judges nothing."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from audit import document
from audit.errors import UsageError, nearest
from audit.suite import Setting, Shape
from audit.types import Finding

Consequence = Literal["fail", "warn", "pass"]
FIELDS = (
    "probe", "measure", "data", "settings", "language", "labels", "helpers", "dtype", "chat_template", "prompt",
    "overlong", "decoding",
)  # fmt: skip


class Select(Shape):
    """Which findings a rule is about.  `*` and `?` match in names; a setting that is not named may have any value.

    `group` "" means the finding over all rows, `*` every slice of it.
    """

    suite: str = "*"
    probe: str = "*"
    measure: str = "*"
    params: dict[str, Setting] = Field(default_factory=dict)
    group: str = ""
    finding: str = "*"

    def takes(self, finding: Finding) -> bool:
        """Whether the rule is about this finding."""
        named = (
            fnmatchcase(finding.suite, self.suite)
            and fnmatchcase(finding.probe, self.probe)
            and fnmatchcase(finding.measure, self.measure)
            and fnmatchcase(finding.id, self.finding)
        )
        sliced = fnmatchcase(finding.group, self.group) and (self.group == "" or finding.group != "")
        return named and sliced and all(_same(finding.params.get(k), v) for k, v in self.params.items())


def _same(found: Any, wanted: Any) -> bool:
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


class Limit(Shape):
    """Bounds that the whole interval must respect."""

    max: float | None = None
    min: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Limit:
        if self.max is None and self.min is None:
            raise ValueError("a limit needs max, min or both")
        return self


class Regression(Shape):
    """By how much, in the measure's own unit, a run may be worse than its baseline."""

    max_worse: float = Field(ge=0)


class Rule(Shape):
    """One demand: a limit or a regression rule on the selected findings."""

    id: str = Field(min_length=1)
    select: Select
    limit: Limit | None = None
    regression: Regression | None = None
    min_n: int = Field(default=0, ge=0)
    level: Literal["fail", "warn", "info"] = "fail"
    on_inconclusive: Consequence | None = None
    on_not_run: Consequence | None = None
    on_error: Consequence | None = None

    @model_validator(mode="after")
    def _one(self) -> Rule:
        if (self.limit is None) == (self.regression is None):
            raise ValueError("a rule needs either limit or regression")
        return self


class Baseline(Shape):
    """What regressions are measured against: a run folder, or a file of accepted baselines; `pinned` is a second one.

    Paths are relative to the policy's folder.  `ignore` names parts of the comparability key that may differ.
    """

    source: str | None = None
    pinned: str | None = None
    on_missing: Consequence = "fail"
    on_incomparable: Consequence = "fail"
    ignore: tuple[str, ...] = ()

    @field_validator("ignore")
    @classmethod
    def _known(cls, ignore: tuple[str, ...]) -> tuple[str, ...]:
        for name in ignore:
            if name not in FIELDS:
                raise ValueError(f"{name!r} is no part of the comparability key; {nearest(name, FIELDS)}")
        return ignore


class Defaults(Shape):
    """What holds for every rule that does not say otherwise."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    on_inconclusive: Consequence = "warn"
    on_not_run: Consequence = "fail"
    on_error: Consequence = "fail"


class Waiver(Shape):
    """A violation that is excused: why, by whom, until when, and up to which value."""

    rule: str
    finding: str = "*"
    reason: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    approved_by: str = Field(min_length=1)
    expires: datetime.date
    max_value: float | None = None
    min_value: float | None = None


class Policy(Shape):
    """The content of a policy file."""

    version: Literal[1]
    name: str = "release"
    baseline: Baseline = Baseline()
    defaults: Defaults = Defaults()
    rules: tuple[Rule, ...] = Field(min_length=1)
    waivers: tuple[Waiver, ...] = ()

    def consequence(self, rule: Rule, status: str) -> Consequence:
        """What a verdict other than met leads to under this rule."""
        if rule.level == "info":
            return "pass"
        found: Mapping[str, Consequence] = {
            "inconclusive": rule.on_inconclusive or self.defaults.on_inconclusive,
            "not_run": rule.on_not_run or self.defaults.on_not_run,
            "error": rule.on_error or self.defaults.on_error,
            "not_comparable": self.baseline.on_incomparable,
            "missing": self.baseline.on_missing,
            "violated": "fail",
        }
        wanted = found.get(status, "pass")
        return "warn" if wanted == "fail" and rule.level == "warn" else wanted


def read(path: Path) -> Policy:
    """The policy in this file.  UsageError `file:line: where: what`, with the nearest right key."""
    policy = document.read(path, Policy)
    ids = [rule.id for rule in policy.rules]
    for at, rule in enumerate(policy.rules):
        if ids.index(rule.id) != at:
            raise UsageError(f"{place(path, 'rules', at, 'id')}: two rules have the id {rule.id!r}; ids are unique.")
    for at, waiver in enumerate(policy.waivers):
        if waiver.rule not in ids:
            where = place(path, "waivers", at, "rule")
            raise UsageError(f"{where}: there is no rule {waiver.rule!r}; {nearest(waiver.rule, ids)}")
    return policy


def place(path: Path, *keys: str | int) -> str:
    """`file:line: rules.0.id`, for messages about a part of the file."""
    return f"{path}:{document.line(path, keys)}: {'.'.join(map(str, keys))}"


def selected(path: Path, policy: Policy, findings: list[Finding]) -> list[list[Finding]]:
    """For each rule the findings it is about.  UsageError where there is none: a demand on nothing is no pass."""
    chosen = []
    for at, rule in enumerate(policy.rules):
        taken = [finding for finding in findings if rule.select.takes(finding)]
        if not taken:
            raise UsageError(
                f"{place(path, 'rules', at, 'select')}: matches none of the run's findings; {_hint(rule, findings)}"
            )
        if rule.regression and (
            useless := next((f for f in taken if f.direction == "none" and f.value is not None), None)
        ):
            raise UsageError(
                f"{place(path, 'rules', at, 'select')}: {useless.measure!r} of {useless.id} has no better or worse; "
                "narrow the select, or use a limit."
            )
        chosen.append(taken)
    return chosen


def _hint(rule: Rule, findings: list[Finding]) -> str:
    """The first part of the select that matches nothing by itself, and what is there."""
    left = findings
    for part in ("suite", "probe", "measure", "finding", "group"):
        wanted = getattr(rule.select, part)
        alone = (
            Select.model_validate({part: wanted})
            if part == "group"
            else Select.model_validate({part: wanted, "group": "*"})
        )
        whole = Select.model_validate({part: wanted})
        kept = [f for f in left if alone.takes(f) or whole.takes(f)]
        if not kept:
            names = {f.id if part == "finding" else getattr(f, part) for f in left} - {""}
            if part == "group" and not names:
                return f"group {wanted!r}: the suite splits {left[0].measure!r} by no group (it would by `by: [group]`)"
            return f"{part} {wanted!r}: {nearest(wanted, names)}"
        left = kept
    for name, value in rule.select.params.items():
        there = sorted({str(f.params[name]) for f in left if name in f.params})
        if not there:
            return f"no setting {name!r}: {nearest(name, {key for f in left for key in f.params})}"
        if str(value) not in there:
            return f"setting {name} is {value!r} nowhere: {', '.join(there[:8])}"
    return "each part matches something, all of them together nothing"
