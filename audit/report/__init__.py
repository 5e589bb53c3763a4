"""A run folder into a page that anybody can read, one HTML file a language.  Knows no model and no measure.

The page is complete without scripts, without styles and without a network; whatever the run holds is shown as text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from audit.errors import UsageError
from audit.report import drawing, files, view
from audit.report.cards import Detail
from audit.report.figures import Figure
from audit.report.marks import clean
from audit.report.rows import params_text, settings_text
from audit.report.words import Words, messages

TEMPLATES = Path(__file__).with_name("templates")
LARGEST = 1_000_000  # bytes of a page
STEPS = (
    Detail(),
    Detail(examples=4, text=400, charts=140),
    Detail(examples=3, text=300, charts=120),
    Detail(examples=2, text=300, rows=24, charts=80),
    Detail(examples=1, text=240, rows=12, charts=60),
    Detail(examples=1, text=160, rows=4, charts=40, cards=300),
    Detail(examples=0, text=0, rows=2, charts=20, cards=150),
    Detail(examples=0, text=0, rows=1, charts=0, cards=30),
)
SECTIONS = (
    "gate", "worst", "scope", "suites", "change", "rules", "findings", "quiet", "open", "method", "limits",
    "provenance", "glossary",
)  # fmt: skip
GLOSSARY = (
    "probe", "trial", "interval", "n", "pp", "flip", "limit", "confirmed", "not_detected", "inconclusive", "not_run",
    "severity",
)  # fmt: skip
ICONS = {
    "confirmed": "●", "worse": "●", "inconclusive": "◆", "not_comparable": "◆", "not_detected": "■", "better": "■",
    "no_detectable_change": "■", "described": "▲", "not_run": "○", "error": "✖", "violated": "●", "met": "■",
    "waived": "▲",
}  # fmt: skip
BARS = {"critical": "▮▮▮▮", "high": "▮▮▮", "medium": "▮▮", "low": "▮", "info": ""}
STATES = {"met": "✓", "violated": "✗", "undecided": "◆", "nothing": "○"}
COLUMNS = ("confirmed", "error", "inconclusive", "not_detected", "described", "not_run")


@dataclass(frozen=True)
class Other:
    """The same page in another language."""

    lang: str
    file: str
    name: str


def write(folder: Path, languages: Sequence[str] = ("en", "zh")) -> list[Path]:
    """Write report.html and report.zh.html (those asked for) into the run folder; their paths.

    UsageError for a folder that is not a run, an unknown language or a folder that cannot be written to.
    """
    pages = {folder / file_name(code): render(folder, code, languages) for code in languages}
    for path, text in pages.items():
        try:
            path.write_text(text, "utf-8", newline="\n")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    return list(pages)


def render(folder: Path, language: str, languages: Sequence[str] = ("en", "zh")) -> str:
    """The page of one language, at most 1 MB; `languages` are those that exist, for the link between them.

    UsageError as `write`.
    """
    words = Words(language)
    run = files.read(folder)
    others = [Words(code) for code in languages if code != language]
    other = Other(others[0]("lang"), file_name(others[0].language), others[0]("language")) if others else None
    for detail in STEPS:
        text = _page(view.page(run, words, detail), words, other, trimmed=detail != STEPS[0])
        if len(text.encode()) <= LARGEST:
            break
    return text


def file_name(language: str) -> str:
    """`report.html` for English, else `report.zh.html`."""
    return "report.html" if language == "en" else f"report.{language}.html"


def _page(page: view.Page, words: Words, other: Other | None, *, trimmed: bool) -> str:
    drawn = drawing.draw(figure.spec for figure in page.figures)

    def svg(figure: Figure) -> Markup | None:
        image = drawn.get(figure.key)
        return drawing.inline(image, clean(figure.label)) if image else None

    css, js = (_own(name) for name in ("page.css", "page.js"))
    return _environment().get_template("page.html.j2").render(
        page=page, t=words, other=other, trimmed=trimmed, svg=svg, settings=settings_text, params=params_text, css=css,
        js=js, csp=_policy(css, js), sections=SECTIONS, glossary=GLOSSARY, icons=ICONS, bars=BARS, states=STATES,
        columns=COLUMNS, languages=list(messages()["lang"]),
    )  # fmt: skip


@cache
def _environment() -> Environment:
    def shown(value: object) -> object:
        return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, finalize=shown,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def _own(name: str) -> Markup:
    """A file of ours, to stand as it is between its tags."""
    return Markup((TEMPLATES / name).read_text("utf-8"))


def _policy(css: str, js: str) -> str:
    """Nothing is loaded, nothing runs but the two texts with these hashes."""
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, js))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
