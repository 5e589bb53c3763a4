"""`audit run`: measure, then report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from audit.commands.progress import progress
from audit.commands.show import lines
from audit.errors import AuditError, Exit, UsageError


def pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """`a=b,c=d`, possibly several times, as pairs."""
    found = []
    for value in values:
        for item in value.split(","):
            name, equals, rest = item.partition("=")
            if not equals or not name or not rest:
                raise click.BadParameter(f"{item!r} must look like name=value", context, parameter)
            found.append((name.strip(), rest.strip()))
    return tuple(found)


def tokens(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """`auto` as 0, or a positive number."""
    if value == "auto":
        return 0
    if value.isdigit() and int(value) > 0:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither auto nor a positive number of tokens", context, parameter)


@click.command()
@click.argument("suites", nargs=-1, required=True)
@click.option("--model", required=True, help="Hub id, local folder, `reference`, or `simulated:accuracy=0.9,flip=0.2`.")
@click.option("--revision", help="Branch, tag or commit on the hub.")
@click.option("--head", default="", help="Which head to load, where the architecture does not say (audit list heads).")
@click.option(
    "--data", help="Your own data in place of the suite's: .jsonl, .json, .csv, .tsv, .parquet, or a data set."
)
@click.option("--split", help="Split of a data set.")
@click.option("--text", help="Column with the text [text].")
@click.option("--pair", help="Column with the second text of a pair.")
@click.option("--label", help="Column with the gold label [label, if there is one].")
@click.option(
    "--labels", multiple=True, callback=pairs, help="name=LABEL_0,...: the data's name for a label of the model."
)
@click.option("--limit", type=click.IntRange(1), help="At most so many examples of each data block, drawn by the seed.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto", show_default=True
)
@click.option(
    "--batch-tokens", default="auto", callback=tokens, show_default=True, help="Tokens in a batch: auto or N."
)
@click.option(
    "--helper", "helpers", multiple=True, callback=pairs, help="NAME=MODEL: e.g. mlm=FOLDER for BAE and its kin."
)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder [reports/MODEL/SUITE/TIME].")
@click.option("--resume", "mode", flag_value="resume", help="Go on with an earlier run; an error if there is none.")
@click.option("--fresh", "mode", flag_value="fresh", help="Start anew; what was measured earlier is kept beside it.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of stdout.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the model (off by default).")
@click.option("--allow-pickle", is_flag=True, help="Load pickled weights, which can run code (off by default).")
@click.option("--json", "as_json", is_flag=True, help="Print findings.json on stdout in place of lines.")
def run(mode: str | None, out: Path | None, lang: str, as_json: bool, **asked: Any) -> int:
    """Ask a model the questions of SUITES (folders or names) and write a limitation report.

    The same command again goes on with an unfinished run.
    """
    from audit import plan
    from audit import run as running

    spec = plan.Spec(**asked)
    parts = plan.prepare(spec)
    ready = running.start(spec, parts, out, mode or "auto")  # type: ignore[arg-type]
    if not ready.trials and not ready.about["suites"]:
        raise UsageError("there is nothing to run.")
    code = Exit.DONE
    try:
        already = len(ready.trials) - len(ready.pending)
        with progress(len(ready.trials), already) as watch:
            running.measure(ready, watch)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
        click.echo("interrupted; the same command goes on where this one stopped.", err=True)
    return finish(ready.folder, lang, as_json, code)


def finish(folder: Path, lang: str, as_json: bool, code: Exit = Exit.DONE) -> int:
    """Findings, report and what stdout says of them; the report is written even where nothing could be measured."""
    from audit import report
    from audit import run as running

    failed: AuditError | None = None
    try:
        running.conclude(folder)
    except UsageError:
        raise
    except AuditError as error:
        failed = error
    pages = report.write(folder)
    content = json.loads((folder / "findings.json").read_text("utf-8"))
    if as_json:
        json.dump(content, sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
    else:
        for line in lines(content["findings"], lang):
            click.echo(line)
        click.echo(
            str(next(page for page in pages if page.name == ("report.html" if lang == "en" else f"report.{lang}.html")))
        )
    if failed is not None:
        raise failed
    return int(code)
