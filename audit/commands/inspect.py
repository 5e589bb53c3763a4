"""`audit inspect`: what a model is, what it can be asked, and what a run of the suites on it would be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from audit.commands.options import DATA, SUBJECT, asked
from audit.commands.show import harmless

SHOWN = ("reference", "architecture", "head", "parameters", "dtype", "device", "context", "vocabulary", "tokenizer")
MORE = ("chat_template", "labels", "weights_hash")


@click.command()
@click.argument("subject")
@click.argument("suites", nargs=-1)
@asked(SUBJECT[1:], DATA)
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of reasons.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(subject: str, suites: tuple[str, ...], lang: str, as_json: bool, **wanted: Any) -> None:
    """Say what MODEL is, which probes of SUITES (default all installed) would run on it, and how long that would take.

    A few trials of each probe are asked, for at most 20 seconds, and nothing is written.
    """
    from audit import plan, run, suite
    from audit.outlook import outlook

    named = suites or tuple(suite.installed())
    spec = plan.Spec(suites=named, model=subject, **{**wanted, "overlong": wanted["overlong"] or ""})
    found = outlook(run.start(spec, plan.prepare(spec))).as_json()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for line in lines(found, lang):
        click.echo(harmless(line))


def lines(found: dict[str, Any], language: str) -> Iterator[str]:
    """The outlook in lines: the model, what it answers, what would run, what would not and why."""
    about = found["model"]
    for key in (*SHOWN, *MORE):
        if about.get(key) is not None:
            value = about[key]
            text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
            yield f"{key.replace('_', ' '):<14} {', '.join(map(str, value)) if isinstance(value, list) else text}"
    for note in about.get("notes", []):
        yield f"{'note':<14} {note}"
    yield f"{'answers':<14} {', '.join(found['answers'])}"
    if found["weights"]:
        weights, peak = found["weights"] / 2**20, found["peak"] / 2**20
        yield f"{'memory':<14} {weights:,.0f} MiB of weights, {peak:,.0f} MiB in all so far"
    rows = found["rows"]
    would = [row for row in rows if row["reason"] is None]
    yield ""
    total = sum(row["trials"] for row in would)
    time = f"about {found['seconds']:,.0f} s from a sample" if found["seconds"] else "no estimate"
    yield f"{len(would)} of {len(rows)} probes would run: {total:,} trials, {time}"
    for row in would:
        cost = f"{row['seconds']:,.1f} s" if row["seconds"] is not None else "not sampled"
        yield f"  {row['name']}  {row['trials']:,} trials, {cost}"
    yield ""
    yield f"{len(rows) - len(would)} would not:"
    for row in rows:
        if row["reason"] is not None:
            yield f"  {row['name']}  {row['reason'][language]}"
