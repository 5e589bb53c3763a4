"""What was asked of which data, what was not and why, and what this run cannot show.  Knows no HTML and no cards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit import numbers
from audit.report.rows import LIMITATION, shown_verdict
from audit.report.words import Words
from audit.say import messages
from audit.types import Finding

KINDS = (
    "robustness", "domain_generalisation", "bias", "factual_consistency", "long_range_dependence", "calibration",
    "interpretability", "scalability", "safety", "privacy", "dialogue", "few_shot", "low_resource_languages",
)  # fmt: skip
# A number that stands alone: no part of a version, a path or a name.
COUNT = re.compile(r"(?<![\w./-])(?:\d{1,3}(?:,\d{3})+|\d+)(?![\w/-]|\.\w)")
FEW = 30  # clusters: below it, intervals are rough


@dataclass(frozen=True)
class Gap:
    """One reason why something was not tested, and everything it stopped: whole probes, or some `measures` of them."""

    reason: str
    suite: str
    probes: tuple[str, ...]
    whole: bool
    measures: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of limitation, and the suites of this run that ask about it."""

    name: str
    suites: tuple[str, ...]


def suites(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The suites of run.json."""
    return list(run.get("suites") or ())


def plans(run: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What run.json says of each entry, measures across entries included, by (suite, name)."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for suite in suites(run):
        sheet = suite.get("sheet") or {}
        for entry in [*(sheet.get("across") or ()), *(suite.get("across") or ()), *(suite.get("probes") or ())]:
            found[str(suite["name"]), str(entry["name"])] = entry
    return found


def not_run(findings: Sequence[Finding]) -> set[tuple[str, str]]:
    """The probes of which nothing was run, as (suite, name)."""
    ran = {(f.suite, f.probe) for f in findings if f.verdict != "not_run"}
    return {(f.suite, f.probe) for f in findings} - ran


def gaps(findings: Sequence[Finding], run: Mapping[str, Any], words: Words) -> list[Gap]:
    """Everything that was not run, one row a reason, whole probes first, the reason that stopped most first.

    Reasons that differ only in how many texts they concern are one.
    """
    planned, never = plans(run), not_run(findings)
    stopped: dict[tuple[str, str, bool], list[tuple[Finding, str]]] = {}
    for finding in findings:
        if finding.verdict == "not_run":
            reason = _reason(finding, planned.get((finding.suite, finding.probe), {}), words)
            key = (COUNT.sub("#", reason), finding.suite, (finding.suite, finding.probe) in never)
            stopped.setdefault(key, []).append((finding, reason))
    found = []
    for (_reason_key, suite, whole), rows in stopped.items():
        titles = dict.fromkeys(words.pick(planned.get((suite, f.probe), {}).get("title"), f.probe) for f, _ in rows)
        measures = dict.fromkeys(words.name("measure", f.measure.rpartition(".")[2]) for f, _ in rows)
        reason = _ranges([reason for _, reason in rows])
        found.append(Gap(reason, suite, tuple(titles), whole, "" if whole else words.list(list(measures))))
    return sorted(found, key=lambda gap: (not gap.whole, -len(gap.probes), gap.reason))


def samples(run: Mapping[str, Any], words: Words) -> list[Gap]:
    """Probes that were asked of a part of the data only, one row a sample size."""
    found: dict[tuple[str, str], list[str]] = {}
    for (suite, name), plan in plans(run).items():
        if plan.get("limit") and plan.get("status") == "planned":
            reason = words("gap.sample", {"limit": f"{plan['limit']:,}"})
            found.setdefault((reason, suite), []).append(words.pick(plan.get("title"), name))
    return [Gap(reason, suite, tuple(titles), False) for (reason, suite), titles in found.items()]


def kinds(run: Mapping[str, Any], findings: Sequence[Finding]) -> list[Kind]:
    """Every kind of limitation, then those that only a suite names, with the suites that gave evidence."""
    measured = dict.fromkeys((f.suite, f.probe) for f in findings if numbers.usable(f.value))
    claimed: dict[str, dict[str, None]] = {name: {} for name in KINDS}
    known, planned = {suite["name"]: suite for suite in suites(run)}, plans(run)
    for suite, probe in measured:
        own = planned.get((suite, probe), {}).get("limitations")
        for said in own or known.get(suite, {}).get("limitations") or ():
            name = str(said).lower().replace("-", "_").replace(" ", "_").replace("ization", "isation")
            claimed.setdefault(name, {})[str(suite)] = None
    return [Kind(name, tuple(by)) for name, by in claimed.items()]


def limits(findings: Sequence[Finding], run: Mapping[str, Any], kinds_: Sequence[Kind], words: Words) -> list[str]:
    """What this audit cannot show, as sentences made from the run."""
    measured = [f for f in findings if numbers.usable(f.value)]
    sentences = list(_of_the_sample(measured, words))
    sentences += _of_the_data(run, words)
    sentences += _of_the_trials(findings, words)
    without = [words.name("kind", kind.name) for kind in kinds_ if not kind.suites]
    if without:
        sentences.append(words("limits.kinds", {"kinds": words.list(without)}))
    spec = run.get("spec") or {}
    sentences.append(words("limits.seed", {"seed": spec.get("seed", 0)}))
    sentences += [str(note) for note in (run.get("model") or {}).get("notes") or ()]
    return sentences


def _reason(finding: Finding, plan: Mapping[str, Any], words: Words) -> str:
    """The reason in this language: as planned, or what the sentence says between its fixed words."""
    said = plan.get("reason")
    if isinstance(said, Mapping) and said.get("en") == finding.reason:
        return words.pick(said)
    text = words.pick(finding.statement, finding.reason)
    frame = messages().get("not_run", {}).get(words.language, "")
    head, _, tail = frame.partition("{reason}")
    if head and text.startswith(head) and text.endswith(tail):
        text = text[len(head) : len(text) - len(tail)]
    return text or finding.reason or words("gap.unknown")


def _ranges(reasons: Sequence[str]) -> str:
    """Reasons of one wording as one, with the range of each number: `in 4–58 of 4–60 inputs`."""
    columns = zip(*(COUNT.findall(reason) for reason in dict.fromkeys(reasons)), strict=True)
    spans = []
    for column in columns:
        ordered = sorted(set(column), key=lambda number: int(number.replace(",", "")))
        spans.append(ordered[0] if len(ordered) == 1 else f"{ordered[0]}–{ordered[-1]}")
    return COUNT.sub(lambda _match: spans.pop(0), reasons[0])


def _of_the_sample(measured: Sequence[Finding], words: Words) -> Iterable[str]:
    sizes = [f.n for f in measured if f.n]
    if sizes:
        yield words("limits.n", {"least": f"{min(sizes):,}", "most": f"{max(sizes):,}", "count": f"{len(measured):,}"})
    clustered = [f for f in measured if f.clusters and f.clusters != f.n]
    if clustered:
        least = min(f.clusters for f in clustered)
        yield words("limits.clusters", {"count": f"{len(clustered):,}", "least": f"{least:,}"})
    few = sum(0 < (f.clusters or f.n) < FEW for f in measured)
    if few:
        yield words("limits.few", {"count": f"{few:,}", "few": FEW})
    intervals = [f for f in measured if f.low is not None]
    if len(intervals) > 1:
        missed = sum(1 - f.confidence for f in intervals)
        confirmed = sum(f.verdict in LIMITATION for f in measured)
        holes = {"count": f"{len(intervals):,}", "missed": f"{missed:.0f}", "confirmed": f"{confirmed:,}"}
        yield words("limits.many", holes)
    open_ = sum(shown_verdict(f) == "inconclusive" for f in measured)
    if open_:
        yield words("limits.inconclusive", {"count": f"{open_:,}", "measured": f"{len(measured):,}"})


def _of_the_data(run: Mapping[str, Any], words: Words) -> Iterable[str]:
    own = not (run.get("spec") or {}).get("data")
    for suite in suites(run):
        for block in suite.get("data") or ():
            holes = {"name": block.get("name", ""), "suite": suite["name"], "rows": f"{block.get('rows', 0):,}"}
            used, labelled = block.get("used", 0), block.get("labelled", 0)
            if own:
                yield words("limits.own", holes)
            if used and labelled < used:
                key = "limits.unlabelled" if labelled else "limits.no_labels"
                yield words(key, holes | {"missing": f"{used - labelled:,}", "used": f"{used:,}"})
            if block.get("malformed"):
                yield words("limits.malformed", holes | {"count": f"{block['malformed']:,}"})
            if used < block.get("rows", 0) - block.get("malformed", 0):
                yield words("limits.sampled", holes | {"used": f"{used:,}"})


def _of_the_trials(findings: Sequence[Finding], words: Words) -> Iterable[str]:
    for kind in ("errors", "truncated", "unreadable", "skipped"):
        touched = {(f.suite, f.probe) for f in findings if getattr(f, kind)}
        if touched:
            most = max(getattr(f, kind) for f in findings)
            yield words(f"limits.{kind}", {"probes": f"{len(touched):,}", "most": f"{most:,}"})
