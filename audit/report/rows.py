"""One finding as a printed row, and the order of findings, worst first.  Knows no HTML, no files and no charts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from audit import numbers
from audit.report.words import Words
from audit.types import Finding

LIMITATION = ("confirmed", "worse")
VERDICTS = (
    *LIMITATION, "error", "inconclusive", "not_comparable", "not_detected", "no_detectable_change", "better",
    "described", "not_run",
)  # fmt: skip
SEVERITIES = ("critical", "high", "medium", "low", "info")
SIGN = {"lower": "≤ ", "higher": "≥ ", "zero": "± ", "none": ""}


@dataclass(frozen=True)
class Row:
    """One finding, printed.  `name` is what its line is called: the probe's title, or the group."""

    finding: Finding
    name: str
    measure: str
    setting: str
    value: str
    interval: str
    limit: str
    anchor: str

    @property
    def verdict(self) -> str:
        """What to call this finding; see `shown_verdict`."""
        return shown_verdict(self.finding)

    @property
    def text(self) -> str:
        """`38% [33–43%], n 400`."""
        interval = f" [{self.interval}]" if self.interval else ""
        return f"{self.value}{interval}, n {self.finding.n:,}"


def row(finding: Finding, words: Words, name: str = "") -> Row:
    """A finding with its numbers printed so that rounding does not contradict its verdict."""
    places = numbers.decimals(finding)
    if finding.unit == "count" and numbers.usable(finding.value) and finding.value != round(finding.value):
        places = max(places, 1)  # a mean of counts
    limit = numbers.limit_text(finding, places) if finding.limit is not None else ""
    sign = "" if "±" in limit else SIGN.get(finding.direction, "")
    return Row(
        finding=finding,
        name=name or finding.probe,
        measure=words.name("measure", finding.measure.rpartition(".")[2]),
        setting=params_text(finding.params),
        value=numbers.value_text(finding.value, finding.unit, places),
        interval=numbers.interval_text(finding, places),
        limit=sign + limit if limit else "",
        anchor=anchor(finding.suite, finding.probe),
    )


def shown_verdict(finding: Finding) -> str:
    """The verdict, or `described` for a number that no limit was set for."""
    measured = numbers.usable(finding.value) and finding.limit is None
    return "described" if measured and finding.verdict == "inconclusive" else finding.verdict


def rank(finding: Finding) -> tuple[Any, ...]:
    """Sorts findings worst first: limitations by severity, then by how far the interval is beyond the limit."""
    name = shown_verdict(finding)
    verdict = VERDICTS.index(name) if name in VERDICTS else len(VERDICTS)
    severity = SEVERITIES.index(finding.severity) if finding.severity in SEVERITIES else len(SEVERITIES)
    if finding.verdict in LIMITATION:
        return (0, severity, bool(finding.group), verdict, -beyond(finding), finding.id)
    return (1, bool(finding.group), 0, verdict, -beyond(finding), finding.id)


def beyond(finding: Finding) -> float:
    """How far the bound nearest to "no problem" lies beyond the limit, as a proportion; 0 where that has no meaning."""
    low, high, limit, ideal = finding.low, finding.high, finding.limit or 0.0, finding.ideal or 0.0
    if low is None or high is None:
        return 0.0
    away = max(low - ideal, ideal - high)
    gap = {"lower": low - limit, "higher": limit - high, "zero": away - limit}.get(finding.direction, 0.0)
    return gap / 100 if finding.unit == "percent" else gap


def params_text(params: Mapping[str, Any]) -> str:
    """`mode swap, rate 0.1`; "" where there are no settings."""
    return ", ".join(f"{key} {numbers.setting_text(value)}" for key, value in sorted(params.items()))


def settings_text(found: Sequence[Mapping[str, Any]]) -> str:
    """Several settings in one line: `rate 0.02, 0.05, 0.1` where one value changes, else one after the other."""
    shared = [key for key in found[0] if all(key in each for each in found)] if found else []
    moving = [key for key in shared if len({str(each[key]) for each in found}) > 1]
    if len(moving) == 1 and all(len(each) == len(shared) for each in found):
        fixed = params_text({key: value for key, value in found[0].items() if key != moving[0]})
        values = ", ".join(numbers.setting_text(each[moving[0]]) for each in found)
        return f"{fixed}, {moving[0]} {values}" if fixed else f"{moving[0]} {values}"
    return "; ".join(dict.fromkeys(text for each in found if (text := params_text(each))))


def reading(finding: Finding) -> tuple[Any, ...]:
    """Sorts the findings of one measure as one reads them: by rising settings."""
    return (settings(finding.params), finding.id)


def settings(params: Mapping[str, Any]) -> list[tuple[str, tuple[int, float, str]]]:
    """Settings in an order that works for numbers, texts and nothing alike."""
    return [
        (name, (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value)))
        for name, value in sorted(params.items())
    ]


def anchor(suite: str, probe: str) -> str:
    """An id that is safe in HTML and in an address, unique, and the same in every report."""
    if all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) for name in (suite, probe)):
        return f"p.{suite}.{probe}"
    slug = re.sub(r"[^a-z0-9_]+", "-", probe.lower()).strip("-")
    return f"p.{slug[:40]}.{sha256(f'{suite}/{probe}'.encode('utf-8', 'replace')).hexdigest()[:8]}"
