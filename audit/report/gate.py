"""gate.json as the page's view model.  Knows the file's shape, not how a gate decides, and no HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from audit import numbers
from audit.report import files
from audit.report.rows import anchor, params_text
from audit.report.words import Words
from audit.types import Finding

Tree = Mapping[str, Any]
Made = TypeVar("Made")
STATES = ("met", "violated", "undecided", "nothing")
EFFECTS = ("violates", "blocks", "warns", "passes")
ALWAYS = ("violated", "inconclusive", "not_run")  # counted in the head also where there is none
STATUSES = (*ALWAYS, "error", "not_comparable", "waived", "met")
CHANGES = ("worse", "better", "no_detectable_change", "not_comparable")
FEW = 5  # checks of the first section, and the fewest rows a table is cut to
REASONS = 12  # of what is not comparable


@dataclass(frozen=True)
class Place:
    """A finding in words, and the anchor of its card ("" where the page has none)."""

    text: str
    anchor: str


@dataclass(frozen=True)
class Rule:
    """One rule of the policy; `status` is the worst of its `cells` checks."""

    id: str
    text: str
    level: str
    status: str
    effect: str
    cells: int


@dataclass(frozen=True)
class Check:
    """One rule on one finding; `baseline` is "" for limits."""

    rule: str
    place: Place
    baseline: str
    level: str
    status: str
    effect: str
    why: str


@dataclass(frozen=True)
class Waiver:
    """What is excused, by whom, until when, and up to which value; `state` says whether it is in force."""

    rule: str
    finding: str
    reason: str
    owner: str
    approved: str
    expires: str
    bound: str
    state: str


@dataclass(frozen=True)
class Change:
    """One finding then and now, printed."""

    place: Place
    verdict: str
    before: str
    after: str
    value: str
    interval: str
    n: str
    items: str


@dataclass(frozen=True)
class Baseline:
    """One baseline: what changed since, by verdict, the first rows of each, and reasons for what cannot be compared."""

    name: str
    source: str
    model: str
    reason: str
    missing: str
    counts: tuple[tuple[str, int], ...]
    moved: tuple[Change, ...]
    same: tuple[Change, ...]
    hidden: int
    lost: tuple[tuple[str, int, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Gate:
    """What gate.json says.  `counts` are rules by their worst status, `checks` those not met, the worst first."""

    state: str
    why: str
    policy: Mapping[str, str]
    total: int
    counts: tuple[tuple[str, int], ...]
    rules: tuple[Rule, ...]
    checks: tuple[Check, ...]
    met: tuple[Check, ...]
    hidden: int
    waivers: tuple[Waiver, ...]
    baselines: tuple[Baseline, ...]

    @property
    def stopping(self) -> tuple[Check, ...]:
        """The first of the checks that keep the gate from being passed."""
        return tuple(check for check in self.checks if check.effect in EFFECTS[:2])[:FEW]


class Places:
    """Finding ids into places of this page."""

    def __init__(self, findings: Sequence[Finding], titles: Mapping[tuple[str, str], str], words: Words) -> None:
        """`titles` are those of the cards that the page shows, by (suite, probe)."""
        self.findings = {finding.id: finding for finding in findings}
        self._titles = titles
        self._words = words

    def __call__(self, name: str, *, whole: bool = True) -> Place:
        """The place of this id, with its settings and group where it is `whole`; the id itself where it is unknown."""
        finding = self.findings.get(name)
        if finding is None:
            return Place(name, "")
        key = (finding.suite, finding.probe)
        measure = self._words.name("measure", finding.measure.rpartition(".")[2])
        parts = [self._titles.get(key, finding.probe), measure]
        if whole:
            parts += [params_text(finding.params), finding.group]
        return Place(self._words.list([p for p in parts if p]), anchor(*key) if key in self._titles else "")


def gate(run: files.Run, places: Places, words: Words, most: int) -> tuple[Gate | None, str]:
    """The gate of this run, tables cut to `most` rows; else why none is shown ("" where there is no gate.json)."""
    tree, fault = files.beside(run, "gate.json")
    return usable(tree, fault, words, lambda found: _gate(found, places, words, max(most, FEW)))


def usable(tree: Tree | None, fault: str, words: Words, made: Callable[[Tree], Made]) -> tuple[Made | None, str]:
    """What is made of a file's content; else why there is nothing, also where it is not of the shape expected."""
    if tree is None:
        return None, words.name("fault", fault) if fault else ""
    try:
        return made(tree), ""
    except (KeyError, TypeError, AttributeError, ValueError):
        return None, words.name("fault", "shape")


def _gate(tree: Tree, places: Places, words: Words, most: int) -> Gate:
    if tree["state"] not in STATES:
        raise ValueError(tree["state"])
    rules = tuple(_rule(row, words) for row in tree["rules"])
    checks = sorted((_check(row, places, words) for row in tree["verdicts"]), key=_worst)
    open_ = [check for check in checks if check.status != "met"]
    met = [check for check in checks if check.status == "met"]
    statuses = Counter(rule.status for rule in rules)
    policy = tree["policy"]
    return Gate(
        state=tree["state"],
        why=_why(tree, words),
        policy={
            "name": str(policy["name"]),
            "file": str(policy["file"]),
            "hash": str(policy["hash"]),
            "confidence": f"{float(policy['confidence']) * 100:g}%",
            "corrected": f"{int(policy['corrected']):,}",
        },
        total=len(rules),
        counts=tuple((name, statuses[name]) for name in STATUSES if statuses[name] or name in ALWAYS),
        rules=rules,
        checks=tuple(open_[:most]),
        met=tuple(met[:most]),
        hidden=max(0, len(open_) - most) + max(0, len(met) - most),
        waivers=tuple(_waiver(row, tree) for row in tree["waivers"]),
        baselines=tuple(_baseline(row, tree, places, words, most) for row in tree["baselines"]),
    )


def _why(tree: Tree, words: Words) -> str:
    """One sentence on what the state rests on."""
    counts = tree["counts"]
    breaking = sum(row["effect"] == "violates" for row in tree["verdicts"])
    holes = {"all": len(tree["verdicts"]), "met": counts["met"], "violated": breaking, "blocking": counts["blocking"]}
    state = "unfinished" if tree["state"] == "undecided" and not counts["blocking"] else tree["state"]
    return words(f"because.{state}", {key: f"{value:,}" for key, value in holes.items()})


def _rule(row: Tree, words: Words) -> Rule:
    text = words.pick(row["text"])
    return Rule(str(row["id"]), text, str(row["level"]), str(row["status"]), str(row["effect"]), int(row["cells"]))


def _check(row: Tree, places: Places, words: Words) -> Check:
    return Check(
        rule=str(row["rule"]),
        place=places(str(row["finding"])),
        baseline=str(row["baseline"]),
        level=str(row["level"]),
        status=str(row["status"]),
        effect=str(row["effect"]),
        why=words.pick(row["why"]),
    )


def _worst(check: Check) -> tuple[int, int]:
    effect = EFFECTS.index(check.effect) if check.effect in EFFECTS else len(EFFECTS)
    return effect, STATUSES.index(check.status) if check.status in STATUSES else len(STATUSES)


def _waiver(row: Tree, tree: Tree) -> Waiver:
    """A waiver; its bound is in the unit of what its rule is about."""
    unit = next((v["unit"] for v in tree["verdicts"] if v["rule"] == row["rule"]), "")
    kind = next((r["kind"] for r in tree["rules"] if r["id"] == row["rule"]), "limit")
    bounds = [
        f"{sign} {number(row[key], unit, difference=kind == 'regression').lstrip('+')}"
        for key, sign in (("max_value", "≤"), ("min_value", "≥"))
        if row.get(key) is not None
    ]
    return Waiver(
        rule=str(row["rule"]),
        finding=str(row["finding"]),
        reason=str(row["reason"]),
        owner=str(row["owner"]),
        approved=str(row["approved_by"]),
        expires=str(row["expires"]),
        bound=", ".join(bounds),
        state=str(row["state"]),
    )


def _baseline(row: Tree, tree: Tree, places: Places, words: Words, most: int) -> Baseline:
    changes = tree["changes"].get(row["name"]) or []
    counts = Counter(change["verdict"] for change in changes)
    made = sorted((_change(c, places) for c in changes if c["verdict"] in CHANGES[:3]), key=_order)
    moved = [change for change in made if change.verdict in CHANGES[:2]]
    same = [change for change in made if change.verdict not in CHANGES[:2]]
    lost: dict[str, list[str]] = {}
    for change in changes:
        if change["verdict"] == "not_comparable":
            lost.setdefault(words.pick(change["why"]), []).append(places(str(change["finding"])).text)
    reasons = sorted(lost.items(), key=lambda item: (-len(item[1]), item[0]))[:REASONS]
    revision = f" {row['revision'][:12]}" if row.get("revision") else ""
    return Baseline(
        name=str(row["name"]),
        source=str(row["source"]),
        model=f"{row['model']}{revision}" if row.get("model") else "",
        reason=str(row.get("reason") or ""),
        missing=words.pick(row.get("missing")),
        counts=tuple((name, counts[name]) for name in CHANGES),
        moved=tuple(moved[:most]),
        same=tuple(same[:most]),
        hidden=max(0, len(moved) - most) + max(0, len(same) - most),
        lost=tuple((why, len(names), tuple(names[:FEW])) for why, names in reasons),
    )


def _order(change: Change) -> int:
    return CHANGES.index(change.verdict)


def _change(row: Tree, places: Places) -> Change:
    unit = str(row["unit"])
    interval = ""
    if numbers.usable(row["low"]) and numbers.usable(row["high"]):
        interval = " … ".join(number(row[key], unit, difference=True).removesuffix(" pp") for key in ("low", "high"))
    return Change(
        place=places(str(row["finding"])),
        verdict=str(row["verdict"]),
        before=number(row["before"], unit),
        after=number(row["after"], unit),
        value=number(row["value"], unit, difference=True),
        interval=interval,
        n=f"{int(row['n']):,}",
        items=f"{int(row['worsened']):,} / {int(row['improved']):,}",
    )


def number(value: float | None, unit: str, *, difference: bool = False) -> str:
    """One number as the gate prints it: shares with one decimal, differences of shares as signed points."""
    shown = "points" if difference and unit == "proportion" else unit
    return numbers.value_text(value, shown, 1 if shown in ("proportion", "percent", "points") else 3)
