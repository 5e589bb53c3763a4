"""`audit export-cases`: failures as a suite of their own."""

from __future__ import annotations

from pathlib import Path

import click

from audit.commands.show import one_line


@click.command("export-cases")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder for the suite.")
@click.option("--finding", default="", help="Only the cases of this finding.")
def export_cases(run: Path, out: Path, finding: str) -> None:
    """Write the failed cases of RUN as a suite of frozen cases, to be run ever after."""
    from audit.export import export

    done = export(run, out, finding)
    click.echo(f"{done['cases']} cases in {out}: suite.yaml, probes.py and their data")
    for entry, count in sorted(done["left"].items()):
        click.echo(one_line(f"not frozen: {count} of {entry} (the data have changed since the run)"))
    click.echo(f"next: python -m audit run {out} --model MODEL")
