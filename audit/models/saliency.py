"""Gradients at the input embeddings, and the replacement tokens they propose (HotFlip).  Knows no head."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from audit.models.tokens import MARKS, Encoder, Row
from audit.types import Answer, Failed, Gradient, Saliency

CELLS = 1 << 25  # scores held at once: positions x vocabulary


@contextlib.contextmanager
def watch(embeddings: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect the outputs of an embedding layer as leaves that gather gradients (the first is the encoder's)."""
    seen: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        seen.append(output.detach().requires_grad_(True))
        return seen[-1]

    handle = embeddings.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


class Flipper:
    """First-order estimate of what swapping one token does to the loss (Ebrahimi et al. 2018, HotFlip).

    Replacements are whole alphabetic pieces of the same kind as what they replace: word-initial for word-initial,
    continuation for continuation.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        layer = model.get_input_embeddings()
        self.table = layer.weight.detach().float() * getattr(layer, "embed_scale", 1.0)
        pieces = tokenizer.convert_ids_to_tokens(list(range(min(len(tokenizer), self.table.shape[0]))))
        specials = set(tokenizer.all_special_ids)
        self.surface = [plain(piece) for piece in pieces]
        initial = any(piece and piece[0] in "▁Ġ" for piece in pieces)
        first = [bool(p) and (p[0] in "▁Ġ" if initial else not p.startswith("##")) for p in pieces]
        usable = [i not in specials and s.isalpha() and s.isprintable() for i, s in enumerate(self.surface)]
        self.kind = first
        self.allowed = {
            kind: torch.tensor([u and f is kind for u, f in zip(usable, first, strict=True)], device=self.table.device)
            for kind in (True, False)
        }

    def propose(self, ids: list[int], slope: torch.Tensor, count: int) -> list[tuple[tuple[str, float], ...]]:
        """For each token the `count` replacements with the largest estimated gain of loss, best first."""
        size = len(self.surface)
        step = max(CELLS // size, 1)
        found: list[tuple[tuple[str, float], ...]] = []
        for start in range(0, len(ids), step):
            some = ids[start : start + step]
            block = slope[start : start + step]
            gain = block @ self.table[:size].T - (block * self.table[some]).sum(-1, keepdim=True)
            for row, token in zip(gain, some, strict=True):
                allowed = self.allowed[self.kind[token] if token < size else True].clone()
                if token < size:
                    allowed[token] = False
                best = row.masked_fill(~allowed, -torch.inf).topk(min(count, size))
                pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
                found.append(tuple((self.surface[i], gain) for i, gain in pairs if gain > -torch.inf))
        return found


def saliency(request: Gradient, row: Row, encoder: Encoder, slope: torch.Tensor, flipper: Flipper | None) -> Answer:
    """One answer from one gradient (tokens, width): the tokens of the text that the model saw, no special ones."""
    if not bool(torch.isfinite(slope).all()):
        return Failed("the gradient is not finite (NaN or infinity)", dropped=row.dropped)
    _, spans = encoder.spans(request.text)
    ids = row.ids
    if row.dropped:  # the cut keeps a beginning of the text and then the closing special tokens
        closing = next((n for n, token in enumerate(reversed(ids)) if token not in encoder.specials), 0)
        spans = spans[: len(ids) - closing] + [(0, 0)] * closing
    real = [i for i, (start, end) in enumerate(spans) if end > start]
    norms = slope.norm(dim=-1).tolist()
    flips: tuple[tuple[tuple[str, float], ...], ...] = ()
    if request.flips and flipper is not None and real:
        flips = tuple(flipper.propose([ids[i] for i in real], slope[real], request.flips))
    return Saliency(
        tuple(spans[i] for i in real), tuple(norms[i] for i in real), flips, dropped=row.dropped, unknown=row.unknown
    )


def plain(piece: str | None) -> str:
    """A vocabulary piece as it reads in a text, "" for none."""
    text = piece or ""
    for mark in MARKS:
        text = text.replace(mark, "")
    return text
