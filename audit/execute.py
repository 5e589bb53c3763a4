"""Trials into records: here, in this process.  Knows nothing of suites, folders or findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from audit.schedule import drive
from audit.types import SUBJECT, Model, Record, Trial

LIVE = 256  # probes at once: enough to fill batches, few enough that their threads and states stay small


def local(trials: Iterable[Trial], roles: Mapping[str, Mapping[str, Model]]) -> Iterator[Record]:
    """Drive all trials in this process, suites that ask the same subject together; records come as they are ready.

    `roles` maps a suite to the model of each role.
    """
    groups: dict[int, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(id(roles[trial.suite][SUBJECT]), []).append(trial)
    for some in groups.values():
        yield from drive(some, roles[some[0].suite], live=LIVE)
