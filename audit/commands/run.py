"""`audit run`: measure, then report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from audit.commands.options import DATA, SUBJECT, asked
from audit.commands.progress import progress
from audit.commands.show import lines, one_line
from audit.errors import AuditError, Exit, UsageError


@click.command()
@click.argument("suites", nargs=-1, required=True)
@asked(SUBJECT, DATA)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder [reports/MODEL/SUITE/TIME].")
@click.option("--resume", "mode", flag_value="resume", help="Go on with an earlier run; an error if there is none.")
@click.option("--fresh", "mode", flag_value="fresh", help="Start anew; what was measured earlier is kept beside it.")
@click.option("--noise-floor", is_flag=True, help="Ask a sample again in other batches and another dtype.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of stdout.")
@click.option("--json", "as_json", is_flag=True, help="Print findings.json on stdout in place of lines.")
def run(
    mode: str | None, out: Path | None, noise_floor: bool, lang: str, as_json: bool, **wanted: Any
) -> int:  # fmt: skip
    """Ask a model the questions of SUITES (folders or names) and write a limitation report.

    The same command again goes on with an unfinished run.
    """
    from audit import plan
    from audit import run as running

    spec = plan.Spec(**{**wanted, "overlong": wanted["overlong"] or ""})
    parts = plan.prepare(spec)
    ready = running.start(spec, parts, out, mode or "auto")  # type: ignore[arg-type]
    if not ready.trials and not ready.about["suites"]:
        raise UsageError("there is nothing to run.")
    click.get_current_context().meta["audit.run"] = ready.folder
    code = Exit.DONE
    try:
        already = len(ready.trials) - len(ready.pending)
        with progress(len(ready.trials), already) as watch:
            running.measure(ready, watch)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
        click.echo("interrupted; the same command goes on where this one stopped.", err=True)
    code = Exit(finish(ready.folder, lang, as_json, code))
    if noise_floor and code == Exit.DONE:
        _noise(ready.folder)
    return code


def _noise(folder: Path) -> None:
    """Measure how far the model strays from itself, say so on stderr, and write the report again, which shows it."""
    from audit import report
    from audit.again import noise

    done = noise(folder)
    report.write(folder)
    _outdated(folder)
    for variant in done["variants"]:
        moved = max(variant.get("moved", {}).values(), default=0.0)
        told = variant.get("reason") or f"the largest move of a finding is {moved:.3g}"
        click.echo(one_line(f"noise floor, other {variant['name']}: {told}"), err=True)


def _outdated(folder: Path) -> None:
    """Say on stderr where gate.json was judged before the findings or the noise floor that are there now."""
    from audit.gate import files

    if (folder / "gate.json").exists() and files.current(folder) is None:
        click.echo(f"{folder / 'gate.json'} is outdated and not shown: run `python -m audit gate` again.", err=True)


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
    _outdated(folder)
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
