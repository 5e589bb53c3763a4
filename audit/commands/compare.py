"""`audit compare`: two or more runs of the same suites, paired by item."""

from __future__ import annotations

import json
from pathlib import Path

import click

from audit.errors import UsageError, nearest


def fields(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Parts of the comparability key, by name."""
    from audit.gate.policy import FIELDS

    for value in values:
        if value not in FIELDS:
            raise UsageError(f"--ignore {value!r} is no part of the comparability key; {nearest(value, FIELDS)}")
    return values


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--ignore", multiple=True, callback=fields, help="Compare although this differs, e.g. dtype.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of compare.html [the last run's].")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of stdout.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout in place of lines.")
def compare(runs: tuple[Path, ...], ignore: tuple[str, ...], out: Path | None, lang: str, as_json: bool) -> None:
    """Compare RUNS with the first of them: differences with intervals, and the items that changed sides."""
    from audit.gate import compare as compared
    from audit.gate import page, stored
    from audit.gate.clean import line

    found = compared.compare([stored.read(folder) for folder in runs], ignore=ignore)
    pages = page.write(found, out or runs[-1])
    if as_json:
        click.echo(json.dumps(compared.tree(found), ensure_ascii=False, indent=1))
        return
    for name, changes in found.changes.items():
        for change in sorted(changes, key=lambda c: compared.VERDICTS.index(c.verdict)):
            if change.verdict in ("worse", "better"):
                click.echo(line(f"{page.MARKS[change.verdict]} {change.finding.id}: {change.why[lang]}"))
        click.echo(line(found.summary(name)[lang]))
    click.echo(str(pages[0] if lang == "en" else pages[1]))
