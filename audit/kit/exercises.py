"""Sums and dates made by rule, with the right answer and wrong ones near it.  Knows no model and no probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from audit.errors import UsageError, nearest

DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}
MONTHS = {
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    "zh": tuple(f"{name}月" for name in ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")),
}


@dataclass(frozen=True)
class Exercise:
    """One task in two wordings; the first of the choices is right, and no two are equal."""

    prompts: tuple[str, str]
    choices: tuple[str, ...]


def make(rule: str, language: str, rng: Random) -> Exercise:
    """An exercise of one rule in one language (en, zh), drawn by `rng`.  UsageError for an unknown rule or language."""
    if rule not in RULES:
        raise UsageError(f"there is no exercise {rule!r}: {nearest(rule, RULES)}")
    if language not in DAYS:
        raise UsageError(f"exercises are in {' and '.join(DAYS)}, not {language!r}")
    return RULES[rule](language, Random(f"{rng.getrandbits(64)}/{rule}"))


def _worded(wordings: Mapping[str, tuple[str, str]], language: str, holes: Mapping[str, object]) -> tuple[str, str]:
    first, second = wordings[language]
    return first.format(**holes), second.format(**holes)


def _near(right: int, draw: Random) -> tuple[str, ...]:
    """The right number and three that slips would give: one or ten off, or with its last digits turned round."""
    turned = int(str(right)[:-2] + str(right)[-2:][::-1])
    slips = {right + 1, right - 1, right + 10, right - 10, right + 2, turned} - {right}
    kept = sorted(slip for slip in slips if slip >= 0)
    return (str(right), *map(str, draw.sample(kept, 3)))


def _sum(
    low: int, high: int, work: Callable[[int, int], tuple[int, int, int]], wordings: Mapping[str, tuple[str, str]]
) -> Callable[[str, Random], Exercise]:
    """A rule of arithmetic: `work` makes two shown numbers and the result of two drawn ones."""

    def task(language: str, draw: Random) -> Exercise:
        a, b, right = work(draw.randint(low, high), draw.randint(low, high))
        return Exercise(_worded(wordings, language, {"a": a, "b": b}), _near(right, draw))

    return task


def _weekday(language: str, draw: Random) -> Exercise:
    names, start, days = DAYS[language], draw.randrange(7), draw.randint(2, 20)
    right = names[(start + days) % 7]
    others = draw.sample([name for name in names if name != right], 3)
    wordings = {
        "en": ("If today is {day}, the day {n} days from now is a", "{n} days after a {day} comes a"),
        "zh": ("如果今天是{day}，那么{n}天后是", "{day}之后的第{n}天是"),
    }
    return Exercise(_worded(wordings, language, {"day": names[start], "n": days}), (right, *others))


def _month(language: str, draw: Random) -> Exercise:
    names, start, steps = MONTHS[language], draw.randrange(12), draw.randint(2, 11)
    right = names[(start + steps) % 12]
    others = draw.sample([name for name in names if name != right], 3)
    wordings = {
        "en": ("The month {n} months after {month} is", "If it is {month} now, in {n} months it will be"),
        "zh": ("{month}之后的第{n}个月是", "如果现在是{month}，再过{n}个月是"),
    }
    return Exercise(_worded(wordings, language, {"month": names[start], "n": steps}), (right, *others))


def _leap_year(language: str, draw: Random) -> Exercise:
    year = draw.choice((*range(1901, 2100), 1700, 1800, 1900, 2000, 2100))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    wordings = {
        "en": ("The number of days in the year {year} is", "How many days has the year {year}? It has"),
        "zh": ("{year}年的天数是", "{year}年有多少天？有"),
    }
    return Exercise(_worded(wordings, language, {"year": year}), ("366", "365") if leap else ("365", "366"))


def _shown(day: date, language: str) -> str:
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {MONTHS['en'][day.month - 1]} {day.year}"


def _drawn(draw: Random) -> date:
    return date(1950, 1, 1) + timedelta(days=draw.randrange(365 * 70))


def _earlier_date(language: str, draw: Random) -> Exercise:
    first = _drawn(draw)
    second = first + timedelta(days=draw.randint(1, 2000))
    shown = [_shown(day, language) for day in (first, second)]
    told = draw.sample(shown, 2)
    wordings = {
        "en": ("Of {a} and {b}, the earlier date is", "Which day came first, {b} or {a}? It was"),
        "zh": ("{a}和{b}中，较早的日期是", "{b}和{a}，哪一天在前？是"),
    }
    return Exercise(_worded(wordings, language, {"a": told[0], "b": told[1]}), (shown[0], shown[1]))


def _days_between(language: str, draw: Random) -> Exercise:
    first, days = _drawn(draw), draw.randint(3, 60)
    holes = {"a": _shown(first, language), "b": _shown(first + timedelta(days=days), language)}
    wordings = {
        "en": ("The number of days from {a} to {b} is", "{b} comes after {a} by this many days:"),
        "zh": ("从{a}到{b}相隔的天数是", "{b}比{a}晚的天数是"),
    }
    return Exercise(_worded(wordings, language, holes), _near(days, draw))


RULES: Mapping[str, Callable[[str, Random], Exercise]] = {
    "addition": _sum(
        10,
        99,
        lambda a, b: (a, b, a + b),
        {"en": ("{a} + {b} =", "The sum of {a} and {b} is"), "zh": ("{a}+{b}=", "{a}加上{b}等于")},
    ),
    "subtraction": _sum(
        10,
        99,
        lambda a, b: (a + b, b, a),
        {"en": ("{a} - {b} =", "If you take {b} away from {a}, you get"), "zh": ("{a}-{b}=", "{a}减去{b}等于")},
    ),
    "multiplication": _sum(
        3,
        19,
        lambda a, b: (a, b, a * b),
        {"en": ("{a} × {b} =", "The product of {a} and {b} is"), "zh": ("{a}×{b}=", "{a}乘以{b}等于")},
    ),
    "division": _sum(
        3,
        19,
        lambda a, b: (a * b, b, a),
        {"en": ("{a} ÷ {b} =", "{a} divided by {b} is"), "zh": ("{a}÷{b}=", "{a}除以{b}等于")},
    ),
    "weekday": _weekday,
    "month": _month,
    "leap_year": _leap_year,
    "earlier_date": _earlier_date,
    "days_between": _days_between,
}
