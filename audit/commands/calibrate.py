"""`audit calibrate`: how good the probes of a suite are as instruments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from audit.commands.show import one_line
from audit.errors import UsageError, nearest

SCHEMA = 1


@click.command()
@click.argument("suite")
@click.option("--probe", "probes", multiple=True, help="Only this entry of the suite; the others' rows are kept.")
@click.option("--repetitions", type=click.IntRange(2), default=500, show_default=True, help="Of each subject.")
@click.option("--thorough", is_flag=True, help="Also measures whose intervals are bootstrapped: slow.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout in place of lines.")
def calibrate(suite: str, probes: tuple[str, ...], repetitions: int, thorough: bool, seed: int, as_json: bool) -> None:
    """Run each probe of SUITE on simulated subjects whose defect is planted and exactly known.

    Prints, and saves as calibration.json in the suite's folder, per probe and measure: bias of the estimate, coverage
    of the interval, false alarms of a subject exactly on the limit (or, where none lies there, without a defect), power
    by size of the defect, and the smallest defect that is confirmed four times in five.  Reports of the suite quote it.
    Entries whose simulated records are the same numbers are simulated once and name the entry (same_as).
    """
    from audit import store
    from audit import suite as suites
    from audit.calibrate import calibrate as rows

    found = suites.load(suite)
    known = [entry.label for entry in found.sheet.probes] + [across.name for across in found.sheet.across]
    for name in probes:
        if name not in known:
            raise UsageError(f"no probe {name!r} in suite {found.name!r}: {nearest(name, known)}")
    path = found.folder / suites.CALIBRATION
    before = _before(path) if probes else []
    made: list[dict[str, Any]] = []
    content: dict[str, Any] = {"schema": SCHEMA, "suite": found.name, "repetitions": repetitions, "seed": seed}
    for row in rows(suite, repetitions, probes, seed, thorough):
        made.append(row)
        content["rows"] = _merged(before, made, known)
        store.write_json(path, content)  # row by row, so that an interrupted calibration keeps what it found
        if not as_json:
            click.echo(one_line(_line(row)))
    content["rows"] = _merged([row for row in before if row["probe"] not in probes], made, known)
    store.write_json(path, content)
    if as_json:
        click.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    for line in _summary(content["rows"]):
        click.echo(line)
    click.echo(str(path))


def _summary(rows: list[dict[str, Any]]) -> list[str]:
    """What a table comes to: how many rows, and their extremes with the rows that have them."""
    done = [row for row in rows if "reason" not in row]
    lines = [
        f"{len(done)} rows calibrated ({len({row.get('same_as', row['probe']) for row in done})} entries simulated, "
        f"{sum(row['repetitions'] for row in done if 'same_as' not in row):,} repetitions), {len(rows) - len(done)} not"
    ]
    for key, pick in (("coverage", min), ("coverage", max), ("false_alarm", max)):
        some = [row for row in done if row[key] is not None]
        if some:
            row = pick(some, key=lambda r, key=key: r[key])  # type: ignore[misc]
            lines.append(f"{pick.__name__} {key}: {row[key]:.3g} ({row['probe']}/{row['measure']}, n = {row['n']})")
    if done:
        within = sum(0.93 <= row["coverage"] <= 0.97 for row in done)
        wider = sum(row["coverage"] > 0.97 for row in done)
        lines.append(f"coverage from 93% to 97%: {within} rows; above: {wider}; below: {len(done) - within - wider}")
    return lines


def _before(path: Path) -> list[dict[str, Any]]:
    """The rows of an earlier calibration."""
    from audit import store

    rows: list[dict[str, Any]] = store.read_json(path)["rows"] if path.exists() else []
    return rows


def _merged(before: list[dict[str, Any]], made: list[dict[str, Any]], known: list[str]) -> list[dict[str, Any]]:
    """Earlier rows and, in the place of those that were calibrated anew, the new ones; in the suite's order."""
    anew = {(row["probe"], row["measure"]): row for row in made}
    rows = [anew.pop((row["probe"], row["measure"]), row) for row in before] + list(anew.values())
    return sorted(rows, key=lambda row: known.index(row["probe"]) if row["probe"] in known else len(known))


def _line(row: dict[str, Any]) -> str:
    name = f"{row['probe']}/{row['measure']}"
    if "reason" in row:
        return f"– {name}: not calibrated: {row['reason']}"
    shown = {
        key: "—" if row[key] is None else f"{row[key]:.3g}" for key in ("coverage", "false_alarm", "bias", "smallest")
    }
    power = ", ".join(f"{truth:g}: {share:.0%}" for truth, share in row["power"])
    return (
        f"{name}: n = {row['n']}, coverage {shown['coverage']}, false alarms {shown['false_alarm']}, "
        f"bias {shown['bias']}, "
        f"found four times in five from {shown['smallest']} on (power {power}; "
        + (f"as {row['same_as']})" if "same_as" in row else f"{row['repetitions']} repetitions)")
    )
