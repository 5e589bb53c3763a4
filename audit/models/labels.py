"""Rename and merge a classifier's labels.  Knows neither models nor data: names and index groups only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.errors import UsageError, nearest


@dataclass(frozen=True)
class LabelMap:
    """The names that answers use, and for each the model's columns that it sums."""

    names: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]

    @property
    def plain(self) -> bool:
        """True when every name is exactly one column, in order: nothing to sum."""
        return self.columns == tuple((i,) for i in range(len(self.columns)))


def label_map(own: Sequence[str], wanted: Mapping[str, str] | None, place: str) -> LabelMap:
    """Map the model's `own` labels through `wanted` (own name or column number -> new name).

    Labels that `wanted` does not mention keep their names.  UsageError for a name that the model does not have.
    """
    renamed = list(own)
    for key, name in (wanted or {}).items():
        at = [i for i, label in enumerate(own) if label == key]
        if not at and key.isdigit() and int(key) < len(own):
            at = [int(key)]
        if not at:
            raise UsageError(f"{place} has no label {key!r} (its labels are {', '.join(own)}): {nearest(key, own)}")
        for i in at:
            renamed[i] = name
    names = tuple(dict.fromkeys(renamed))
    return LabelMap(names, tuple(tuple(i for i, n in enumerate(renamed) if n == name) for name in names))
