"""Trials into records: here, in this process.  Knows nothing of suites, folders or findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from audit.schedule import drive
from audit.types import Model, Record, Trial

LIVE = 256  # probes at once: enough to fill batches, few enough that their threads and states stay small


def local(trials: Iterable[Trial], models: Mapping[str, Model]) -> Iterator[Record]:
    """Drive all trials in this process; records come as they are ready."""
    return drive(trials, models, live=LIVE)
