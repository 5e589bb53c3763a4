"""`audit baseline`: which run later ones are compared with, since when, by whom and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from audit.commands.show import one_line

FILE = click.option(
    "--file",
    type=click.Path(path_type=Path),
    default=Path("baselines.json"),
    show_default=True,
    help="Accepted baselines.",
)


@click.group()
def baseline() -> None:
    """Accept a run as the baseline of later ones, or list the accepted ones."""


@baseline.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--reason", required=True, help="Why this run is good enough to be held against.")
@click.option("--pin", is_flag=True, help="Also the pinned baseline, against slow drift.")
@FILE
def accept(run: Path, reason: str, pin: bool, file: Path) -> None:
    """Make RUN the previous baseline of every policy whose `source` is this file."""
    from audit.gate.baseline import accept as accepted
    from audit.manifest import now

    entry = accepted(file, run, reason, now(), pin=pin)
    click.echo(one_line(f"{file}: accepted {entry['run']} ({entry['model']}){' and pinned it' if pin else ''}"))


@baseline.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@FILE
def list_(as_json: bool, file: Path) -> None:
    """The accepted baselines, the newest last."""
    from audit.gate.baseline import accepted

    rows = accepted(file)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        pinned = " pinned" if row["pinned"] else ""
        click.echo(one_line(f"{row['accepted']}{pinned}  {row['run']}  {row['model']}  {row['by']}: {row['reason']}"))
