"""`audit report`: findings and report of a run again, without a model."""

from __future__ import annotations

from pathlib import Path

import click

from audit.commands.run import finish


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of stdout.")
@click.option("--json", "as_json", is_flag=True, help="Print findings.json on stdout in place of lines.")
def report(folder: Path, lang: str, as_json: bool) -> int:
    """Rebuild findings.json and both reports of the run in FOLDER from its records."""
    return finish(folder, lang, as_json)
