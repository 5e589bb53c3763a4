"""Intervals that stay valid however often one looks: for stopping a measurement early."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.intervals import Floats


def confidence_sequence(values: ArrayLike, confidence: float = 0.95, grid: int = 1000) -> tuple[Floats, Floats]:
    """Lows and highs (n,) after each of `values` (n,), which lie in [0, 1] and arrive in random order.

    With probability `confidence` the mean is inside *all* of them at once, so one may stop at any look: the hedged
    betting sequence of Waudby-Smith and Ramdas (2024, theorem 3), on a grid of means; conservative by design.  For
    clustered rows give one mean a cluster.  ValueError for values outside [0, 1].
    """
    x = np.asarray(values, dtype=float)
    if x.size == 0 or not ((x >= 0) & (x <= 1)).all():
        raise ValueError("a confidence sequence is of values in [0, 1], at least one")
    alpha, means = 1 - confidence, np.linspace(0, 1, grid + 1)
    bets = _bets(x, alpha)
    up, down = np.zeros(grid + 1), np.zeros(grid + 1)
    lows, highs = np.empty(len(x)), np.empty(len(x))
    inside = np.ones(grid + 1, dtype=bool)
    with np.errstate(divide="ignore"):
        most_up, most_down = 0.5 / means, 0.5 / (1 - means)
        for i, (value, bet) in enumerate(zip(x, bets, strict=True)):
            up += np.log1p(np.minimum(bet, most_up) * (value - means))
            down += np.log1p(-np.minimum(bet, most_down) * (value - means))
            inside &= np.maximum(up, down) + np.log(0.5) < np.log(1 / alpha)
            kept = np.flatnonzero(inside)
            found = (kept[0] - 1, kept[-1] + 1) if len(kept) else (np.searchsorted(means, x[: i + 1].mean()),) * 2
            lows[i], highs[i] = means[max(found[0], 0)], means[min(found[1], grid)]
    return lows, highs


def _bets(x: Floats, alpha: float) -> Floats:
    """How much to stake on each value, from the values before it only: (n,)."""
    steps = np.arange(1, len(x) + 1)
    centre = (0.5 + np.cumsum(x)) / (steps + 1)
    spread = (0.25 + np.cumsum((x - centre) ** 2)) / (steps + 1)
    before = np.concatenate([[0.25], spread[:-1]])
    stakes: Floats = np.sqrt(2 * np.log(2 / alpha) / (before * steps * np.log(steps + 1)))
    return stakes
