"""Findings into one card a probe: what it found, its rows, figures and examples.  Knows no HTML and reads no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from audit.report import figures
from audit.report.diff import Piece, diff, excerpt
from audit.report.rows import LIMITATION, Row, params_text, rank, reading, row
from audit.report.words import Words
from audit.types import Finding, Record

Plans = Mapping[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True)
class Detail:
    """How much of each probe is shown: the page must stay under its size whatever the run found.

    `thorough` False draws charts and groups only for probes with a limitation.
    """

    examples: int = 5
    text: int = 600
    curves: int = 2
    rows: int = 60
    cards: int = 400
    thorough: bool = True


@dataclass(frozen=True)
class Example:
    """One trial to look at: its change as pieces, its other texts by name."""

    trial: str
    setting: str
    language: str
    group: str
    changed: tuple[Piece, ...]
    texts: tuple[tuple[str, tuple[Piece, ...]], ...]
    error: str


@dataclass(frozen=True)
class Card:
    """One probe of one suite.  `hidden` counts the rows left out, `counts` the trials left out by reason."""

    suite: str
    probe: str
    title: str
    doc: str
    language: str
    worst: Row
    statement: str
    all: tuple[Finding, ...] = field(repr=False)
    rows: tuple[Row, ...] = ()
    hidden: int = 0
    curves: tuple[figures.Figure, ...] = ()
    groups: figures.Figure | None = None
    examples: tuple[Example, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    open: bool = False

    @property
    def limited(self) -> bool:
        """Whether a limitation was found."""
        return self.worst.finding.verdict in LIMITATION


def cards(findings: Sequence[Finding], plans: Plans, words: Words) -> list[Card]:
    """A bare card for each probe that was measured or failed, worst first; probes of which nothing ran have none."""
    byprobe: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        byprobe.setdefault((finding.suite, finding.probe), []).append(finding)
    ran = {key: found for key, found in byprobe.items() if any(f.verdict != "not_run" for f in found)}
    made = [_bare(*key, found, plans.get(key, {}), words) for key, found in ran.items()]
    return sorted(made, key=lambda card: rank(card.worst.finding))


def filled(card: Card, detail: Detail, records: Mapping[str, Record], words: Words) -> Card:
    """The card with its rows, figures and examples, as many as `detail` allows."""
    whole = sorted((finding for finding in card.all if not finding.group), key=reading)
    kept = set(map(id, sorted(whole, key=rank)[: detail.rows]))
    drawn = detail.thorough or card.limited
    worst = card.worst.finding
    return replace(
        card,
        rows=tuple(row(finding, words, card.title) for finding in whole if id(finding) in kept),
        hidden=len(whole) - len(kept),
        curves=tuple(figures.curves(card.all, worst.measure, words)[: detail.curves]) if drawn else (),
        groups=figures.groups(card.all, worst, words) if drawn else None,
        examples=_examples(card, detail, records),
        counts=_counts(card.all),
    )


def wanted(card: Card, detail: Detail) -> list[str]:
    """The trials whose evidence this card shows: those of its worst findings first."""
    ordered = sorted((f for f in card.all if f.examples), key=rank)
    return list(dict.fromkeys(trial for finding in ordered for trial in finding.examples))[: detail.examples]


def _bare(suite: str, probe: str, found: list[Finding], plan: Mapping[str, Any], words: Words) -> Card:
    title = words.pick(plan.get("title"), probe)
    worst = row(min(found, key=rank), words, title)
    statement = words.pick(worst.finding.statement, worst.finding.id)
    doc, language = str(plan.get("doc") or ""), str(plan.get("language") or "")
    return Card(suite, probe, title, doc, language, worst, statement, tuple(found))


def _examples(card: Card, detail: Detail, records: Mapping[str, Record]) -> tuple[Example, ...]:
    return tuple(_example(records[trial], detail.text) for trial in wanted(card, detail) if trial in records)


def _example(record: Record, limit: int) -> Example:
    evidence = {key: str(text) for key, text in record.outcome.evidence.items()} if record.outcome else {}
    changed: tuple[Piece, ...] = ()
    if "before" in evidence and "after" in evidence:
        changed = diff(evidence.pop("before"), evidence.pop("after"), limit)
    texts = tuple((key, excerpt(text, limit)) for key, text in list(evidence.items())[:12])
    setting = params_text(record.params)
    return Example(record.trial, setting, record.language, record.group, changed, texts, record.error or "")


def _counts(findings: Sequence[Finding]) -> tuple[tuple[str, int], ...]:
    """The most trials that one finding left out for each reason; findings share trials, so no sums."""
    kinds = ("skipped", "errors", "truncated", "unreadable")
    return tuple((kind, most) for kind in kinds if (most := max((getattr(f, kind) for f in findings), default=0)))
