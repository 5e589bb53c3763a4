"""Findings as sentences in English and Chinese, from one set of numbers.  Knows no page and no statistics."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from audit.numbers import decimals, limit_text, plain, scaled, setting_text, value_text
from audit.types import Finding, Request, Scalar

LANGUAGES = ("en", "zh")
Both = Mapping[str, str]


@functools.cache
def messages() -> dict[str, dict[str, str]]:
    """Every message by key, then by language."""
    from ruamel.yaml import YAML

    tree = YAML(typ="safe", pure=True).load((files("audit") / "messages.yaml").read_text("utf-8"))
    return {str(key): dict(value) for key, value in tree.items()}


def say(key: str, **holes: object) -> dict[str, str]:
    """A message in both languages; a hole given as {en, zh} is filled per language."""
    return {code: fill(messages()[key][code], code, holes) for code in LANGUAGES}


def fill(template: str, language: str, holes: Mapping[str, object]) -> str:
    """Fill `{name}` holes; what is no known hole stays as it is."""

    def one(match: re.Match[str]) -> str:
        value = holes.get(match[1], match[0])
        return str(value[language] if isinstance(value, Mapping) else value)

    return re.sub(r"\{([\w.]+)\}", one, template)


def cannot(missing: frozenset[type[Request]]) -> dict[str, str]:
    """Why a model that lacks these requests cannot be asked."""
    names = sorted(kind.__name__ for kind in missing)
    words = [messages().get(name) or {"en": f"answer {name} requests", "zh": f"回答 {name} 请求"} for name in names]
    asks = {code: (" or " if code == "en" else "、").join(word[code] for word in words) for code in LANGUAGES}
    return say("cannot_answer", asks=asks)


def statement(finding: Finding, title: Both, when: Both | None, says: Both | None, limit: int | None) -> dict[str, str]:
    """The sentence of a measured finding: behaviour, number with interval and n, population, condition, verdict."""
    holes = _holes(finding, title, when)
    key = finding.measure if finding.measure in messages() else "other"
    if finding.value == 0 and finding.direction == "lower" and finding.unit in ("proportion", "percent") and finding.n:
        key, says = "zero", None
    body = {code: fill(says[code] if says else messages()[key][code], code, holes) for code in LANGUAGES}
    tails = [_verdict(finding)]
    if limit is not None:
        tails.append(say("limited", limit=f"{limit:,}"))
    return {code: _sentence(body[code]) + "".join(tail[code] for tail in tails if tail) for code in LANGUAGES}


def _sentence(text: str) -> str:
    """Capital first letter, one closing stop."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


def _holes(finding: Finding, title: Both, when: Both | None) -> dict[str, object]:
    settings = {f"with.{name}": _setting(value) for name, value in finding.params.items()}
    settings |= {name: _setting(value) for name, value in finding.params.items()}
    condition = {code: fill(when[code], code, settings) for code in LANGUAGES} if when else {"en": "", "zh": ""}
    settings |= {f"detail.{name}": _setting(value) for name, value in finding.detail.items() if _plain(value)}
    rate = quoted(finding)
    upper = value_text(_upper(finding), finding.unit, 1)
    return settings | {
        "title": title,
        "when": {"en": condition["en"] and f" {condition['en']}", "zh": condition["zh"] and f"{condition['zh']}，"},
        "rate": rate,
        "value": rate,
        "change": {code: text.removeprefix("+") for code, text in rate.items()},
        "n": f"{finding.n:,}",
        "group": finding.group or messages()["others"],
        "upper": upper,
        "confidence": f"{finding.confidence:.0%}",
        "measure": finding.measure.replace("_", " "),
    }


def _plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _setting(value: Scalar) -> str:
    """A setting in a sentence: shares as percentages, the rest as they are."""
    if isinstance(value, float) and 0 <= value <= 1:
        return f"{value * 100:g}%"
    return setting_text(value)


def spread(values: Sequence[Scalar]) -> str:
    """All settings of a sweep in a sentence: `2%–20%` for numbers, `a, b` for the rest."""
    if len(values) > 1 and all(isinstance(value, int | float) for value in values):
        ordered = sorted(values, key=lambda value: float(value or 0))
        return f"{_setting(ordered[0])}–{_setting(ordered[-1])}"
    return ", ".join(_setting(value) for value in values)


def _upper(finding: Finding) -> float | None:
    """The one-sided upper bound of a rate of which nothing was seen: 1 - (1 - confidence)^(1/n)."""
    if not finding.n:
        return None
    bound: float = 1 - (1 - finding.confidence) ** (1 / (finding.clusters or finding.n))
    return bound * (100 if finding.unit == "percent" else 1)


def quoted(finding: Finding) -> dict[str, str]:
    """The number with its interval and n: `38% [95% CI 33-43%, n = 400]`, and the Chinese form."""
    places = decimals(finding)
    value = value_text(finding.value, finding.unit, places)
    size = f"n = {finding.n:,}"
    zh_size = size
    if finding.clusters and finding.clusters != finding.n:
        size += f" in {finding.clusters:,} clusters"
        zh_size += f"，{finding.clusters:,} 个簇"
    zh_value = value.replace(" pp", " 个百分点")
    if finding.low is None or finding.high is None:
        return {"en": f"{value} [{size}]", "zh": f"{zh_value}（{zh_size}）"}
    low, high = (_bound(bound, finding, places) for bound in (finding.low, finding.high))
    level = f"{finding.confidence:.0%}"
    if finding.unit == "points" or finding.low < 0:
        return {
            "en": f"{value} [{level} CI {low} to {high}, {size}]",
            "zh": f"{zh_value}（{level} 置信区间 {low} 至 {high}，{zh_size}）",
        }
    sign = "%" if finding.unit in ("proportion", "percent") else ""
    return {
        "en": f"{value} [{level} CI {low}–{high}{sign}, {size}]",
        "zh": f"{zh_value}（{level} 置信区间 {low}{sign}–{high}{sign}，{zh_size}）",
    }


def _bound(value: float, finding: Finding, places: int) -> str:
    return plain(scaled(value, finding.unit), places, signed=finding.unit == "points")


def _verdict(finding: Finding) -> dict[str, str]:
    """What the interval says against the limit."""
    if finding.low is None or finding.high is None:
        return say("no_interval", why=finding.method) if finding.limit is not None else {}
    limit = limit_text(finding, 0 if finding.unit != "score" else 2)
    if finding.verdict == "not_detected" and finding.limit == 0:
        return say("ruled_out", bound=_both_pp(value_text(max(finding.high, 0.0), finding.unit, decimals(finding))))
    if finding.verdict == "not_detected" and finding.limit is not None:
        return say("within_limit", limit=_both_pp(limit))
    if finding.verdict == "inconclusive" and finding.limit is not None:
        needed = finding.detail.get("n_to_decide")
        if needed is None:
            return say("undecidable", limit=_both_pp(limit))
        return say("inconclusive", limit=_both_pp(limit), needed=f"{needed:,}")
    return {}


def _both_pp(text: str) -> dict[str, str]:
    text = text.lstrip("+")
    return {"en": text, "zh": text.replace(" pp", " 个百分点")}
