"""Compute a language model's vocabulary scores only where they are wanted.  Knows no request."""

from __future__ import annotations

from typing import Any

import torch


def scores(model: Any, made: dict[str, Any], positions: torch.Tensor) -> torch.Tensor:
    """Logits (rows, k, vocabulary) at `positions` (rows, k) of a forward pass over the inputs `made`.

    The output layer is given only those positions: it is often half the work of a small model and nearly all of its
    memory.  A model that hides its output layer is run in full.
    """
    layer = model.get_output_embeddings()

    def pick(tensor: torch.Tensor) -> torch.Tensor:
        index = positions.to(tensor.device)[..., None].expand(-1, -1, tensor.shape[-1])
        return tensor.gather(1, index)

    if layer is None:
        return pick(model(**made).logits)
    handle = layer.register_forward_pre_hook(lambda _layer, given: (pick(given[0]), *given[1:]))
    try:
        logits: torch.Tensor = model(**made).logits
    finally:
        handle.remove()
    return logits


def log_probs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Natural log-probabilities of `targets` (rows, k) under `logits` (rows, k, vocabulary), in float32."""
    logits = logits.float()
    return logits.gather(-1, targets.to(logits.device)[..., None]).squeeze(-1) - logits.logsumexp(-1)
