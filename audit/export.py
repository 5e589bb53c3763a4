"""Failures of a run as a suite of their own: frozen cases that must come out rightly from now on."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audit import store
from audit.casebook import Casebook, Row, collect
from audit.errors import UsageError
from audit.gate import stored
from audit.kit.frozen import KEPT, PEERS
from audit.suite import CALIBRATION

SHEET = """\
title: {{en: "Regressions", zh: "回归用例"}}
about:
  en: {count} cases that {model} once got wrong, frozen from run {run}.
  zh: {model} 曾经出错的 {count} 个用例，取自运行 {run}。
limitations: [robustness]
data:
{data}
# One case is as good as another here: every failure counts, and each probe of the run is a group.
measures: [{{measure: failure_rate, by: [group]}}]
severity:
  failure_rate: {{low: 0.0, medium: 0.05, high: 0.2, critical: 0.5}}
{labelling}probes:
{probes}
"""
BLOCK = "  - {{name: {name}, load: {name}.jsonl, text: text,{pair} label: {label}, group: group}}"
ENTRY = "  - {{probe: {probe}, name: {name}, data: {data}, title: {{en: {en}, zh: {zh}}}}}"
TITLES = {
    "right": ("Cases with a known answer", "有标准答案的用例"),
    "stays": ("Answers that must stay", "应保持不变的回答"),
}
HEAD = '''\
"""Frozen cases: what a model once got wrong, as it was asked then."""

from pathlib import Path

from audit import Classify, Outcome, probe
from audit.kit.frozen import frozen

HERE = Path(__file__).parent


@probe(Classify)
def right(example, rng):
    """The text that was answered wrongly once is answered rightly."""
    [answer] = yield [Classify(example.text, example.pair)]
    evidence = {"after": example.text, "predicted": answer.top, "gold": example.label}
    return Outcome(answer.top == example.label, {"correct": int(answer.top == example.label)}, evidence)


@probe(Classify)
def stays(example, rng):
    """The changed text gets the answer of the text before the change; both are frozen."""
    before = example.fields["before"]
    first, second = yield [Classify(before, example.pair), Classify(example.text, example.pair)]
    evidence = {"before": before, "after": example.text, "predicted_before": first.top, "predicted": second.top}
    return Outcome(first.top == second.top, {"changed": int(first.top != second.top)}, evidence)
'''
LEFT_OUT = ("suite.yaml", CALIBRATION, "README.md", "__pycache__")


def export(folder: Path, out: Path, finding: str = "") -> dict[str, Any]:
    """Write the failed cases of a run as a suite into `out`; says how many, and what could not be frozen, by entry.

    A wrong label, or one that a change turned, is frozen as its text.  Any other failure is frozen as its example and
    settings, and asked again by its own probe, of which `out` keeps a copy.  UsageError where `out` is not empty, or no
    case can be frozen.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and not empty; name a new folder with --out.")
    run = stored.read(folder)
    book = collect(run, finding)
    if not book.count:
        raise UsageError(
            f"{folder}: none of its {book.left.total()} failed cases can be frozen: their data have changed since."
            if book.left
            else f"{folder}: no failed case{f' under {finding}' if finding else ''} to freeze."
        )
    _write(out, run, book)
    return {"cases": book.count, "left": dict(book.left), "folder": str(out)}


def _write(out: Path, run: stored.Stored, book: Casebook) -> None:
    store.create(out)
    blocks, entries, probes = [], [], [HEAD]
    for name, rows in sorted(book.texts.items()):
        _rows(out / f"{name}.jsonl", rows)
        blocks.append(_block(name, name.startswith("labelled"), name.endswith("_pairs")))
        entries.append(_plain(name))
    for (suite, entry, labelled), rows in sorted(book.asked.items()):
        name = _name(book, suite, entry, labelled)
        _rows(out / f"{name}.jsonl", rows)
        blocks.append(_block(name, labelled, False))
        title = json.dumps(f"{entry}: frozen cases"), json.dumps(f"{entry}：冻结的用例", ensure_ascii=False)
        entries.append(ENTRY.format(probe=name, name=name, data=name, en=title[0], zh=title[1]))
        probes.append(f"{name} = frozen(HERE, {json.dumps(_origin(out, book, suite, entry))})")
    if book.peers:
        store.write_json(out / PEERS, book.peers)
    sheet = SHEET.format(
        count=book.count,
        model=json.dumps(run.model, ensure_ascii=False).strip('"').replace(":", " "),
        run=run.about["id"],
        data="\n".join(blocks),
        labelling="".join(_labelling(book)),
        probes="\n".join(entries),
    )
    store.write_text(out / "suite.yaml", sheet)
    store.write_text(out / "probes.py", probes[0] + ("\n\n" + "\n".join(probes[1:]) + "\n" if probes[1:] else ""))


def _rows(path: Path, rows: list[Row]) -> None:
    store.write_text(path, "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows) + "\n")


def _block(name: str, labelled: bool, paired: bool) -> str:
    return BLOCK.format(name=name, label="label" if labelled else "null", pair=" pair: pair," if paired else "")


def _plain(name: str) -> str:
    probe = "right" if name.startswith("labelled") else "stays"
    tail = "_pairs" if name.endswith("_pairs") else ""
    return ENTRY.format(probe=probe, name=f"{probe}{tail}", data=name, en=TITLES[probe][0], zh=TITLES[probe][1])


def _name(book: Casebook, suite: str, entry: str, labelled: bool) -> str:
    """A name for a probe and its data: the entry's, with the suite's where two suites have such an entry."""
    twice = len({s for s, e, _ in book.asked if e == entry}) > 1
    both = (suite, entry, not labelled) in book.asked
    words = [*([suite] if twice else []), entry, *(["unlabelled"] if both and not labelled else [])]
    name = re.sub(r"\W", "_", "_".join(words))
    return f"case_{name}" if name in ("right", "stays", "labelled", "unlabelled") or name[0].isdigit() else name


def _origin(out: Path, book: Casebook, suite: str, entry: str) -> str:
    """How the new suite names the probe of an entry; where it is the old suite's own, that suite is kept beside."""
    part = book.parts[suite]
    named = next(b.entry.probe for b in part.bound if b.entry.label == entry)
    if ":" in named:
        return named
    kept = out / KEPT / suite
    if not kept.exists():
        shutil.copytree(part.suite.folder, kept, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return f"{suite}:{named}"


def _labelling(book: Casebook) -> Iterator[str]:
    """How a language model labels texts, as the first suite says that says so."""
    for part in book.parts.values():
        sheet = part.suite.sheet
        if sheet.verbalisers:
            yield f"verbalisers: {json.dumps(sheet.verbalisers, ensure_ascii=False)}\n"
            if sheet.template:
                yield f"template: {json.dumps(sheet.template, ensure_ascii=False)}\n"
            return
