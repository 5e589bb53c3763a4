"""Greedy and seeded sampling for causal and seq2seq models, alone and in a batch alike.  Knows no head."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from audit.models.rows import NOT_FINITE
from audit.types import Answer, Failed, Generate, Text


class Chooser(LogitsProcessor):  # type: ignore[misc]
    """Picks one token a row: the most likely, or one drawn with its own seed whatever else is in the batch."""

    def __init__(self, requests: Sequence[Generate]) -> None:
        self.draws = [random.Random(f"{r.sample}") if r.sample else None for r in requests]
        self.logprobs: list[list[float]] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        logp = scores.float().log_softmax(-1)
        pick = logp.argmax(-1)
        for i, draw in enumerate(self.draws):
            if draw is not None:
                mass = logp[i].double().exp().cumsum(0)
                at = torch.searchsorted(mass, torch.tensor(draw.random(), dtype=torch.double) * mass[-1].cpu())
                pick[i] = min(int(at), len(mass) - 1)
        self.logprobs.append(logp.gather(1, pick[:, None]).squeeze(1).tolist())
        return torch.full_like(scores, -math.inf).scatter_(1, pick[:, None], 0.0)


class Enough(StoppingCriteria):  # type: ignore[misc]
    """A row is done at its own limit, or when one of its stop strings has been written."""

    def __init__(self, requests: Sequence[Generate], before: int, tokenizer: Any) -> None:
        self.requests, self.before, self.tokenizer = requests, before, tokenizer
        self.done = [False] * len(requests)

    def __call__(self, input_ids: torch.Tensor, scores: Any) -> torch.Tensor:
        count = input_ids.shape[1] - self.before
        for i, request in enumerate(self.requests):
            if not self.done[i]:
                self.done[i] = count >= request.limit
                if request.stop and not self.done[i]:
                    text = decode(self.tokenizer, input_ids[i, self.before :].tolist())
                    self.done[i] = any(stop in text for stop in request.stop if stop)
        return torch.tensor(self.done, device=input_ids.device)


def plain_settings(model: Any, tokenizer: Any) -> list[str]:
    """Replace the checkpoint's generation settings by its token ids alone; returns notes on what was set aside."""
    old = model.generation_config
    names = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id")
    kept = {name: getattr(old, name, None) for name in names}
    for name in names:
        if kept[name] is None:
            kept[name] = getattr(model.config, name, None)
    if kept["eos_token_id"] is None:
        kept["eos_token_id"] = tokenizer.eos_token_id
    noted = [
        f"{name}={value}"
        for name in ("num_beams", "repetition_penalty", "no_repeat_ngram_size", "length_penalty")
        if (value := getattr(old, name, None)) not in (None, 0, 1, 1.0)
    ]
    model.generation_config = GenerationConfig(**{k: v for k, v in kept.items() if v is not None})
    return [f"generation settings of the checkpoint are not used: {', '.join(noted)}"] if noted else []


def generate(model: Any, tokenizer: Any, requests: Sequence[Generate], made: dict[str, Any], fill: int) -> list[Answer]:
    """One `Text` a row for prepared inputs (for a causal model padded on the left)."""
    before = 1 if model.config.is_encoder_decoder else made["input_ids"].shape[1]
    chooser = Chooser(requests)
    with torch.inference_mode():
        out = model.generate(
            **made,
            max_new_tokens=max(r.limit for r in requests),
            do_sample=False,
            num_beams=1,
            pad_token_id=fill,
            logits_processor=LogitsProcessorList([chooser]),
            stopping_criteria=StoppingCriteriaList([Enough(requests, before, tokenizer)]),
        )
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    return [
        written(tokenizer, request, out[i, before:].tolist(), [step[i] for step in chooser.logprobs], ends)
        for i, request in enumerate(requests)
    ]


def written(tokenizer: Any, request: Generate, ids: list[int], logprobs: list[float], ends: set[int]) -> Answer:
    """The text of one row: up to its end token, its limit and its first stop string."""
    size = next((n for n, token in enumerate(ids) if token in ends), len(ids))
    size = min(size, request.limit)
    spent = logprobs[: min(size + 1, request.limit)]
    if not all(map(math.isfinite, spent)):
        return Failed(f"the model's logits {NOT_FINITE}")
    text = decode(tokenizer, ids[:size])
    cuts = [text.index(stop) for stop in request.stop if stop and stop in text]
    return Text(text[: min(cuts)] if cuts else text, size, sum(spent[:size]))


def decode(tokenizer: Any, ids: list[int]) -> str:
    """Tokens as text, special ones left out, spaces as they are."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
