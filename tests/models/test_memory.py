"""Answering very many requests holds little more than the model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import transformers
from tinymodels import SMALL, bytebpe, save

CODE = """
import resource, sys
import torch
from audit.models import load
from audit.types import LogProb
torch.set_num_threads(1)
model = load(sys.argv[1])
words = "one two three four five six seven eight nine ten good food and friendly people".split()
ask = lambda n: LogProb(" ".join(words[(n * k) % len(words)] for k in range(1, 12)) + f" {n // 4}", " " + words[n % 4])
model.run([ask(n) for n in range(50)])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
answers = model.run([ask(n) for n in range(10_000)])
assert len(answers) == 10_000
print(peak() - before)
"""


def test_ten_thousand_requests_hold_less_than_500_megabytes(tmp_path):
    made = bytebpe(bos=True, length=256)
    folder = save(tmp_path, "LlamaForCausalLM", transformers.LlamaConfig(vocab_size=len(made), **SMALL), made)
    home = Path(__file__).resolve().parents[2]
    run = [sys.executable, "-c", CODE, str(folder)]
    said = subprocess.run(run, capture_output=True, text=True, cwd=home, check=True).stdout
    assert float(said) < 500
