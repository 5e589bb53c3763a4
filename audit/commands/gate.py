"""`audit gate`: stored results against a policy."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from audit import __version__
from audit.errors import UsageError
from audit.gate import Judgement, Light

PATH = click.Path(path_type=Path)
MARKS = {
    "met": "✓",
    "violated": "✗",
    "inconclusive": "?",
    "not_run": "–",
    "error": "!",
    "not_comparable": "≠",
    "waived": "~",
}
ORDER = ("violates", "blocks", "warns", "passes")
OPTIONS = [
    click.Option(["--policy"], type=PATH, required=True, help="Policy file (audit schema policy)."),
    click.Option(["--baseline", "baselines"], multiple=True, help="[previous=|pinned=]RUN, or accepted baselines."),
    click.Option(["--junit"], type=PATH, help="JUnit file [junit.xml in the run folder]."),
    click.Option(["--sarif"], type=PATH, help="SARIF 2.1.0 file."),
    click.Option(["--markdown"], type=PATH, help="Markdown file, for a pull request or a step summary."),
    click.Option(["--annotations/--no-annotations"], default=None, help="GitHub annotations [in a GitHub workflow]."),
    click.Option(["--today"], help="Judge waivers as of this day [YYYY-MM-DD; today]."),
]  # fmt: skip


def judged(folder: Path, policy: Path, baselines: tuple[str, ...], today: str | None) -> Judgement:
    """The judgement of a run folder.  UsageError for a policy, a baseline or a run that is not as it must be."""
    from audit import run as running
    from audit.gate import baseline, judge, stored
    from audit.gate import policy as policies

    asked = policies.read(policy)
    if (folder / "run.json").exists() and not (folder / "findings.json").exists():
        running.conclude(folder)
    references = baseline.references(asked.baseline, policy.parent, baselines)
    return judge(policy, asked, stored.read(folder), references, _day(today))


def _day(text: str | None) -> datetime.date:
    if text is None:
        return datetime.datetime.now(datetime.UTC).date()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--today {text!r} is no day: write YYYY-MM-DD.") from None


def written(judgement: Judgement, junit: Path | None, sarif: Path | None, markdown: Path | None, lang: str) -> None:
    """gate.json, the JUnit file, and the others that were asked for; then the report again, which shows the gate."""
    from audit import report
    from audit.gate import files
    from audit.gate import junit as junit_file
    from audit.gate import markdown as markdown_file
    from audit.gate import sarif as sarif_file

    files.write(judgement)
    junit_file.write(judgement, junit or judgement.run.folder / "junit.xml")
    if sarif is not None:
        sarif_file.write(judgement, sarif, __version__)
    if markdown is not None:
        markdown_file.write(judgement, markdown, lang)
    report.write(judgement.run.folder)


def lines(judgement: Judgement, language: str, annotate: bool | None) -> Iterator[str]:
    """What a terminal shows: what is not met, the worst first, then the summary; annotations where they are wanted."""
    from audit.gate.clean import line
    from audit.gate.files import status_word
    from audit.gate.markdown import notes
    from audit.gate.words import say, word

    def told(light: Light) -> str:
        effect = say(light.effect)[language] if light.effect in ("blocks", "warns") else ""
        said = status_word(light.status, language)
        return line(f"{MARKS[light.status]} {said}{effect}  {light.rule.id}  {light.name}: {light.why[language]}")

    for light in sorted(judgement.lights, key=lambda light: ORDER.index(light.effect)):
        if light.status != "met":
            yield told(light)
    for waiver, state in judgement.waivers:
        if state != "active":
            about = {"rule": waiver.rule, "owner": waiver.owner, "expires": waiver.expires}
            yield line(say("waiver_line", **about, state=word(state))[language])
    yield line(judgement.summary[language])
    if annotate or (annotate is None and os.environ.get("GITHUB_ACTIONS") == "true"):
        yield from notes(judgement)


def finish(
    judgement: Judgement,
    files: tuple[Path | None, Path | None, Path | None],
    annotate: bool | None,
    as_json: bool,
    lang: str,
) -> int:
    """Write the files, say what the gate says, and give the exit code."""
    from audit.gate.files import tree

    written(judgement, *files, lang)
    if as_json:
        json.dump(tree(judgement), sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
    else:
        for text in lines(judgement, lang, annotate):
            click.echo(text)
    return int(judgement.exit)


@click.command()
@click.argument("run", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print gate.json on stdout in place of lines.")
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of stdout and Markdown."
)
def gate(
    run: Path, policy: Path, baselines: tuple[str, ...], junit: Path | None, sarif: Path | None, markdown: Path | None,
    annotations: bool | None, today: str | None, as_json: bool, lang: str,
) -> int:  # fmt: skip
    """Judge the stored results in RUN by a policy; asks no model anything.

    Exit code 0: every blocking rule is met.  1: violated.  4: nothing violated, but something that blocks could not be
    decided.  5: there is nothing to judge.
    """
    judgement = judged(run, policy, baselines, today)
    return finish(judgement, (junit, sarif, markdown), annotations, as_json, lang)


gate.params[1:1] = OPTIONS
