"""A needle grid through the suite's own probe: all cells together, and every question of every cell asked alone.

    python bench/longcontext.py [--lengths 5] [--depths 11] [--longest 4096] [--threads 2] [--clock wall|cpu]

Makes a Llama of about 20 million random weights that reads 4,096 tokens.  Lengths are halved from the longest on; four
questions share one text in each cell.  Prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from audit import plan, suite
from audit.models import LoadOptions, load
from audit.plan import Part, Spec
from audit.schedule import drive
from audit.suite import Bound
from audit.types import SUBJECT, Record, Trial

SUITE = Path(__file__).parents[1] / "suites" / "longcontext"
VOCABULARY, CONTEXT = 12_000, 4096
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def make(folder: Path) -> None:
    """A checkpoint whose tokens are the words of the suite's own texts, and numbers."""
    torch.manual_seed(0)
    raw = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "<unk>": 2}, "<unk>"))
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    texts = [
        row for path in sorted((SUITE / "data").glob("*.en.jsonl")) for row in path.read_text("utf-8").splitlines()
    ]
    found = {word for text in texts for word, _ in raw.pre_tokenizer.pre_tokenize_str(text.lower())}
    words = [*map(str, range(10, 1000)), *sorted(found), "answer", "question"]
    table = {"<s>": 0, "</s>": 1, "<unk>": 2}
    for word in words[: VOCABULARY - 3]:
        table.setdefault(word, len(table))
    raw.model = models.WordLevel(table, "<unk>")
    PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>", model_max_length=CONTEXT
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=384, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=6,
        num_key_value_heads=6, max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(3)
    model.save_pretrained(folder)


def grid(lengths: list[int], depths: list[float]) -> list[Trial]:
    """The trials of one set of four questions in every cell, in the order in which a run would ask them."""
    spec = Spec(suites=(str(SUITE),), model="", limit=4)
    [part] = plan.prepare(spec)
    bound = next(b for b in part.bound if b.entry.label == "needle")
    entry = bound.entry.model_copy(update={"over": {"length": tuple(lengths), "depth": tuple(depths)}, "limit": 4})
    bound = Bound(entry, bound.probe, tuple(suite.cells(entry)))
    part = Part(part.suite, [bound], [b for b in part.blocks if b.source.name == entry.data])
    examples = tuple(part.blocks[0].examples)
    planned = plan.Planned(bound, examples, None)
    return [replace(trial) for trial in plan.trials(spec, [part], {part.suite.name: [planned]})]


def asked(trials: list[Trial], model: Any, clock: Any, alone: bool) -> tuple[float, dict[str, Record]]:
    """Seconds and records, of all trials driven together or of each on its own."""
    start = clock()
    parts = [[trial] for trial in trials] if alone else [trials]
    records = [record for part in parts for record in drive(part, {SUBJECT: model})]
    spent = clock() - start
    if failed := [record.error for record in records if record.error]:
        raise RuntimeError(failed[0])
    return spent, {record.trial: record for record in records}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, default=5)
    parser.add_argument("--depths", type=int, default=11)
    parser.add_argument("--longest", type=int, default=CONTEXT)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: seconds of work, on a machine that is shared"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lengths = [given.longest >> step for step in range(given.lengths)][::-1]
    depths = [round(step / max(given.depths - 1, 1), 3) for step in range(given.depths)]
    trials = grid(lengths, depths)
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))
        model: Any = load(name, options=LoadOptions(device="cpu", dtype="float32"))
        asked(trials[:1], model, CLOCKS[given.clock], False)
        together, found = asked(trials, model, CLOCKS[given.clock], False)
        alone, same = asked(trials, model, CLOCKS[given.clock], True)
        parameters = model.about["parameters"]
    answers = [{k: r.outcome.evidence["predicted"] for k, r in some.items() if r.outcome} for some in (found, same)]
    tokens = [r.outcome.values["tokens"] for r in found.values() if r.outcome]
    line = {
        "bench": "longcontext",
        "parameters": parameters,
        "lengths": lengths,
        "depths": len(depths),
        "questions": len(trials),
        "longest_prompt": max(tokens),
        "threads": given.threads,
        "clock": given.clock,
        "together_seconds": round(together, 2),
        "alone_seconds": round(alone, 2),
        "ratio": round(alone / together, 2),
        "same_answers": answers[0] == answers[1],
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
