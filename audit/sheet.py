"""The content of suite.yaml as checked values: data, entries, measures, severities.  Reads no file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

Setting = str | int | float | bool | None


class Shape(BaseModel):
    """Keys are checked, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Said(Shape):
    """A text in both languages."""

    en: str
    zh: str


def _both(value: Any) -> Any:
    return {"en": value, "zh": value} if isinstance(value, str) else value


Bilingual = Annotated[Said, BeforeValidator(_both)]


class Bands(Shape):
    """From which value on a limitation is low, medium, high, critical (the interval's bound nearest to none counts)."""

    low: float
    medium: float | None = None
    high: float | None = None
    critical: float | None = None


class Data(Shape):
    """Where examples come from: a file of the suite, a user's file, or a data set by name.

    An `optional` block is loaded only where a user asks for it by name.  `inside` names the group of this block that is
    in-distribution: the others are compared with it, and a user's own domains take the block's place.
    """

    load: str
    name: str = "data"
    subset: str | None = None
    split: str | None = None
    revision: str | None = None
    text: str = "text"
    pair: str | None = None
    label: str | None = "label"
    group: str | None = None
    id: str | None = "id"
    language: Literal["en", "zh", "auto"] = "auto"
    limit: int | None = Field(default=None, ge=1)
    optional: bool = False
    inside: str | None = None


class MeasureUse(Shape):
    """A measure, which of its results to report, of which slices, and whether over all settings of a sweep at once.

    `unit` says what a measure that takes any number was given (shares: proportion).  `by` group: each group alone; out:
    each group of out-of-distribution rows (the probe's column `is_ood`) together with all in-distribution ones.
    """

    measure: str
    key: str = ""
    unit: Literal["proportion", "percent", "points", "score", "count"] | None = None
    across: bool = False
    by: tuple[Literal["group", "out"], ...] = ()


def _measure(value: Any) -> Any:
    if isinstance(value, str):
        name, _, key = value.partition(".")
        return {"measure": name, "key": key}
    return value


Measures = tuple[Annotated[MeasureUse, BeforeValidator(_measure)], ...]


class Entry(Shape):
    """One probe with its settings: `with` fixes them, `over` sweeps them (every combination).

    `also` names further data blocks beside `data`; `where` keeps the rows that hold this value in this column.
    `limitations` are the kinds that the probe gives evidence of, where they are not the suite's.
    """

    probe: str
    name: str = ""
    title: Bilingual | None = None
    when: Bilingual | None = None
    says: Bilingual | None = None
    settings: dict[str, Setting] = Field(default_factory=dict, alias="with")
    over: dict[str, tuple[Setting, ...]] = Field(default_factory=dict)
    data: str | None = None
    also: tuple[str, ...] = ()
    where: dict[str, str] = Field(default_factory=dict)
    language: Literal["en", "zh"] | None = None
    limit: int | None = Field(default=None, ge=1)
    measures: Measures = ()
    limitations: tuple[str, ...] = ()
    severity: dict[str, Bands] = Field(default_factory=dict)

    @field_validator("over")
    @classmethod
    def _swept(cls, over: dict[str, tuple[Setting, ...]]) -> dict[str, tuple[Setting, ...]]:
        for name, values in over.items():
            if not values:
                raise ValueError(f"'{name}' sweeps over no values")
        return over

    @property
    def label(self) -> str:
        """The entry's name in findings: its own, or its probe's."""
        return self.name or self.probe.rpartition(":")[2]


class Across(Shape):
    """A measure over the records of several entries, or over all settings of one."""

    name: str
    measure: Annotated[MeasureUse, BeforeValidator(_measure)]
    probes: tuple[str, ...]
    title: Bilingual | None = None
    when: Bilingual | None = None
    says: Bilingual | None = None
    severity: dict[str, Bands] = Field(default_factory=dict)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Sheet(Shape):
    """The content of suite.yaml.

    `verbalisers` (label: answer) and `template` (with {text}) let a language model classify.
    """

    title: Bilingual
    about: Bilingual | None = None
    limitations: tuple[str, ...] = ()
    data: Annotated[tuple[Data, ...], BeforeValidator(_listed)]
    probes: tuple[Entry, ...]
    across: tuple[Across, ...] = ()
    measures: Measures = ()
    severity: dict[str, Bands] = Field(default_factory=dict)
    verbalisers: dict[str, str] = Field(default_factory=dict)
    template: str = ""

    @field_validator("probes")
    @classmethod
    def _some(cls, probes: tuple[Entry, ...]) -> tuple[Entry, ...]:
        if not probes:
            raise ValueError("a suite needs at least one probe")
        return probes
