"""`audit list`: what there is.  Reads YAML only; runs no suite's code and imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from audit import suite
from audit.errors import UsageError


@click.command("list")
@click.argument("what", type=click.Choice(["suites", "probes", "heads", "measures"]), default="suites")
@click.argument("suites", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_(what: str, suites: tuple[str, ...], as_json: bool) -> None:
    """List suites, probes (of SUITES, default all), heads or measures."""
    rows = {"suites": _suites, "probes": _probes, "heads": _heads, "measures": _measures}[what](suites)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['what']}")


def _found(references: tuple[str, ...]) -> list[suite.Suite]:
    """The suites named, or all: those installed and those in ./suites."""
    if references:
        return [suite.load(reference) for reference in references]
    folders = dict(suite.installed())
    folders |= {path.parent.name: path.parent for path in Path("suites").glob("*/suite.yaml")}
    return [suite.load(str(folder)) for _, folder in sorted(folders.items())]


def _suites(references: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"name": s.name, "what": f"{s.sheet.title.en} ({len(s.sheet.probes)} probes)", "folder": str(s.folder)}
        for s in _found(references)
    ]


def _probes(references: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{s.name}/{entry.label}",
            "what": entry.title.en if entry.title else entry.label.replace("_", " "),
            "probe": entry.probe,
            "language": entry.language,
            "over": {name: list(values) for name, values in entry.over.items()},
        }
        for s in _found(references)
        for entry in s.sheet.probes
    ]


def _heads(references: tuple[str, ...]) -> list[dict[str, Any]]:
    from audit.models import HEADS

    if references:
        raise UsageError("heads belong to no suite: audit list heads")
    return [{"name": name, "what": where} for name, where in HEADS.items()]


def _measures(references: tuple[str, ...]) -> list[dict[str, Any]]:
    from audit import measures

    return [{"name": name, "what": measures.get(name).summary} for name in measures.names()]
