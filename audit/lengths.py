"""The setting `length`: how many tokens a question and its answer may take.  Knows no model."""

from __future__ import annotations

import re

from audit.errors import UsageError

NAME = "length"  # a setting of this name is checked when its suite is loaded, and never lies beyond the model's context
ASSUMED = 4096  # tokens, where a model names no limit and a suite asks for a share of it
SHARE = re.compile(r"(\d+(?:\.\d+)?)%")


def check(value: object, where: str) -> None:
    """UsageError unless `value` is a whole number of tokens above zero, or a share of the context such as "25%"."""
    share = SHARE.fullmatch(value) if isinstance(value, str) else None
    if share is not None and 0 < float(share[1]) <= 100:
        return
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return
    raise UsageError(
        f'{where}: length {value!r}: a length is a number of tokens above zero, or a share of the context like "25%".'
    )


def tokens(value: int | str, context: int | None) -> int:
    """A checked length in tokens; a share is of `context` (None: unknown), at least one token."""
    if isinstance(value, int):
        return value
    return max(int((context or ASSUMED) * float(value.removesuffix("%")) / 100), 1)
