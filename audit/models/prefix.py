"""Which rows of tokens share a beginning that is worth computing once.  Pure: knows no model and no cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LEAST = 16  # tokens: below this a second pass costs more than it saves
WORTH = 0.25  # share of a group's tokens that must be saved


class Group(NamedTuple):
    """Rows (indices) whose first `shared` tokens are equal; `shared` 0 means: nothing to share."""

    shared: int
    rows: tuple[int, ...]


def group(rows: Sequence[Sequence[int]], most: Sequence[int]) -> list[Group]:
    """Cover all rows with groups; the shared beginning of a row is at most `most` tokens long.

    Rows are walked in lexicographic order, where rows with a common beginning are neighbours; one joins the group
    before it when that does not lower the number of tokens saved.
    """
    order = sorted(range(len(rows)), key=lambda i: tuple(rows[i]))
    groups: list[Group] = []
    for i in order:
        if groups:
            shared, members = groups[-1]
            last = members[-1]
            alike = min(common(rows[last], rows[i]), most[last], most[i])
            joined = alike if len(members) == 1 else min(shared, alike)
            if joined >= LEAST and joined * len(members) >= shared * (len(members) - 1):
                groups[-1] = Group(joined, (*members, i))
                continue
        groups.append(Group(min(most[i], len(rows[i])), (i,)))
    return [g if worth(g, rows) else Group(0, g.rows) for g in groups]


def worth(found: Group, rows: Sequence[Sequence[int]]) -> bool:
    """True when sharing saves enough of the group's tokens."""
    saved = found.shared * (len(found.rows) - 1)
    return saved > 0 and saved >= WORTH * sum(len(rows[i]) for i in found.rows)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two rows share from the start."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    low, high = 0, size  # one[:low] is equal, one[:high] is not
    while high - low > 1:
        at = (low + high) // 2
        low, high = (at, high) if one[:at] == other[:at] else (low, at)
    return low
