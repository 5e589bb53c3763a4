"""Attacks through the scheduler against TextAttack alone: same recipes, same dice, same texts, same process.

    python bench/attacks.py --model FOLDER --data FILE.jsonl --n 12 --pruthi 4

`--data` has one object a line with `text` and `label` (the model's own label names).  TextAttack runs its own `Attack`
with its `HuggingFaceModelWrapper`, one example after another; ours runs all of them at once.  The two must agree in
outcome, text and number of queries.  The last line of the output is one JSON object; `ratio` is ours / theirs in
examples a second, `cpu_ratio` the same in processor time (which a busy machine disturbs less).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[1]
SEED = 0
Told = tuple[str, int, str]


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--model", default="reference", help="a local folder, or the model that ships with the package")
    ask.add_argument("--data", type=Path, default=HOME / "suites" / "robustness" / "data" / "sentiment.en.jsonl")
    ask.add_argument("--n", type=int, default=12, help="sentences for deepwordbug")
    ask.add_argument("--pruthi", type=int, default=4, help="sentences for pruthi")
    ask.add_argument("--device", default="cpu")
    given = ask.parse_args()
    with contextlib.redirect_stderr(None):
        ours, theirs = subjects(given.model, given.device)
    rows = [json.loads(line) for line in given.data.read_text("utf-8").splitlines() if line.strip()]
    random.Random(SEED).shuffle(rows)
    found: dict[str, Any] = {"model": Path(given.model).name, "data": given.data.name, "device": given.device}
    for recipe, count in (("deepwordbug", given.n), ("pruthi", given.pruthi)):
        if count:
            found[recipe] = compare(recipe, rows[:count], ours, theirs)
            print(recipe, json.dumps(found[recipe]), flush=True)
    print(json.dumps(found))


def subjects(reference: str, device: str) -> tuple[Any, Any]:
    """The same weights, loaded by us and as TextAttack's wrapper."""
    import torch
    import transformers

    from audit.kit.recipes_quiet import load as textattack
    from audit.models import LoadOptions, load, source

    options = LoadOptions(device=device, dtype="float32")
    folder = str(source.find(reference, options).folder)
    wrappers = textattack().models.wrappers
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return load(reference, options=options), wrappers.HuggingFaceModelWrapper(model.eval().to(device), tokenizer)


def compare(recipe: str, rows: list[dict[str, Any]], ours: Any, theirs: Any) -> dict[str, Any]:
    """Seconds of both on the same sentences.  SystemExit where an outcome differs.

    Ours runs before and after, and the mean counts, so that a machine that grows busy meanwhile favours nobody.
    """
    through(recipe, rows[:1], ours)
    first, got = timed(lambda: through(recipe, rows, ours))
    alone, expected = timed(lambda: by_themselves(recipe, rows, theirs))
    again, same = timed(lambda: through(recipe, rows, ours))
    different = [(a, b) for a, b in zip(got, expected, strict=True) if a != b]
    if different or got != same:
        raise SystemExit(f"{recipe}: {len(different)} of {len(rows)} outcomes differ, the first: {different[:1]}")
    wall, cpu = (sum(pair) / 2 for pair in zip(first, again, strict=True))
    return {
        "examples": len(rows),
        "identical": len(rows),
        "queries": sum(queries for _, queries, _ in got),
        "ours_per_second": round(len(rows) / wall, 3),
        "theirs_per_second": round(len(rows) / alone[0], 3),
        "ratio": round(alone[0] / wall, 2),
        "cpu_ratio": round(alone[1] / cpu, 2),
    }


def timed(work: Callable[[], list[Told]]) -> tuple[tuple[float, float], list[Told]]:
    """Seconds of wall and of processor time, and what came out."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return (time.perf_counter() - wall, time.process_time() - cpu), found


def through(recipe: str, rows: list[dict[str, Any]], model: Any) -> list[Told]:
    """Our way: every search at once."""
    from audit.kit.textattack import attack
    from audit.schedule import drive
    from audit.types import Example, Trial

    examples = [Example(str(at), row["text"], label=row["label"]) for at, row in enumerate(rows)]
    trials = [Trial("bench", recipe, attack, example, (("recipe", recipe),), SEED) for example in examples]
    found: dict[str, Told] = {}
    for record in drive(trials, {"subject": model}):
        if record.outcome is None:
            raise SystemExit(f"{recipe}: {record.error}")
        values = record.outcome.values
        found[record.example] = str(values["outcome"]), int(values["queries"] or 0), record.outcome.evidence["after"]
    return [found[example.id] for example in examples]


def by_themselves(recipe: str, rows: list[dict[str, Any]], wrapper: Any) -> list[Told]:
    """TextAttack's way: its own Attack, one example after another, with the dice that ours has."""
    from audit.kit.bridge import reseed
    from audit.kit.recipes import RECIPES
    from audit.kit.recipes_quiet import module, quiet

    with quiet():
        search = getattr(module("attack_recipes"), RECIPES[recipe].build).build(wrapper)
    names = [wrapper.model.config.id2label[at] for at in range(wrapper.model.config.num_labels)]
    found = []
    for at, row in enumerate(rows):
        reseed(random.Random(f"{SEED}/{at}").getrandbits(64))
        result = search.attack(row["text"], names.index(row["label"]))
        kind = type(result).__name__.removesuffix("AttackResult").lower()
        last = result.perturbed_result
        found.append((kind, int(last.num_queries), last.attacked_text.text))
    return found


if __name__ == "__main__":
    main()
