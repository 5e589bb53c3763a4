"""Published scoring rules as pure functions on a pandas DataFrame.  Knows no model, no suite and no file."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import replace
from typing import Any

import pandas as pd

from audit import stats
from audit.errors import UsageError, nearest
from audit.measures.define import Measure, Result, Terms, measure
from audit.types import Estimate

__all__ = ["Measure", "Result", "Terms", "estimate", "get", "interval", "measure", "names"]


@functools.cache
def _all() -> dict[str, Measure]:
    found: dict[str, Measure] = {}
    for module in pkgutil.iter_modules(__path__):
        members = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        found |= {m.name: m for m in members if isinstance(m, Measure)}
    return dict(sorted(found.items()))


def names() -> list[str]:
    """The measures this package has, sorted."""
    return list(_all())


def get(name: str) -> Measure:
    """A measure by its name, or by `package.module:name` for one of your own.  UsageError with the nearest name."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UsageError(f"no measure {name!r}: {error}") from error
        if not isinstance(found, Measure):
            raise UsageError(f"{name!r} is not a measure: decorate it with @measure")
        return found
    if name not in _all():
        raise UsageError(f"no measure {name!r}: {nearest(name, _all())}")
    return _all()[name]


def estimate(
    measure: Measure, frame: pd.DataFrame, key: str = "", confidence: float = 0.95, seed: int = 0
) -> tuple[Estimate, dict[str, Any]]:
    """One result (default the headline) with its interval, and the whole result.

    The interval is closed-form where the result has terms (proportions and ratios of sums), the result's own where it
    names one, else a bootstrap over column `cluster`, the measure's own cluster column, or rows.  An undefined result
    has value None and the reason in `method`.  UsageError for a key, column or value that is not there.
    """
    key = key or measure.headline
    if key not in measure.results:
        raise UsageError(f"measure {measure.name!r} has no result {key!r}: {nearest(key, measure.results)}")
    if len(frame) == 0:
        return Estimate(None, method="no rows", confidence=confidence), dict.fromkeys(measure.results)
    result = measure.results[key]
    clean = measure.check(frame)
    values = measure.function(clean)
    if values[key] is None:
        why = values.get("reasons", {}).get(key, "undefined")
        return Estimate(None, n=len(clean), method=why, confidence=confidence), values
    if result.none:
        return Estimate(values[key], n=len(clean), method=result.none, confidence=confidence), values
    return interval(measure, clean, key, confidence, seed), values


def interval(measure: Measure, clean: pd.DataFrame, key: str, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """The estimate of one result that is defined, of a frame that `measure.check` has passed."""
    result = measure.results[key]
    if result.interval is not None:
        return result.interval(clean, confidence, seed)
    if result.terms is not None:
        return _scaled(result.terms(clean).estimate(confidence), result.scale)
    cluster = "cluster" if "cluster" in clean else measure.cluster or None
    return stats.bootstrap(lambda f: measure.function(f)[key], clean, cluster, confidence=confidence, seed=seed)


def _scaled(found: Estimate, scale: float) -> Estimate:
    if scale == 1 or found.value is None:
        return found
    low = None if found.low is None else found.low * scale
    high = None if found.high is None else found.high * scale
    return replace(found, value=found.value * scale, low=low, high=high)
