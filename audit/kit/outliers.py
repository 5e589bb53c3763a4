"""How much one input looks like the in-distribution ones, by six scores.  Knows answers, no model and no suite.

Every score is higher where an input looks more in-distribution.  Four read one answer of a classifier: maximum softmax
probability (Hendrycks and Gimpel 2017), maximum logit (Hendrycks et al. 2022), energy (Liu et al. 2020), entropy.  Two
compare a vector with a bank of in-distribution vectors: Mahalanobis distance (Lee et al. 2018) and the distance to the
k-th nearest neighbour (Sun et al. 2022).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.errors import NotRun
from audit.types import Labels

Floats = NDArray[np.float64]
Values = tuple[float, ...]
FEWEST = 8  # vectors in a bank: with fewer, a distance to them says nothing


def msp(answer: Labels) -> float:
    """The largest probability, 0-1."""
    return max(answer.probs)


def max_logit(answer: Labels) -> float:
    """The largest logit.  NotRun for a model that gives none."""
    return max(_logits(answer))


def energy(answer: Labels) -> float:
    """The negative free energy at temperature 1: the log of the sum of exponentiated logits.  NotRun as `max_logit`."""
    return float(np.logaddexp.reduce(np.array(_logits(answer))))


def entropy(answer: Labels) -> float:
    """The negative entropy of the probabilities, in nats: 0 for a sure answer, -log(labels) for a uniform one."""
    probs = np.array([p for p in answer.probs if p > 0])
    return float(probs @ np.log(probs))


CONFIDENCE: Mapping[str, Callable[[Labels], float]] = {
    "msp": msp,
    "max_logit": max_logit,
    "energy": energy,
    "entropy": entropy,
}
DISTANCE = ("mahalanobis", "knn")


def _logits(answer: Labels) -> Values:
    if not answer.logits:
        raise NotRun("this model gives probabilities only, no logits")
    return answer.logits


@dataclass(frozen=True)
class Bank:
    """In-distribution vectors: their class means (classes, width), the inverse of the covariance that the classes share
    (width, width), and the vectors themselves at length 1 (rows, width).
    """

    means: Floats
    precision: Floats
    units: Floats

    def mahalanobis(self, vector: Sequence[float]) -> float:
        """Minus the squared Mahalanobis distance to the nearest class mean."""
        away = np.asarray(vector, dtype=float) - self.means
        return -float(np.einsum("ci,ij,cj->c", away, self.precision, away).min())

    def knn(self, vector: Sequence[float], k: int) -> float:
        """Minus the distance to the k-th nearest vector (the farthest, where there are fewer), all at length 1."""
        one = _unit(np.asarray(vector, dtype=float)[None])[0]
        distances = np.sort(np.linalg.norm(self.units - one, axis=1))
        return -float(distances[min(k, len(distances)) - 1])


@functools.lru_cache(maxsize=8)
def bank(vectors: tuple[Values, ...], labels: tuple[str | None, ...]) -> Bank:
    """A bank of vectors with their classes (None throughout: one class).

    The covariance is shrunk towards a multiple of the identity by Ledoit and Wolf's (2004) amount, since a bank is
    often smaller than a vector is wide.  NotRun for fewer than eight vectors.
    """
    if len(vectors) < FEWEST:
        raise NotRun(f"distances need at least {FEWEST} in-distribution texts, and there are {len(vectors)}")
    rows = np.array(vectors, dtype=float)
    classes = np.unique([label or "" for label in labels], return_inverse=True)[1]
    means = np.stack([rows[classes == c].mean(axis=0) for c in range(classes.max() + 1)])
    precision: Floats = np.linalg.inv(shrunk(rows - means[classes])).astype(np.float64)
    return Bank(means, precision, _unit(rows))


def shrunk(centred: Floats) -> Floats:
    """The covariance (width, width) of centred rows (rows, width), shrunk by Ledoit and Wolf's amount.

    A width without any variance gets a small one, so that the result can be inverted.
    """
    rows, width = centred.shape
    sample = centred.T @ centred / rows
    level = float(np.trace(sample)) / width
    spread = float(((sample - level * np.eye(width)) ** 2).sum())
    squares = float(((centred**2).sum(axis=1) ** 2).sum())
    noise = (squares / rows - float((sample**2).sum())) / rows
    amount = min(1.0, max(0.0, noise / spread)) if spread > 0 else 1.0
    covariance: Floats = (1 - amount) * sample + (amount * level + 1e-12) * np.eye(width)
    return covariance


def _unit(rows: Any) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = rows / np.where(lengths > 0, lengths, 1.0)
    return scaled
