"""A comparison as one HTML page: complete without scripts and without styles; text of models and data stays text."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from audit import store
from audit.gate import words
from audit.gate.change import Change
from audit.gate.clean import shown
from audit.gate.compare import Comparison
from audit.gate.words import quoted
from audit.types import Estimate, Finding, Record

ITEMS = 5  # of each kind, a finding
MARKS = {"worse": "▼", "better": "▲", "no_detectable_change": "=", "not_comparable": "≠"}
OTHER = {"en": ("zh", "中文"), "zh": ("en", "English")}


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """compare.html and compare.zh.html in this folder."""
    store.create(folder)
    paths = []
    for language in ("en", "zh"):
        path = folder / _name(language)
        store.write_text(path, text(comparison, language))
        paths.append(path)
    return paths


def _name(language: str) -> str:
    return "compare.html" if language == "en" else f"compare.{language}.html"


def text(comparison: Comparison, language: str) -> str:
    """The page in one language."""
    style = (files("audit.gate") / "compare.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    title = words.messages()["compare_title"][language]
    other, label = OTHER[language]
    parts = [
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">',
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>",
        f'<h1>{_escape(title)}</h1>\n<p><a href="{_name(other)}" lang="{other}" hreflang="{other}">{label}</a></p>',
        *_runs(comparison, language),
        *_findings(comparison, language),
        *_items(comparison, language),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _say(key: str, language: str, **holes: object) -> str:
    return _escape(words.say(key, **holes)[language])


def _escape(text: str) -> str:
    return html.escape(shown(text))


def _head(cells: list[str]) -> str:
    row = "".join(f'<th scope="col">{cell}</th>' for cell in cells)
    return f"<table><thead><tr>{row}</tr></thead><tbody>"


def _runs(comparison: Comparison, language: str) -> Iterator[str]:
    yield f"<h2>{_say('compare_runs', language)}</h2>"
    heads = ("compare_run", "compare_model", "compare_when")
    yield _head([_say(head, language) for head in heads])
    for name, run in zip(comparison.names, comparison.runs, strict=True):
        cells = (run.model, str(run.about.get("finished") or "—"))
        yield f'<tr><th scope="row">{_escape(name)}</th>' + "".join(f"<td>{_escape(c)}</td>" for c in cells) + "</tr>"
    yield "</tbody></table>"
    yield from (f"<p>{_escape(comparison.summary(name)[language])}</p>" for name in comparison.names[1:])
    yield f"<p>{_say('compare_how', language)}</p>"


def _findings(comparison: Comparison, language: str) -> Iterator[str]:
    yield f"<h2>{_say('compare_all', language)}</h2>"
    heads = [_say("compare_finding", language), _escape(comparison.names[0])]
    for name in comparison.names[1:]:
        heads += [_escape(name), _say("compare_difference", language, name=comparison.names[0])]
    yield _head(heads)
    by_name = {name: {c.finding.id: c for c in found} for name, found in comparison.changes.items()}
    ids = dict.fromkeys(key for found in by_name.values() for key in found)
    for key in sorted(ids, key=lambda key: min(_rank(found.get(key)) for found in by_name.values())):
        first = comparison.runs[0].findings.get(key)
        cells = [f'<td class="number">{_value(first, language)}</td>']
        for found in by_name.values():
            cells += _cells(found.get(key), language)
        yield f'<tr><th scope="row">{_escape(key)}</th>{"".join(cells)}</tr>'
    yield "</tbody></table>"


def _rank(change: Change | None) -> int:
    return list(MARKS).index(change.verdict) if change else len(MARKS)


def _value(finding: Finding | None, language: str) -> str:
    if finding is None or finding.value is None:
        return "—"
    found = Estimate(finding.value, finding.low, finding.high, finding.n, confidence=finding.confidence)
    return _escape(quoted(found, finding.unit)[language])


def _cells(change: Change | None, language: str) -> list[str]:
    if change is None:
        return ["<td>—</td><td>—</td>"]
    word = _escape(words.word(change.verdict)[language])
    if change.difference.value is None:
        said = f"{MARKS[change.verdict]} {_escape(change.why[language])}"
    else:
        told = quoted(change.difference, change.finding.unit, difference=True)[language]
        said = f"{MARKS[change.verdict]} {word}: {_escape(told)}"
    return [f'<td class="number">{_value(change.finding, language)}</td>', f'<td class="{change.verdict}">{said}</td>']


def _items(comparison: Comparison, language: str) -> Iterator[str]:
    yield f"<h2>{_say('compare_items', language)}</h2>"
    for name, changes in comparison.changes.items():
        for change in changes:
            if change.verdict in ("worse", "better") and not change.finding.group:
                yield f"<details><summary>{_escape(name)}: {_escape(change.finding.id)}</summary>"
                yield from _sides("compare_worsened", change.pair.worsened, language)
                yield from _sides("compare_improved", change.pair.improved, language)
                yield "</details>"


def _sides(key: str, records: Sequence[Record], language: str) -> Iterator[str]:
    if not records:
        return
    yield f"<h3>{_say(key, language)} ({len(records)})</h3>\n<ul>"
    ordered = sorted(records, key=lambda r: hashlib.sha256(r.trial.encode()).digest())
    for record in ordered[:ITEMS]:
        evidence = record.outcome.evidence if record.outcome else {}
        told = "; ".join(f"{_escape(k)}: <bdi>{_escape(v)}</bdi>" for k, v in evidence.items())
        yield f"<li><b>{_escape(record.example)}</b> {told}</li>"
    if len(ordered) > ITEMS:
        yield f"<li>{_say('compare_more', language, count=len(ordered) - ITEMS)}</li>"
    yield "</ul>"
