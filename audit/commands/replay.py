"""`audit replay`: stored failures asked again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from audit.commands.show import one_line
from audit.types import Record

SHOWN = ("before", "after", "predicted_before", "predicted", "gold", "note")
WIDTH = 300


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("finding", default="")
@click.option("--case", default="", help="One case: the id of its trial, or of its example.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many cases.")
@click.option("--model", default="", help="Ask another model in place of the run's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout in place of lines.")
def replay(run: Path, finding: str, case: str, limit: int, model: str, as_json: bool) -> None:
    """Ask the model again for failed cases of RUN (of one FINDING), and show then and now."""
    from audit.again import replay as asked

    cases = asked(run, finding, case, limit, model)
    if as_json:
        rows = [{"verdict": c.verdict, "then": asdict(c.then), "now": asdict(c.now)} for c in cases]
        click.echo(json.dumps({"cases": rows}, ensure_ascii=False, indent=1))
        return
    for found in cases:
        settings = ", ".join(f"{name} {value}" for name, value in sorted(found.then.params.items()))
        where = (
            f"{found.then.suite}/{found.then.entry} ({settings})"
            if settings
            else f"{found.then.suite}/{found.then.entry}"
        )
        click.echo(one_line(f"{found.verdict}  {where}  example {found.then.example}, trial {found.then.trial}"))
        for when, record in (("then", found.then), ("now", found.now)):
            click.echo(one_line(f"  {when}: {_told(record)}")[:WIDTH])
    counts = {
        verdict: sum(c.verdict == verdict for c in cases) for verdict in ("same", "fixed", "broken", "other", "error")
    }
    click.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))


def _told(record: Record) -> str:
    if record.outcome is None:
        return (record.error or "no outcome").strip().splitlines()[-1]
    evidence = record.outcome.evidence
    said = "; ".join(f"{key}: {evidence[key]}" for key in SHOWN if key in evidence)
    return f"{'failed' if record.outcome.passed is False else 'passed'}; {said}"
