"""`audit card`: what a run found, in a model card."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to", "path", type=click.Path(path_type=Path), default=Path("README.md"), show_default=True, help="The card."
)
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the section."
)
@click.option("--model-index", "index", is_flag=True, help="Also write the findings into the card's metadata.")
def card(run: Path, path: Path, lang: str, index: bool) -> None:
    """Write the limitations that RUN measured into a model card, between markers; nothing else is touched."""
    from audit.card import write

    click.echo(f"{write(run, path, lang, index)} the section on measured limitations in {path}")
