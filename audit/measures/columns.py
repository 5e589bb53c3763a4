"""What a measure asks of its columns, and the refusal of everything else.  Knows no measure and no file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from audit.errors import UsageError, nearest


@dataclass(frozen=True)
class Column:
    """What one column may hold.

    `kind`: binary, number, label, text or texts; `null`: may a value be missing?; `blank`: may a label be ""?; `alias`:
    another name the column may have.
    """

    kind: str
    low: float = -math.inf
    high: float = math.inf
    allowed: tuple[str, ...] = ()
    null: bool = False
    blank: bool = False
    alias: str = ""

    @property
    def says(self) -> str:
        """The allowed values in words."""
        if self.allowed:
            words = ", ".join(self.allowed)
        elif self.kind == "number" and (self.low, self.high) != (-math.inf, math.inf):
            words = f"a number from {self.low:g} to {self.high:g}"
        else:
            words = WORDS[self.kind]
        return words + (" or null" if self.null else "")


WORDS = {
    "binary": "0, 1, true, false",
    "number": "a finite number",
    "label": "a string that is not empty, a number or true/false, of one type throughout",
    "text": "a string",
    "texts": "a string or a list of strings",
}
BINARY = Column("binary")
NUMBER = Column("number")
PROBABILITY = Column("number", 0, 1)
COUNT = Column("number", 0)
LABEL = Column("label")
ANSWER = Column("label", blank=True)
TEXT = Column("text")
TEXTS = Column("texts")
OPTIONAL_CLUSTER = {"cluster": LABEL}


def one_of(*allowed: str, null: bool = False) -> Column:
    """A column that holds only these words."""
    return Column("label", allowed=allowed, null=null)


def checked(frame: pd.DataFrame, required: Mapping[str, Column], optional: Mapping[str, Column]) -> pd.DataFrame:
    """The columns a measure uses, clean: binary as int8, number as float64, label as str.  Others are dropped.

    UsageError names the column, the row (counted from 1) and the allowed values.
    """
    for name, column in required.items():
        if column.alias and column.alias in frame.columns and name not in frame.columns:
            frame = frame.rename(columns={column.alias: name})
        if name not in frame.columns:
            have = nearest(name, frame.columns)
            raise UsageError(f"no column {name!r} (allowed values: {column.says}): {have}")
    if len(frame) == 0:
        raise UsageError(f"no rows: columns {', '.join(required)} are there, and nothing is in them")
    wanted = {**required, **{name: c for name, c in optional.items() if name in frame.columns}}
    for name in wanted:
        if isinstance(frame[name], pd.DataFrame):
            raise UsageError(f"column {name!r} is there twice: give each column one name")
    return pd.DataFrame({name: clean(frame[name], name, column) for name, column in wanted.items()})


def clean(series: pd.Series[Any], name: str, column: Column) -> Any:
    """One column as an array of the type its kind promises; UsageError at the first value that is not of it."""
    missing = series.isna().to_numpy()
    if missing.any() and not column.null:
        refuse(series, name, column, int(missing.argmax()))
    values = series.to_numpy()
    if column.kind in ("binary", "number") and not column.null:
        return _numbers(series, name, column)
    if column.kind == "label":
        return _labels(values, missing, name, column)
    accepts = _is_texts if column.kind == "texts" else _is_text
    for row, value in enumerate(values):
        if not missing[row] and not accepts(value):
            refuse(series, name, column, row)
    return pd.Series([None if gone else v for v, gone in zip(values, missing, strict=True)], dtype=object).to_numpy()


def _numbers(series: pd.Series[Any], name: str, column: Column) -> Any:
    values = series.to_numpy()
    if series.dtype.kind not in "biuf":
        wrong = [not isinstance(v, bool | int | float | np.number | np.bool_) for v in values]
        if any(wrong):
            refuse(series, name, column, wrong.index(True))
    numbers = values.astype(float)
    bad = ~np.isfinite(numbers) | (numbers < column.low) | (numbers > column.high)
    if column.kind == "binary":
        bad |= (numbers != 0) & (numbers != 1)
    if bad.any():
        refuse(series, name, column, int(bad.argmax()))
    return numbers.astype(np.int8) if column.kind == "binary" else numbers


def _labels(values: Any, missing: Any, name: str, column: Column) -> Any:
    kinds: dict[str, int] = {}
    words: list[str | None] = []
    for row, value in enumerate(values):
        word, kind = (None, "") if missing[row] else label(value)
        if not missing[row]:
            kinds.setdefault(kind, row)
        wrong = kind == "other" or (column.allowed and word not in column.allowed) or (word == "" and not column.blank)
        if wrong and not missing[row]:
            refuse(values, name, column, row)
        words.append(word)
    if len(kinds) > 1:
        refuse(values, name, column, max(kinds.values()))
    return pd.Series(words, dtype=object).to_numpy()


def label(value: Any) -> tuple[str, str]:
    """A label as text (so that 1, 1.0 and "1" are one label) and its type in words; "other" where it is no label."""
    if isinstance(value, str):
        return value, "string"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)), "bool"
    if isinstance(value, int | np.integer):
        return str(int(value)), "number"
    if isinstance(value, float | np.floating) and np.isfinite(value):
        return (str(int(value)) if float(value).is_integer() else repr(float(value))), "number"
    return str(value), "other"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list | tuple | np.ndarray) and len(value) > 0 and all(isinstance(v, str) for v in value)
    )


def refuse(values: Any, name: str, column: Column, row: int) -> None:
    """Raise the UsageError of one bad value."""
    value = list(values)[row]
    shown = repr(value.item() if isinstance(value, np.generic) else value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    raise UsageError(f"column {name!r}, row {row + 1}: {shown} is not allowed; allowed values: {column.says}")
