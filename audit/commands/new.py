"""`audit new`: a suite that runs as it is, to be changed into one's own."""

from __future__ import annotations

from pathlib import Path

import click

from audit.errors import UsageError

SHEET = """\
title: {{en: {title}, zh: {title}}}
about:
  en: Whether writing in capitals changes what the model says.
  zh: 大写是否会改变模型的判断。
limitations: [robustness]
data: {{load: data.jsonl, text: text, label: label}}
measures: [flip_rate, accuracy_drop]
probes:
  - probe: shouting
    title: {{en: Capitals, zh: 大写}}
    over: {{share: [0.5, 1.0]}}
    when: {{en: "after {{with.share}} of words are put in capitals", zh: "将{{with.share}}的词改为大写后"}}
"""
PROBES = '''\
"""Probes of this suite: each yields lists of requests and is sent lists of answers."""

from audit import Classify, Outcome, probe


@probe(Classify)
def shouting(example, rng, share=1.0):
    """WRITING IN CAPITALS should not change the label."""
    loud = " ".join(w.upper() if rng.random() < share else w for w in example.text.split())
    calm, shout = yield [Classify(example.text), Classify(loud)]
    values = {"changed": int(calm.top != shout.top)}
    if example.label is not None:
        values |= {"correct_before": int(calm.top == example.label), "correct": int(shout.top == example.label)}
    return Outcome(not values["changed"], values, {"before": example.text, "after": loud, "predicted": shout.top})
'''
DATA = """\
{"text": "The soup was warm and the staff could not have been kinder.", "label": "positive"}
{"text": "Two hours late, and nobody said a word of apology.", "label": "negative"}
{"text": "I would happily read this book a second time.", "label": "positive"}
{"text": "The battery dies before lunch and the screen flickers.", "label": "negative"}
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Write a small suite into FOLDER; run it with: python -m audit run FOLDER --model reference."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty; name a new folder.")
    title = folder.name.replace("_", " ").replace("-", " ").capitalize() or "New suite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "suite.yaml").write_text(SHEET.format(title=title), "utf-8")
        (folder / "probes.py").write_text(PROBES, "utf-8")
        (folder / "data.jsonl").write_text(DATA, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}.") from None
    click.echo(f"{folder}: suite.yaml, probes.py, data.jsonl")
    click.echo(f"next: python -m audit run {folder} --model reference")
