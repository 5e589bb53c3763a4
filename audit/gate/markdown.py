"""A judgement as Markdown, for a pull request or a step summary, and as annotations of a workflow run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from audit import document, store
from audit.gate.change import Change
from audit.gate.clean import line, markdown
from audit.gate.judge import Judgement, Light

MOST = 1 << 20  # bytes: a step summary may have no more
ROWS = 400
ANNOTATIONS = 10
MARKS = {
    "met": "✅",
    "violated": "❌",
    "inconclusive": "❔",
    "not_run": "➖",
    "error": "⚠️",
    "not_comparable": "↔️",
    "waived": "🕓",
}
STATES = {"met": "✅", "violated": "❌", "undecided": "❔", "nothing": "➖"}
ORDER = ("violates", "blocks", "warns", "passes")


def write(judgement: Judgement, path: Path, language: str = "en") -> None:
    """Write the file."""
    store.write_text(path, text(judgement, language))


def text(judgement: Judgement, language: str = "en") -> str:
    """At most 1 MiB: the summary, every check (the worst first), what changed, the waivers."""
    parts = [*_head(judgement, language), *_checks(judgement, language), *_changes(judgement, language)]
    parts += _waivers(judgement)
    kept: list[str] = []
    size = 0
    for part in parts:
        size += len(part.encode("utf-8", "replace")) + 1
        if size > MOST - 1000:
            kept.append("")
            kept.append("*Cut here: the whole of it is in gate.json.*")
            break
        kept.append(part)
    return "\n".join(kept) + "\n"


def _head(judgement: Judgement, language: str) -> Iterator[str]:
    yield f"## {STATES[judgement.state]} audit: {markdown(judgement.summary[language])}"
    yield ""
    model, policy = markdown(judgement.run.model), markdown(judgement.policy.name)
    yield f"Model {model}, policy {policy}, run {judgement.run.about['id']}."
    for reference in judgement.references:
        seen = markdown(reference.run.model) if reference.run else markdown(f"missing: {reference.missing}")
        yield f"Compared with {reference.name}: {seen}."
    yield ""


def _checks(judgement: Judgement, language: str) -> Iterator[str]:
    yield "| | rule | finding | why |"
    yield "|---|---|---|---|"
    lights = sorted(judgement.lights, key=lambda light: (ORDER.index(light.effect), light.status == "met"))
    for light in lights[:ROWS]:
        yield _row(light, language)
    if len(lights) > ROWS:
        yield f"| | | {len(lights) - ROWS} more | see gate.json |"
    yield ""


def _row(light: Light, language: str) -> str:
    mark = f"{MARKS[light.status]} {light.status.replace('_', ' ')}"
    blocks = " (blocks)" if light.effect == "blocks" else ""
    cells = (markdown(light.rule.id), markdown(light.name), markdown(light.why[language]))
    return f"| {mark}{blocks} | {' | '.join(cells)} |"


def _changes(judgement: Judgement, language: str) -> Iterator[str]:
    for name, changes in judgement.changes.items():
        moved = [change for change in changes if change.verdict in ("worse", "better")]
        lost = sum(change.verdict == "not_comparable" for change in changes)
        yield f"### Since {name}: {len(moved)} of {len(changes)} findings changed, {lost} not comparable"
        yield ""
        if moved:
            yield from _table(moved[:ROWS], language)


def _table(changes: list[Change], language: str) -> Iterator[str]:
    yield "| finding | change |"
    yield "|---|---|"
    for change in changes:
        yield f"| {markdown(change.finding.id)} | {markdown(change.why[language])} |"
    yield ""


def _waivers(judgement: Judgement) -> Iterator[str]:
    if judgement.waivers:
        yield "### Waivers"
        yield ""
        yield "| rule | state | expires | owner | approved by | reason |"
        yield "|---|---|---|---|---|---|"
    for waiver, state in judgement.waivers:
        cells = (waiver.rule, state, str(waiver.expires), waiver.owner, waiver.approved_by, waiver.reason)
        yield f"| {' | '.join(map(markdown, cells))} |"


def notes(judgement: Judgement) -> Iterator[str]:
    """At most ten workflow commands, the worst first, each pointing at its rule in the policy."""
    shown = [light for light in judgement.lights if light.effect != "passes" and light.status != "met"]
    shown.sort(key=lambda light: ORDER.index(light.effect))
    for light in shown[:ANNOTATIONS]:
        at = [rule.id for rule in judgement.policy.rules].index(light.rule.id)
        row = document.line(judgement.path, ("rules", at))
        level = "warning" if light.effect == "warns" else "error"
        where = f"file={_value(judgement.path.as_posix())},line={row},title={_value(f'audit: {light.rule.id}')}"
        told = f"{light.name}: {light.why['en']}"
        yield f"::{level} {where}::{_data(told)}"


def _data(text: str) -> str:
    return line(text).replace("%", "%25")


def _value(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
