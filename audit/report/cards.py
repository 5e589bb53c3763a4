"""Findings into one card a probe: what it found, its rows, figures and examples.  Knows no HTML and reads no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from audit.report import figures, heat, reliability
from audit.report.diff import Piece, diff, excerpt
from audit.report.rows import LIMITATION, Row, params_text, rank, reading, row
from audit.report.words import Words
from audit.types import Finding, Record

Plans = Mapping[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True)
class Detail:
    """How much is shown: the page must stay under its size whatever the run found.

    `examples`, `text` (characters) and `rows` are a probe, `cards` and `charts` for the page, worst first.
    """

    examples: int = 5
    text: int = 600
    rows: int = 60
    cards: int = 400
    charts: int = 160


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
    """One probe of one suite.  `all` are its findings, without the settings that all share: `fixed`.

    `planes` are heat maps and reliability diagrams.  `hidden` counts the rows left out, `counts` the trials left out by
    reason; `power` is what the suite's calibration says of each measure.
    """

    suite: str
    probe: str
    title: str
    doc: str
    language: str
    worst: Row
    statement: str
    all: tuple[Finding, ...] = field(repr=False)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    hidden: int = 0
    curves: tuple[figures.Figure, ...] = ()
    groups: figures.Figure | None = None
    planes: tuple[figures.Figure, ...] = ()
    examples: tuple[Example, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    power: tuple[tuple[str, str], ...] = ()
    open: bool = False

    @property
    def limited(self) -> bool:
        """Whether a limitation was found."""
        return self.worst.finding.verdict in LIMITATION

    @property
    def figures(self) -> list[figures.Figure]:
        """Every chart of the card."""
        return [*self.curves, *self.planes, *([self.groups] if self.groups else [])]


def cards(findings: Sequence[Finding], plans: Plans, words: Words) -> list[Card]:
    """A bare card for each probe that was measured or failed, worst first; probes of which nothing ran have none."""
    byprobe: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        byprobe.setdefault((finding.suite, finding.probe), []).append(finding)
    ran = {key: found for key, found in byprobe.items() if any(f.verdict != "not_run" for f in found)}
    made = [_bare(*key, found, plans.get(key, {}), words) for key, found in ran.items()]
    return sorted(made, key=lambda card: rank(card.worst.finding))


def filled(card: Card, detail: Detail, records: Mapping[str, Record], words: Words, *, drawn: bool) -> Card:
    """The card with its rows and examples, as many as `detail` allows, and with its figures where it is `drawn`."""
    order = {measure: at for at, measure in enumerate(dict.fromkeys(f.measure for f in card.all))}
    whole = sorted((f for f in card.all if not f.group), key=lambda f: (order[f.measure], reading(f)))
    kept = set(map(id, sorted(whole, key=rank)[: detail.rows]))
    first = card.worst.finding.measure
    heated = heat.maps(card.all, first, words) if drawn else {}
    sure = reliability.diagram(card.all, words) if drawn else None
    curves = figures.curves(card.all, first, words, frozenset(heated)) if drawn else []
    return replace(
        card,
        rows=tuple(row(finding, words, card.title) for finding in whole if id(finding) in kept),
        hidden=len(whole) - len(kept),
        curves=tuple(curves),
        groups=figures.groups(card.all, words) if drawn else None,
        planes=(*heated.values(), *([sure] if sure else [])),
        examples=_examples(card, detail, records),
        counts=_counts(card.all),
        power=_power(whole, words),
    )


def wanted(card: Card, detail: Detail) -> list[str]:
    """The trials whose evidence this card shows: those of its worst findings first."""
    ordered = sorted((f for f in card.all if f.examples), key=rank)
    return list(dict.fromkeys(trial for finding in ordered for trial in finding.examples))[: detail.examples]


def _bare(suite: str, probe: str, found: list[Finding], plan: Mapping[str, Any], words: Words) -> Card:
    title = words.pick(plan.get("title"), probe)
    fixed = _fixed(found)
    found = [replace(f, params={key: value for key, value in f.params.items() if key not in fixed}) for f in found]
    worst = row(min(found, key=rank), words, title)
    statement = words.pick(worst.finding.statement, worst.finding.id)
    doc, language = str(plan.get("doc") or ""), str(plan.get("language") or "")
    return Card(suite, probe, title, doc, language, worst, statement, tuple(found), fixed)


def _fixed(found: Sequence[Finding]) -> dict[str, Any]:
    """The settings that all findings of a probe share: said once, not in every row."""
    first = found[0].params
    return {key: value for key, value in first.items() if all(f.params.get(key, found) == value for f in found)}


def _examples(card: Card, detail: Detail, records: Mapping[str, Record]) -> tuple[Example, ...]:
    return tuple(_example(records[trial], card, detail.text) for trial in wanted(card, detail) if trial in records)


def _example(record: Record, card: Card, limit: int) -> Example:
    evidence = {key: str(text) for key, text in record.outcome.evidence.items()} if record.outcome else {}
    changed: tuple[Piece, ...] = ()
    if "before" in evidence and "after" in evidence:
        changed = diff(evidence.pop("before"), evidence.pop("after"), limit)
    texts = tuple((key, excerpt(text, limit)) for key, text in list(evidence.items())[:12])
    setting = params_text({key: value for key, value in record.params.items() if key not in card.fixed})
    return Example(record.trial, setting, record.language, record.group, changed, texts, record.error or "")


def _counts(findings: Sequence[Finding]) -> tuple[tuple[str, int], ...]:
    """The most trials that one finding left out for each reason; findings share trials, so no sums."""
    kinds = ("skipped", "errors", "truncated", "unreadable")
    return tuple((kind, most) for kind in kinds if (most := max((getattr(f, kind) for f in findings), default=0)))


def _power(findings: Sequence[Finding], words: Words) -> tuple[tuple[str, str], ...]:
    """By measure, what calibration says this probe would find; settings share the sentence."""
    said = {words.name("measure", f.measure.rpartition(".")[2]): words.pick(f.detail.get("power")) for f in findings}
    return tuple((measure, text) for measure, text in said.items() if text)
