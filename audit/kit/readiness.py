"""Why settings of a probe cannot run here, in both languages.  Knows no probe."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from audit.errors import nearest

Both = dict[str, str]
HERE: Both = {}  # nothing is missing


def both(en: str, zh: str) -> Both:
    """One reason in both languages."""
    return {"en": en, "zh": zh}


def joined(reasons: Collection[Both]) -> Both:
    """Several reasons as one; HERE where there are none."""
    kept = [reason for reason in reasons if reason]
    return both("; ".join(r["en"] for r in kept), "；".join(r["zh"] for r in kept)) if kept else HERE


def one_of(what: str, zh: str, known: Collection[str], setting: str) -> Callable[..., Both]:
    """Readiness of a probe that has a setting with a few possible values; `what`, in both languages, is one of them."""

    def ready(**settings: object) -> Both:
        value = settings.get(setting)
        if setting not in settings or value in known:
            return HERE
        hint = nearest(str(value), known)
        return both(
            f"there is no {what} {value!r}: {hint}", f"没有名为 {value!r} 的{zh}，可用：{'、'.join(sorted(known))}"
        )

    return ready


def shown(path: Path | str) -> str:
    """A path as a report may show it: below the user's home folder it begins with `~`."""
    try:
        return (Path("~") / Path(path).expanduser().relative_to(Path.home())).as_posix()
    except (ValueError, RuntimeError):
        return str(path)
