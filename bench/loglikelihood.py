"""Multiple choice by log-probability: requests a second here and in lm-evaluation-harness 0.4.13, on the same model.

    python bench/loglikelihood.py [--questions 60] [--threads 2] [--clock wall|cpu]

Makes a Llama of about 20 million random weights; every question has a 200-token context and 4 options.  Needs `lm_eval`
(with accelerate) in the environment for the comparison, and says so where it is absent.  Prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from audit.models import LoadOptions, load
from audit.types import LogProb, Number

VOCABULARY, CONTEXT, OPTIONS = 12_000, 200, 4


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def make(folder: Path) -> None:
    """A checkpoint whose words are w0, w1, ...: one token each."""
    torch.manual_seed(0)
    words = {"<s>": 0, "</s>": 1, "<unk>": 2} | {f"w{i}": i + 3 for i in range(VOCABULARY - 3)}
    raw = Tokenizer(models.WordLevel(words, "<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>", model_max_length=1024
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=384, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=6,
        num_key_value_heads=6, max_position_embeddings=1024, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(3)
    model.save_pretrained(folder)


def questions(count: int) -> list[tuple[str, list[str]]]:
    """Contexts of CONTEXT words with OPTIONS continuations of 1 to 8 words."""
    draw = random.Random(1)

    def text(size: int) -> str:
        return " ".join(f"w{draw.randrange(VOCABULARY - 3)}" for _ in range(size))

    return [(text(CONTEXT), [" " + text(draw.randint(1, 8)) for _ in range(OPTIONS)]) for _ in range(count)]


def ours(folder: Path, asked: list[tuple[str, list[str]]], reuse: bool = True) -> tuple[float, list[float]]:
    """Seconds and log-probabilities here."""
    model: Any = load(str(folder), options=LoadOptions(device="cpu", dtype="float32"))
    if not reuse:
        model.reuse.reason = "off for comparison"
    batch = [LogProb(context, option) for context, options in asked for option in options]
    model.run(batch[:8])
    start = clock()
    answers = model.run(batch)
    return clock() - start, [answer.value for answer in answers if isinstance(answer, Number)]


def theirs(folder: Path, asked: list[tuple[str, list[str]]], size: int) -> tuple[float, list[float]]:
    """Seconds and log-probabilities in lm-evaluation-harness."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=size)
    pairs = [(context, option) for context, options in asked for option in options]
    batch = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    model.loglikelihood(batch[:8], disable_tqdm=True)
    start = clock()
    answers = model.loglikelihood(batch, disable_tqdm=True)
    return clock() - start, [float(value) for value, _ in answers]


def choices(values: list[float]) -> list[int]:
    """The likeliest option of each question."""
    groups = [values[i : i + OPTIONS] for i in range(0, len(values), OPTIONS)]
    return [group.index(max(group)) for group in groups]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: seconds of work, on a machine that is shared"
    )
    given = parser.parse_args()
    global clock
    clock = CLOCKS[given.clock]
    torch.set_num_threads(given.threads)
    asked = questions(given.questions)
    count = given.questions * OPTIONS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        seconds, values = ours(folder, asked)
        plain, same = ours(folder, asked, reuse=False)
        found: dict[str, Any] = {
            "bench": "loglikelihood",
            "requests": count,
            "threads": given.threads,
            "clock": given.clock,
            "audit_per_second": round(count / seconds, 2),
            "audit_without_reuse_per_second": round(count / plain, 2),
            "reuse_moves": max(abs(a - b) for a, b in zip(values, same, strict=True)),
        }
        try:
            runs = {size: theirs(folder, asked, size) for size in (1, 4, 16)}
        except ImportError as error:
            found["lm_eval"] = f"not compared: {error}"
        else:
            best = min(runs, key=lambda size: runs[size][0])
            found |= {
                "lm_eval_per_second": {size: round(count / spent, 2) for size, (spent, _) in runs.items()},
                "ratio": round(runs[best][0] / seconds, 2),
                "largest_difference": max(abs(a - b) for a, b in zip(values, runs[best][1], strict=True)),
                "same_choices": choices(values) == choices(runs[best][1]),
            }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
