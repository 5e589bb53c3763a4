"""What can go wrong, and with which exit code.  Knows nothing else.

AuditError
├── UsageError        a suite, setting, file or policy is not as it must be            exit 2
├── CannotMeasure     the model cannot be loaded, or nothing could be measured         exit 3
├── RequestFailed     one request could not be answered (becomes one error record)
│   └── Skipped       and the user asked for such requests to be left out (counted as skipped, no error)
└── NotRun            raised by a probe that cannot be asked here, with the reason (becomes a *not run* finding)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    VIOLATED = 1
    USAGE = 2
    CANNOT_MEASURE = 3
    UNDECIDED = 4
    NOTHING = 5
    INTERRUPTED = 130


class AuditError(Exception):
    """Anything this package raises on purpose; its text is one paragraph: what, where, the nearest right answer."""

    exit = Exit.CANNOT_MEASURE


class UsageError(AuditError):
    """A suite, setting, file or policy is not as it must be."""

    exit = Exit.USAGE


class CannotMeasure(AuditError):
    """The model cannot be loaded, or nothing could be measured."""


class RequestFailed(AuditError):
    """One request could not be answered."""


class Skipped(RequestFailed):
    """One request was left out, as the user asked."""


class NotRun(AuditError):
    """This probe cannot be asked here; the text says why and how to get what is missing."""


def nearest(word: str, known: Iterable[object]) -> str:
    """`did you mean 'x'?`, or the known words where none is near."""
    names = sorted(str(k) for k in known)
    close = difflib.get_close_matches(str(word), names, 1, 0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "there are none"
