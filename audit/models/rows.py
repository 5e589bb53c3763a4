"""Encoded rows through a model: tensors in, one answer a distinct row out, and the mean-pooled vector of any model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from audit.models.batches import padded
from audit.models.tokens import Row
from audit.models.weights import Weights
from audit.types import Answer, Failed, Number, Vector

NOT_FINITE = "are not finite (NaN or infinity)"


KEPT = 100_000  # answers remembered


def each(
    weights: Weights,
    rows: Sequence[Row],
    work: Callable[[list[Row]], list[Answer]],
    known: dict[tuple[object, ...], Answer] | None = None,
) -> list[Answer]:
    """Answer every distinct row once: texts that the tokenizer cannot tell apart get one and the same answer.

    `known` holds the answers of earlier batches and is added to: a search that compares two such texts must see a tie,
    not the noise of the batches they came in, or it would go another way each time.
    """
    known = {} if known is None else known
    distinct: dict[tuple[object, ...], int] = {}
    place = [distinct.setdefault(row.key, len(distinct)) for row in rows]
    first: list[Row] = [rows[0]] * len(distinct)
    for row, i in zip(rows, place, strict=True):
        first[i] = row
    answers = {i: known[row.key] for i, row in enumerate(first) if row.key in known}
    kept = [i for i, row in enumerate(first) if i not in answers and not refused(weights, row)]
    found = weights.batcher.run([len(first[i].ids) for i in kept], lambda part: work([first[kept[n]] for n in part]))
    answers |= dict(zip(kept, found, strict=True))
    if len(known) + len(kept) > KEPT:
        known.clear()
    known.update((first[i].key, answer) for i, answer in zip(kept, found, strict=True))
    return [answers.get(i) or overlong(weights, first[i]) for i in place]


def counted(rows: Sequence[Row]) -> list[Answer]:
    """The length of each row in tokens, special ones included."""
    return [Number(float(len(row.ids)), len(row.ids), unknown=row.unknown) for row in rows]


def refused(weights: Weights, row: Row) -> bool:
    """True for a text that was cut although cut texts may not be used."""
    return bool(row.dropped) and weights.overlong in ("error", "skip")


def overlong(weights: Weights, row: Row) -> Failed:
    """The answer to a text that does not fit."""
    whole = len(row.ids) + row.dropped
    why = f"{whole} tokens are more than the model's {weights.encoder.context}"
    return Failed(why, weights.overlong == "skip", dropped=row.dropped)


def inputs(weights: Weights, rows: Sequence[Row], left: bool = False) -> dict[str, torch.Tensor]:
    """Padded tensors for the model; only what it needs is made.  ValueError for a row without a token."""
    ids = [row.ids for row in rows]
    if not all(ids):
        raise ValueError("the tokenizer makes no token of this text")
    tokens, mask = padded(ids, pad_id(weights, ids), weights.device, left)
    made = {"input_ids": tokens}
    if mask is not None:
        made["attention_mask"] = mask
    if any(row.types and any(row.types) for row in rows):
        types = [row.types or [0] * len(row.ids) for row in rows]
        made["token_type_ids"] = padded(types, weights.encoder.tokenizer.pad_token_type_id or 0, weights.device, left)[
            0
        ]
    return made


def embed(weights: Weights, rows: Sequence[Row]) -> list[Answer]:
    """Vectors for one micro-batch: the mean of the last hidden states over real tokens (the encoder's, if any)."""
    made = inputs(weights, rows, weights.left)
    with torch.inference_mode():
        hidden = hidden_states(weights.model.base_model, made)
        mask = made.get("attention_mask")
        weight = torch.ones(hidden.shape[:2], device=hidden.device) if mask is None else mask.float()
        mean = (hidden * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
    return vectors(rows, mean.tolist())


def hidden_states(model: Any, made: dict[str, torch.Tensor]) -> torch.Tensor:
    """Last hidden states (rows, tokens, width) in float32: the encoder's where there is one."""
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model
    hidden: torch.Tensor = encoder(**made).last_hidden_state.float()
    return hidden


def vectors(rows: Sequence[Row], found: list[list[float]]) -> list[Answer]:
    """One `Vector` a row, `Failed` where it is not finite."""
    return [
        Vector(tuple(values), dropped=row.dropped, unknown=row.unknown)
        if all(map(math.isfinite, values))
        else Failed(f"the model's hidden states {NOT_FINITE}", dropped=row.dropped)
        for row, values in zip(rows, found, strict=True)
    ]


def pad_id(weights: Weights, ids: Sequence[Sequence[int]]) -> int:
    """The padding token.  Where config and tokenizer name none, one that no row holds.

    Decoders find the last token of a text by looking for padding, so a token that the text may end in will not do.
    """
    config = weights.config.get_text_config()
    if config.pad_token_id is None or config.pad_token_id < 0 or weights.borrowed_pad:
        own = weights.encoder.tokenizer.pad_token_id
        if own is None or own >= config.vocab_size:
            weights.borrowed_pad = True
            used = set().union(*ids)
            own = next(i for i in range(config.vocab_size) if i not in used)
        weights.config.pad_token_id = config.pad_token_id = own
    return int(config.pad_token_id)
