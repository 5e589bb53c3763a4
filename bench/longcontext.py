"""A needle grid through the suite's own probe, and every question of it asked alone in plain transformers.

    python bench/longcontext.py [--lengths 5] [--depths 11] [--longest 4096] [--threads 1]

Makes a Llama of about 20 million random weights that reads 4,096 tokens.  Lengths are halved from the longest on; four
questions share one text in each cell.  Same weights, same texts, same threads; making and counting the texts is in the
time of the first only.  Prints one JSON line last.
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
from audit.types import SUBJECT, LogProb, Record, Trial

SUITE = Path(__file__).parents[1] / "suites" / "longcontext"
VOCABULARY, CONTEXT = 12_000, 4096


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
    words = [*map(str, range(10, 1000)), *sorted(found), "answer", "question", ":", "?"]
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


class Noted:
    """A model that keeps what is asked of each prompt, and passes everything on."""

    def __init__(self, model: Any) -> None:
        self.model, self.answers = model, model.answers
        self.questions: dict[str, dict[str, float]] = {}

    def run(self, batch: list[Any]) -> list[Any]:
        answers = self.model.run(batch)
        if isinstance(batch[0], LogProb):
            for request, answer in zip(batch, answers, strict=True):
                self.questions.setdefault(request.prefix, {})[request.text] = answer.value
        return answers


def asked(trials: list[Trial], model: Any) -> dict[str, Record]:
    """The records of trials driven together, texts made and counted included."""
    records = list(drive(trials, {SUBJECT: model}))
    if failed := [record.error for record in records if record.error]:
        raise RuntimeError(failed[0])
    return {record.trial: record for record in records}


def alone(questions: dict[str, dict[str, float]], folder: str) -> float:
    """Each question asked alone in plain transformers: one pass over its prompt, its choices read off the last place.

    The prompts are given, so nothing is spent on making them; logits are made for the last token only.  Returns the
    largest difference from the log-probabilities in `questions`.
    """
    model: Any = LlamaForCausalLM.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    worst = 0.0
    for prompt, choices in questions.items():
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        ends = [tokenizer(choice, add_special_tokens=False).input_ids for choice in choices]
        assert all(len(end) == 1 for end in ends), "a choice of several tokens needs more than one place"
        with torch.inference_mode():
            said = model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1].log_softmax(-1)
        values = said[[end[0] for end in ends]].tolist()
        worst = max([worst, *(abs(a - b) for a, b in zip(values, choices.values(), strict=True))])
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, default=5)
    parser.add_argument("--depths", type=int, default=11)
    parser.add_argument("--longest", type=int, default=CONTEXT)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lengths = [given.longest >> step for step in range(given.lengths)][::-1]
    depths = [round(step / max(given.depths - 1, 1), 3) for step in range(given.depths)]
    trials = grid(lengths, depths)
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))
        model: Any = load(name, options=LoadOptions(device="cpu", dtype="float32"))
        asked(trials[:1], model)
        noted = Noted(model)
        start = clocks()
        found = asked(trials, noted)
        middle = clocks()
        worst = alone(noted.questions, name)
        end = clocks()
        parameters = model.about["parameters"]
    together, single = ({name: b[name] - a[name] for name in a} for a, b in ((start, middle), (middle, end)))
    line = {
        "bench": "longcontext",
        "parameters": parameters,
        "lengths": lengths,
        "depths": len(depths),
        "questions": len(noted.questions),
        "longest_prompt": max(r.outcome.values["tokens"] for r in found.values() if r.outcome),
        "threads": given.threads,
        "largest_difference": round(worst, 6),
        "together_seconds": rounded(together),
        "alone_seconds": rounded(single),
        "ratio": rounded({name: single[name] / together[name] for name in single}),
    }
    print(json.dumps(line))


def clocks() -> dict[str, float]:
    """Time gone by, and seconds of work: the second is the one to compare on a machine that is shared."""
    return {"wall": time.perf_counter(), "cpu": time.process_time()}


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


if __name__ == "__main__":
    main()
