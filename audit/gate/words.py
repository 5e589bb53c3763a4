"""What the gate says, in English and Chinese, from numbers.  Decides nothing."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files

from audit.numbers import MINUS, plain, scaled, value_text
from audit.say import LANGUAGES, fill
from audit.types import Estimate

Both = dict[str, str]


@functools.cache
def messages() -> dict[str, Both]:
    """Every message of the gate by key, then by language."""
    from ruamel.yaml import YAML

    tree = YAML(typ="safe", pure=True).load((files("audit.gate") / "messages.yaml").read_text("utf-8"))
    return {str(key): dict(value) for key, value in tree.items()}


def say(key: str, **holes: object) -> Both:
    """A message in both languages; a hole given as {en, zh} is filled per language."""
    return {code: fill(messages()[key][code], code, holes) for code in LANGUAGES}


def joined(*parts: Mapping[str, str]) -> Both:
    """Sentences after one another, in both languages."""
    return {code: "".join(part[code] for part in parts if part) for code in LANGUAGES}


def word(status: str) -> Both:
    """The name of a status."""
    return messages().get(f"{status}_word", messages().get(status, {"en": status, "zh": status}))


def baseline(name: str) -> Both:
    """What a baseline is called in a sentence."""
    return messages().get(name, {"en": name, "zh": name})


def number(value: float | None, unit: str, *, difference: bool = False) -> Both:
    """One number: `12.0%`, and differences of shares as points: `+3.1 pp`."""
    shown = _difference(unit) if difference else unit
    text = value_text(value, shown, 1 if shown in ("proportion", "percent", "points") else 3)
    return {"en": text, "zh": text.replace(" pp", " 个百分点")}


def bare(texts: Both) -> Both:
    """Without a plus sign: bounds are sizes."""
    return {code: text.removeprefix("+") for code, text in texts.items()}


def quoted(found: Estimate, unit: str, *, difference: bool = False) -> Both:
    """`21.0% [95% CI 17.3-25.3, n = 400]`: a number with its interval and n."""
    value = number(found.value, unit, difference=difference)
    size = f"n = {found.n:,}"
    if found.low is None or found.high is None:
        return {"en": f"{value['en']} [{size}]", "zh": f"{value['zh']}（{size}）"}
    shown = _difference(unit) if difference else unit
    places = 1 if shown in ("proportion", "percent", "points") else 3
    low, high = (plain(scaled(bound, shown), places, signed=shown == "points") for bound in (found.low, found.high))
    ends = f"{low} … {high}" if MINUS in low + high or shown == "points" else f"{low}–{high}"
    level = f"{float(found.confidence) * 100:g}%"
    return {
        "en": f"{value['en']} [{level} CI {ends}, {size}]",
        "zh": f"{value['zh']}（{level} 置信区间 {ends}，{size}）",
    }


def _difference(unit: str) -> str:
    return "points" if unit == "proportion" else unit
