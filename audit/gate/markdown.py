"""A judgement as Markdown, for a pull request or a step summary, and as annotations of a workflow run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from audit import document, store
from audit.gate import words
from audit.gate.clean import line, markdown
from audit.gate.judge import Judgement, Light
from audit.gate.words import say

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
    parts += _waivers(judgement, language)
    kept: list[str] = []
    size = 0
    for part in parts:
        size += len(part.encode("utf-8", "replace")) + 1
        if size > MOST - 1000:
            kept += ["", say("md_cut")[language]]
            break
        kept.append(part)
    return "\n".join(kept) + "\n"


def _head(judgement: Judgement, language: str) -> Iterator[str]:
    yield f"## {STATES[judgement.state]} audit: {markdown(judgement.summary[language])}"
    yield ""
    model, policy = markdown(judgement.run.model), markdown(judgement.policy.name)
    yield say("md_about", model=model, policy=policy, run=judgement.run.about["id"])[language]
    for reference in judgement.references:
        seen = reference.run.model if reference.run else say("md_missing", why=reference.missing)[language]
        yield say("md_against", name=words.baseline(reference.name), seen=markdown(seen))[language]
    yield ""


def _table(language: str, *columns: str) -> Iterator[str]:
    yield f"| {' | '.join(say(f'md_{name}')[language] if name else '' for name in columns)} |"
    yield "|" + "---|" * len(columns)


def _checks(judgement: Judgement, language: str) -> Iterator[str]:
    yield from _table(language, "", "rule", "finding", "why")
    lights = sorted(judgement.lights, key=lambda light: (ORDER.index(light.effect), light.status == "met"))
    for light in lights[:ROWS]:
        yield _row(light, language)
    if len(lights) > ROWS:
        more = say("md_more", count=len(lights) - ROWS)[language]
        yield f"| | | {more} | {say('md_see')[language]} |"
    yield ""


def _row(light: Light, language: str) -> str:
    mark = f"{MARKS[light.status]} {words.word(light.status)[language]}"
    blocks = say("blocks")[language] if light.effect == "blocks" else ""
    cells = (markdown(light.rule.id), markdown(light.name), markdown(light.why[language]))
    return f"| {mark}{blocks} | {' | '.join(cells)} |"


def _changes(judgement: Judgement, language: str) -> Iterator[str]:
    for name, changes in judgement.changes.items():
        moved = [change for change in changes if change.verdict in ("worse", "better")]
        lost = sum(change.verdict == "not_comparable" for change in changes)
        counts = {"moved": len(moved), "all": len(changes), "lost": lost}
        yield f"### {say('md_since', name=words.baseline(name), **counts)[language]}"
        yield ""
        if moved:
            yield from _table(language, "finding", "change")
            for change in moved[:ROWS]:
                yield f"| {markdown(change.finding.id)} | {markdown(change.why[language])} |"
            yield ""


def _waivers(judgement: Judgement, language: str) -> Iterator[str]:
    if judgement.waivers:
        yield f"### {say('md_waivers')[language]}"
        yield ""
        yield from _table(language, "rule", "state", "expires", "owner", "approved", "reason")
    for waiver, state in judgement.waivers:
        about = (str(waiver.expires), waiver.owner, waiver.approved_by, waiver.reason)
        yield f"| {' | '.join(map(markdown, (waiver.rule, words.word(state)[language], *about)))} |"


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
