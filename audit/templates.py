"""Templates and lexicons (one YAML file) into rows: every template with every term.  Knows no probe and no model.

    lexicons:
      gender:                              # an axis: groups, each with its terms; the first group is the reference
        women: [{noun: woman, they: she}]  # a term with forms: {gender.noun}, {gender.they}
        men: [{noun: man, they: he}]
      nationality:
        chinese: [Chinese]                 # a plain term: {nationality}
    templates:
      - {id: g1, axis: gender, text: "The {gender.noun} said {gender.they} was late."}

`{a x}` puts "a" or "an" before the term; a hole whose name begins with a capital is filled with a capital.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from audit import document
from audit.errors import UsageError, nearest

HOLE = re.compile(r"\{(?:(a|A) )?(\w+)(?:\.(\w+))?\}")
VOWEL = re.compile(r"(?i)(?!eu|uni[^mn]|us[eu]|one\b)[aeiou]")  # "a European", "a university", "an unhoused"
Term = str | dict[str, str]
Lexicon = dict[str, list[Term]]


class Template(BaseModel):
    """One sentence with holes; further columns go to every row made of it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    axis: str
    text: str


class Book(BaseModel):
    """The content of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lexicons: dict[str, Lexicon]
    templates: list[Template]


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows with their places: id, text, axis, group, term, template, `counterpart`, and the template's further columns.

    `counterpart` is the same template with the reference group's term of the same rank.  UsageError with file and line
    for an empty list, an unknown axis, a hole that nothing fills, a template without a hole of its axis.
    """
    book = document.read(path, Book)
    for axis, lexicon in book.lexicons.items():
        _check_lexicon(path, axis, lexicon)
    if not book.templates:
        raise UsageError(f"{_place(path, 'templates')}: an empty list.")
    for number, template in enumerate(book.templates):
        _check_template(path, number, template, book)
        yield from _filled(template, book.lexicons[template.axis])


def fill(text: str, term: Term) -> str:
    """A template's text with one term in all its holes."""

    def one(match: re.Match[str]) -> str:
        article, name, form = match.groups()
        word = term if isinstance(term, str) else term[form or ""]
        if article:
            word = f"{article}n {word}" if VOWEL.match(word) else f"{article} {word}"
        return word[0].upper() + word[1:] if name[0].isupper() else word

    return HOLE.sub(one, text)


def _filled(template: Template, lexicon: Lexicon) -> Iterator[tuple[str, dict[str, Any]]]:
    reference = next(iter(lexicon.values()))
    for group, terms in lexicon.items():
        for rank, term in enumerate(terms):
            name = term if isinstance(term, str) else next(iter(term.values()))
            yield (
                f"template {template.id!r} with {name!r}",
                {
                    **(template.model_extra or {}),
                    "id": f"{template.id}/{group}/{rank + 1}",
                    "text": fill(template.text, term),
                    "axis": template.axis,
                    "group": group,
                    "term": name,
                    "template": template.id,
                    "counterpart": fill(template.text, reference[rank % len(reference)]),
                },
            )


def _check_lexicon(path: Path, axis: str, lexicon: Lexicon) -> None:
    if not lexicon:
        raise UsageError(f"{_place(path, 'lexicons', axis)}: no group in it.")
    for group, terms in lexicon.items():
        if not terms:
            place = _place(path, "lexicons", axis, group)
            raise UsageError(f"{place}: an empty list; give the group at least one term, or leave it out.")
        for rank, term in enumerate(terms):
            words = [term] if isinstance(term, str) else list(term.values())
            if not words or not all(word.strip() for word in words):
                raise UsageError(f"{_place(path, 'lexicons', axis, group)}: term {rank + 1} is empty.")


def _check_template(path: Path, number: int, template: Template, book: Book) -> None:
    if why := _fault(template, book):
        line = document.line(path, ("templates", number))
        raise UsageError(f"{path}:{line}: template {template.id!r}: {why}")


def _fault(template: Template, book: Book) -> str:
    """What is wrong with a template, or "" where nothing is."""
    if template.axis not in book.lexicons:
        return f"no lexicon {template.axis!r}: {nearest(template.axis, book.lexicons)}"
    if left := re.search(r"[{}][^{}]*", HOLE.sub("", template.text)):
        return f"{left[0]!r} in its text is no hole; holes look like {{name}} or {{a name.form}}."
    found = list(HOLE.finditer(template.text))
    if not found:
        return f"its text has no hole {{{template.axis}}}, so every term would give one sentence."
    faults = (_unfilled(match, template.axis, book.lexicons[template.axis]) for match in found)
    return next(filter(None, faults), "")


def _unfilled(match: re.Match[str], axis: str, lexicon: Lexicon) -> str:
    """Why nobody fills a hole, or "" where every term does."""
    name, form = match[2], match[3]
    if name[0].lower() + name[1:] != axis:
        return f"nobody fills the hole {match[0]}: this template's axis is {axis!r}."
    for group, terms in lexicon.items():
        for term in terms:
            if isinstance(term, str) and form:
                return f"nobody fills {match[0]}: {term!r} of {group} is plain; use {{{name}}}."
            if isinstance(term, dict) and (form or "") not in term:
                return f"nobody fills {match[0]}: a term of {group} lacks that form; {nearest(form or '', term)}"
    return ""


def _place(path: Path, *place: str) -> str:
    return f"{path}:{document.line(path, place)}: {'.'.join(place)}"
