"""Compute a language model's vocabulary scores only where they are wanted.  Knows no request."""

from __future__ import annotations

from typing import Any

import torch


def scores(model: Any, made: dict[str, Any], positions: torch.Tensor) -> torch.Tensor:
    """Logits (rows, k, vocabulary) at `positions` (rows, k) of a forward pass over the inputs `made`."""
    logits: torch.Tensor = forward(model, made, positions).logits
    return logits


def forward(model: Any, made: dict[str, Any], positions: torch.Tensor) -> Any:
    """The model's output, with logits only at `positions` (rows, k).

    The output layer is given only those positions: it is often half the work of a small model and nearly all of its
    memory.  A model that hides its output layer is run in full.
    """
    layer = model.get_output_embeddings()

    def pick(tensor: torch.Tensor) -> torch.Tensor:
        index = positions.to(tensor.device)[..., None].expand(-1, -1, tensor.shape[-1])
        return tensor.gather(1, index)

    if layer is None:
        out = model(**made)
        out.logits = pick(out.logits)
        return out
    handle = layer.register_forward_pre_hook(lambda _layer, given: (pick(given[0]), *given[1:]))
    try:
        return model(**made)
    finally:
        handle.remove()


def at_lanes(logits: torch.Tensor, owner: list[int], targets: list[tuple[int, ...]]) -> list[float]:
    """For each lane, the summed log-probability (nats) of its targets at the first positions of row `owner`.

    `logits` is (rows, k, vocabulary), every lane at most k targets long; several lanes may read one row.
    """
    logits = logits.float()
    width = logits.shape[1]
    row = torch.tensor(owner, device=logits.device)
    padded = torch.tensor([list(t) + [0] * (width - len(t)) for t in targets], device=logits.device)
    real = torch.tensor([[1.0] * len(t) + [0.0] * (width - len(t)) for t in targets], device=logits.device)
    norm = logits.logsumexp(-1)
    values = logits[row[:, None], torch.arange(width, device=logits.device), padded] - norm[row]
    # A masked product would turn a padding position's infinity into NaN.
    sums: list[float] = torch.where(real > 0, values.double(), 0.0).sum(-1).tolist()
    return sums


def log_probs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Natural log-probabilities of `targets` (rows, k) under `logits` (rows, k, vocabulary), in float32."""
    logits = logits.float()
    return logits.gather(-1, targets.to(logits.device)[..., None]).squeeze(-1) - logits.logsumexp(-1)
