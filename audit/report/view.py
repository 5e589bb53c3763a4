"""A run as the page's view model: plain values in reading order.  Knows no HTML; reads no file but through `files`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from audit import numbers
from audit.report import cards as card_room
from audit.report import figures, files, scope
from audit.report.cards import Card, Detail
from audit.report.gate import Gate, Places, gate
from audit.report.noise import Noise, noise
from audit.report.rows import SEVERITIES, VERDICTS, Row, rank, reading, row, settings_text, shown_verdict
from audit.report.words import Words
from audit.types import Finding, Record

WORST = 5  # sentences of "what matters most"
CLEAR = ("not_detected", "no_detectable_change", "better")
OPEN = 3  # cards that start open
MOST_OPEN_ROWS = 60  # of section 9


@dataclass(frozen=True)
class Light:
    """How many probes ended with this verdict."""

    verdict: str
    count: int


@dataclass(frozen=True)
class SuiteRow:
    """One suite at a glance; `lights` holds every verdict that occurs, `severity` the worst one found ("" for none)."""

    name: str
    title: str
    about: str
    probes: int
    lights: Mapping[str, int]
    severity: str


@dataclass(frozen=True)
class Quiet:
    """One measure of one probe for which no limitation was detected at these settings; `row` is the widest of them."""

    row: Row
    settings: str
    ruled_out: str
    smallest: str


@dataclass(frozen=True)
class Undecided:
    """An inconclusive finding, and how many items would settle it ("" where that is unknown)."""

    row: Row
    needed: str


@dataclass(frozen=True)
class MeasureCard:
    """A measure, its card, the card's hash."""

    name: str
    text: str
    hash: str


@dataclass(frozen=True)
class Page:
    """Everything the templates print, in the order of the page."""

    run: Mapping[str, Any]
    model: str
    lights: tuple[Light, ...]
    severities: tuple[tuple[str, int], ...]
    probes: int
    finished: bool
    gate: Gate | None
    gate_fault: str
    noise: Noise | None
    noise_fault: str
    worst: tuple[Card, ...]
    gaps: tuple[scope.Gap, ...]
    samples: tuple[scope.Gap, ...]
    kinds: tuple[scope.Kind, ...]
    suites: tuple[SuiteRow, ...]
    overview: tuple[figures.Figure, ...]
    cards: tuple[Card, ...]
    hidden: int
    quiet: tuple[Quiet, ...]
    undecided: tuple[Undecided, ...]
    undecided_hidden: int
    undecided_groups: int
    errors: tuple[Row, ...]
    plans: tuple[tuple[str, Mapping[str, Any]], ...]
    methods: tuple[tuple[str, int], ...]
    measures: tuple[MeasureCard, ...]
    limits: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]

    @property
    def figures(self) -> list[figures.Figure]:
        """Every chart of the page."""
        inside = [card.figures for card in self.cards]
        return [*self.overview, *(figure for found in inside for figure in found)]


def page(run: files.Run, words: Words, detail: Detail) -> Page:
    """The view of a run in one language, as much of it as `detail` allows."""
    about, findings = run.about, run.findings
    found = card_room.cards(findings, scope.plans(about), words)
    kept = found[: detail.cards]
    trials = {trial for card in kept for trial in card_room.wanted(card, detail)}
    records = files.records(run.folder, trials)
    shown = _filled(kept, detail, records, words)
    gaps = scope.gaps(findings, about, words)
    kinds = scope.kinds(about, findings)
    undecided = _undecided(found, words)
    never = scope.not_run(findings)
    places = Places(findings, {(card.suite, card.probe): card.title for card in kept}, words)
    judged, gate_fault = gate(run, places, words, detail.rows)
    floor, noise_fault = noise(run, places, words, detail.rows)
    return Page(
        run=about,
        model=_model_name(about),
        lights=_lights([card.worst.verdict for card in found] + ["not_run"] * len(never)),
        severities=_severities(found),
        probes=len(found) + len(never),
        finished=bool(about.get("finished")),
        gate=judged,
        gate_fault=gate_fault,
        noise=floor,
        noise_fault=noise_fault,
        worst=tuple(card for card in found if card.limited)[:WORST],
        gaps=tuple(gaps),
        samples=tuple(scope.samples(about, words)),
        kinds=tuple(kinds),
        suites=tuple(_suites(about, found, never, words)),
        overview=tuple(figures.overview([(card.title, card.all) for card in shown], words)),
        cards=tuple(shown),
        hidden=len(found) - len(kept),
        quiet=tuple(_quiet(found, words)),
        undecided=tuple(undecided[:MOST_OPEN_ROWS]),
        undecided_hidden=max(0, len(undecided) - MOST_OPEN_ROWS),
        undecided_groups=sum(bool(f.group) and shown_verdict(f) == "inconclusive" for f in findings),
        errors=tuple(row(f, words, card.title) for card in found for f in card.all if f.verdict == "error"),
        plans=tuple((suite, plan) for (suite, _), plan in scope.plans(about).items()),
        methods=tuple(sorted(Counter(f.method for f in findings if f.low is not None).items(), key=lambda m: -m[1])),
        measures=tuple(_measures(findings, words)),
        limits=tuple(scope.limits(findings, about, kinds, words)),
        provenance=tuple(_provenance(run)),
    )


def _filled(kept: Sequence[Card], detail: Detail, records: Mapping[str, Record], words: Words) -> list[Card]:
    """The cards with their contents; the worst ones get charts, as many as there is room for, and start open."""
    shown: list[Card] = []
    room = detail.charts
    for card in kept:
        whole = card_room.filled(card, detail, records, words, drawn=room > 0)
        room -= len(whole.figures)
        shown.append(replace(whole, open=card.limited and len(shown) < OPEN))
    return shown


def _model_name(about: Mapping[str, Any]) -> str:
    model = about.get("model") or {}
    return str(model.get("name") or model.get("reference") or (about.get("spec") or {}).get("model") or "?")


def _lights(verdicts: Sequence[str]) -> tuple[Light, ...]:
    counts = Counter(verdicts)
    return tuple(Light(name, counts[name]) for name in VERDICTS if counts[name])


def _severities(found: Sequence[Card]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter(card.worst.finding.severity for card in found if card.limited)
    return tuple((name, counts[name]) for name in SEVERITIES if counts[name])


def _suites(
    about: Mapping[str, Any], found: Sequence[Card], never: set[tuple[str, str]], words: Words
) -> list[SuiteRow]:
    known = {str(suite["name"]): suite for suite in scope.suites(about)}
    known |= {card.suite: known.get(card.suite, {}) for card in found}
    return [
        _suite(name, suite, [c for c in found if c.suite == name], sum(s == name for s, _ in never), words)
        for name, suite in known.items()
    ]


def _suite(name: str, suite: Mapping[str, Any], found: Sequence[Card], never: int, words: Words) -> SuiteRow:
    return SuiteRow(
        name=name,
        title=words.pick(suite.get("title"), name),
        about=words.pick(suite.get("about")),
        probes=len(found) + never,
        lights=Counter(card.worst.verdict for card in found) + Counter({"not_run": never}),
        severity=next((s for s in SEVERITIES if any(c.limited and c.worst.finding.severity == s for c in found)), ""),
    )


def _quiet(found: Sequence[Card], words: Words) -> list[Quiet]:
    """For each probe and measure: the settings with nothing detected, and what their widest interval rules out."""
    rows = []
    for card in found:
        clear: dict[str, list[Finding]] = {}
        for finding in card.all:
            if finding.verdict in CLEAR and not finding.group:
                clear.setdefault(finding.measure, []).append(finding)
        for same in clear.values():
            widest = max(same, key=lambda f: (f.high or 0.0) - (f.low or 0.0))
            settings = settings_text([f.params for f in sorted(same, key=reading)[:12]])
            rows.append(Quiet(row(widest, words, card.title), settings, _ruled_out(widest, words), _smallest(widest)))
    return rows


def _smallest(finding: Finding) -> str:
    """The smallest effect that this many items would have shown, as a difference; "" where it is unknown."""
    smallest = finding.detail.get("smallest_detectable")
    if not numbers.usable(smallest):
        return ""
    unit = {"proportion": "points"}.get(finding.unit, finding.unit)
    return numbers.value_text(smallest, unit, 1 if unit in ("points", "percent") else 2).lstrip("+")


def _ruled_out(finding: Finding, words: Words) -> str:
    if finding.low is None or finding.high is None:
        return "—"
    places = numbers.decimals(finding)
    if finding.direction == "higher":
        return words("quiet.below", {"bound": numbers.value_text(finding.low, finding.unit, places)})
    bound = max(abs(finding.low), abs(finding.high)) if finding.direction == "zero" else finding.high
    return words("quiet.above", {"bound": numbers.value_text(bound, finding.unit, places)})


def _undecided(found: Sequence[Card], words: Words) -> list[Undecided]:
    rows = [(f, card) for card in found for f in card.all if shown_verdict(f) == "inconclusive" and not f.group]
    rows.sort(key=lambda item: (item[0].detail.get("n_to_decide") or float("inf"), rank(item[0])))
    return [
        Undecided(row(f, words, card.title), f"{needed:,}" if (needed := f.detail.get("n_to_decide")) else "")
        for f, card in rows
    ]


def _measures(findings: Sequence[Finding], words: Words) -> list[MeasureCard]:
    """Each card once, under the names of all the results it gives."""
    names: dict[tuple[str, str], dict[str, None]] = {}
    for finding in findings:
        if finding.card:
            name = words.name("measure", finding.measure.rpartition(".")[2])
            names.setdefault((finding.card, finding.card_hash), {})[name] = None
    return [MeasureCard(words.list(list(said)), card, digest) for (card, digest), said in names.items()]


def _provenance(run: files.Run) -> list[tuple[str, str]]:
    about = run.about
    model, spec = about.get("model") or {}, about.get("spec") or {}
    rows: list[tuple[str, Any]] = [("run", about.get("id")), ("findings", run.digest), ("audit", about.get("audit"))]
    rows += [(key, model.get(key)) for key in (
        "reference", "revision", "weights_hash", "architecture", "head", "parameters", "dtype", "device", "context",
        "tokenizer", "vocabulary", "labels",
    )]  # fmt: skip
    rows += [(f"{kind}: {part['name']}", part.get("hash")) for kind, part in _hashes(about)]
    rows += [
        ("seed", spec.get("seed")),
        ("limit", spec.get("limit")),
        ("trust_remote_code", spec.get("trust_remote_code")),
    ]
    rows += [("versions", about.get("versions")), ("machine", about.get("machine"))]
    seconds = about.get("seconds")
    rows += [("started", about.get("started")), ("finished", about.get("finished"))]
    rows += [("seconds", numbers.duration_text(seconds) if seconds else None), ("page", _epoch())]
    return [(name, _value(value)) for name, value in rows if value not in (None, "", [], {})]


def _hashes(about: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    parts = scope.suites(about)
    return [("suite", part) for part in parts] + [("data", block) for part in parts for block in part.get("data") or ()]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items() if item not in (None, ""))
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _epoch() -> str | None:
    """The page's date where SOURCE_DATE_EPOCH gives one; no clock is read, so equal runs give equal pages."""
    try:
        return datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (KeyError, ValueError, OverflowError, OSError):
        return None
