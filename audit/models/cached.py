"""Prefix reuse: a beginning that rows share is run once and its key-value cache is expanded to all of them.

Knows caches of transformers; knows no request.  Which rows share what is decided in prefix.py.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from audit.models.batches import padded
from audit.models.picked import at_lanes, forward, scores
from audit.models.prefix import Group

KEPT = {"cpu": 128 << 20, "cuda": 4 << 30}  # bytes of expanded cache at a time
EXPANDABLE = ("DynamicLayer", "DynamicSlidingWindowLayer")


class Line(NamedTuple):
    """Tokens to run, and the position from which on the next tokens are asked for."""

    ids: tuple[int, ...]
    start: int


class Lane(NamedTuple):
    """One question to a line (its index): the log-probability of these tokens from its start on."""

    line: int
    targets: tuple[int, ...]


class Reuse:
    """Scores lines with and without a shared prefix.  `reason` is why prefixes are not reused, "" where they are."""

    def __init__(self, model: Any, device: torch.device, fill: int) -> None:
        self.model, self.device, self.fill = model, device, fill
        self.positioned = "position_ids" in inspect.signature(model.forward).parameters
        self.kept = KEPT.get(device.type, 1 << 30)
        self.window = 0
        self.reason = self.check()

    def plain(self, lines: Sequence[Line], lanes: Sequence[Lane]) -> list[float]:
        """Every line run in full, in one batch padded on the right; one sum a lane."""
        ids, mask = padded([line.ids for line in lines], self.fill, self.device)
        made: dict[str, Any] = {"input_ids": ids, "use_cache": False}
        if mask is not None:
            made["attention_mask"] = mask
        asked = wanted([line.start for line in lines], lanes)
        logits = scores(self.model, made, asked)
        return at_lanes(logits, [lane.line for lane in lanes], [lane.targets for lane in lanes])

    def shared(self, groups: Sequence[Group], lines: Sequence[Line], lanes: Sequence[Lane]) -> list[float]:
        """Each group's prefix run once, then its lines' remainders; one sum a lane (lanes are grouped by line)."""
        cache, mask = self.prefill([lines[g.rows[0]].ids[: g.shared] for g in groups])
        members = [(n, i) for n, g in enumerate(groups) for i in g.rows]
        rest = max(len(lines[i].ids) - groups[n].shared for n, i in members)
        step = max(int(self.kept // max(row_bytes(cache, mask.shape[1] + rest), 1)), 1)
        found: dict[int, list[float]] = {}
        by_line: dict[int, list[Lane]] = {}
        for lane in lanes:
            by_line.setdefault(lane.line, []).append(lane)
        for at in range(0, len(members), step):
            some = members[at : at + step]
            own = [Lane(k, lane.targets) for k, (_, i) in enumerate(some) for lane in by_line[i]]
            values = iter(self.continued(cache, mask, some, [(groups[n].shared, lines[i]) for n, i in some], own))
            for _, i in some:
                found[i] = [next(values) for _ in by_line[i]]
        order = {i: iter(values) for i, values in found.items()}
        return [next(order[lane.line]) for lane in lanes]

    def prefill(self, prefixes: Sequence[Sequence[int]]) -> tuple[Any, torch.Tensor]:
        """The cache of prefixes, padded on the left so that it has no holes, and its mask."""
        ids, mask = padded(prefixes, self.fill, self.device, left=True)
        mask = torch.ones_like(ids) if mask is None else mask
        made: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": True}
        if self.positioned:
            made["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        last = torch.full((len(prefixes), 1), ids.shape[1] - 1)
        return getattr(forward(self.model, made, last), "past_key_values", None), mask

    def continued(
        self,
        cache: Any,
        mask: torch.Tensor,
        members: Sequence[tuple[int, int]],
        parts: Sequence[tuple[int, Line]],
        lanes: Sequence[Lane],
    ) -> list[float]:
        """The remainders of `parts` (prefix length, line) on top of an expanded copy of the cache."""
        index = torch.tensor([n for n, _ in members], device=self.device)
        ids, own = padded([line.ids[shared:] for shared, line in parts], self.fill, self.device)
        own = torch.ones_like(ids) if own is None else own
        made: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": torch.cat([mask[index], own], -1),
            "past_key_values": expanded(cache, index),
            "use_cache": True,
        }
        if self.positioned:
            before = torch.tensor([shared for shared, _ in parts], device=self.device)
            made["position_ids"] = before[:, None] + torch.arange(ids.shape[1], device=self.device)
        logits = scores(self.model, made, wanted([line.start - shared for shared, line in parts], lanes))
        return at_lanes(logits, [lane.line for lane in lanes], [lane.targets for lane in lanes])

    def check(self) -> str:
        """Reuse on made-up tokens against running them in full; why it must not be used, or ""."""
        config = self.model.config.get_text_config()
        rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
        if str(rope.get("rope_type", rope.get("type", ""))) in ("dynamic", "longrope"):
            return "its positions depend on the length of the whole text"
        if getattr(config, "attention_chunk_size", None):
            return "its attention is chunked"
        draw = torch.Generator().manual_seed(0)
        sizes = [(16, 3), (16, 2), (13, 4), (13, 3)]
        made = [torch.randint(config.vocab_size, (a + b,), generator=draw).tolist() for a, b in sizes]
        for one, other, shared in ((0, 1, 16), (2, 3, 13)):
            made[other][:shared] = made[one][:shared]
        lines = [Line(tuple(ids), shared) for ids, (shared, _) in zip(made, sizes, strict=True)]
        lanes = [Lane(i, tuple(line.ids[line.start + 1 :])) for i, line in enumerate(lines)]
        try:
            with torch.inference_mode():
                cache, _ = self.prefill([lines[0].ids[:16]])
                if why := self.unexpandable(cache):
                    return why
                full = self.plain(lines, lanes)
                reused = self.shared([Group(16, (0, 1)), Group(13, (2, 3))], lines, lanes)
        except Exception as error:  # whatever a model's cache cannot do, it says in its own way
            return f"its cache cannot be expanded ({type(error).__name__})"
        limit = 1e-4 if self.model.dtype == torch.float32 else 0.25
        worst = max(abs(a - b) for a, b in zip(full, reused, strict=True))
        return "" if worst <= limit else f"it changes log-probabilities by {worst:.2g}"

    def causal(self) -> bool:
        """False where the tokens after a position change what is said there."""
        draw = torch.Generator().manual_seed(1)
        one, other = torch.randint(self.model.config.get_text_config().vocab_size, (2, 12), generator=draw).tolist()
        lines = [Line(tuple(one), 0), Line(tuple(one[:8] + other[8:]), 0)]
        with torch.inference_mode():
            same = self.plain(lines, [Lane(i, tuple(one[1:9])) for i in (0, 1)])
        limit = 1e-3 if self.model.dtype == torch.float32 else 0.5
        return not all(map(math.isfinite, same)) or abs(same[0] - same[1]) <= limit

    def unexpandable(self, cache: Any) -> str:
        """Why this kind of cache cannot be expanded; notes the window of sliding layers."""
        kinds = {type(layer).__name__ for layer in getattr(cache, "layers", [])}
        if not kinds:
            return "the model keeps a recurrent state or no key-value cache"
        if odd := kinds - set(EXPANDABLE):
            return f"its cache has layers that cannot be expanded ({', '.join(sorted(odd))})"
        windows = [layer.sliding_window for layer in cache.layers if getattr(layer, "is_sliding", False)]
        self.window = min(windows, default=0)
        return f"its sliding window is only {self.window} tokens" if 0 < self.window < 32 else ""


def expanded(cache: Any, index: torch.Tensor) -> Any:
    """A cache whose row i is row index[i] of `cache`, which stays as it is."""
    new = copy.copy(cache)
    new.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in new.layers:
        if layer.keys is not None and layer.keys.numel():
            layer.keys, layer.values = picked(layer.keys, index), picked(layer.values, index)
    return new


def picked(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """rows[index]; of a single row no copy is made, since a layer that grows copies what it holds anyway."""
    if rows.shape[0] == 1:
        return rows.expand(len(index), *rows.shape[1:])
    return rows.index_select(0, index)  # the cache's own selection is twice as slow


def row_bytes(cache: Any, tokens: int) -> float:
    """Bytes that one row of `tokens` tokens takes in a cache like this."""
    keys = [layer.keys for layer in cache.layers if layer.keys is not None]
    each: float = sum(2 * k.numel() * k.element_size() / (k.shape[0] * k.shape[-2]) for k in keys)
    return each * tokens


def wanted(starts: Sequence[int], lanes: Sequence[Lane]) -> torch.Tensor:
    """Positions (lines, k) to score: from each line's start on, as many as its longest lane has targets."""
    counts = [1] * len(starts)
    for lane in lanes:
        counts[lane.line] = max(counts[lane.line], len(lane.targets))
    width = max(counts)
    return torch.tensor([[s + min(n, c - 1) for n in range(width)] for s, c in zip(starts, counts, strict=True)])
