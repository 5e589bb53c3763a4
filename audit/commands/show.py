"""Findings as lines on a terminal.  Text of models and data never comes here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

MARKS = {"confirmed": "✗", "not_detected": "✓", "inconclusive": "?", "not_run": "–", "error": "!"}
WORDS = {
    "en": {
        "confirmed": "confirmed",
        "not_detected": "not detected",
        "inconclusive": "inconclusive",
        "not_run": "not run",
    },
    "zh": {
        "confirmed": "已确认",
        "not_detected": "未检出",
        "inconclusive": "证据不足",
        "not_run": "未运行",
        "error": "出错",
    },
}
RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}


def lines(findings: list[dict[str, Any]], language: str) -> Iterator[str]:
    """One line a finding, the most severe first, in their order otherwise."""
    for row in sorted(findings, key=lambda f: RANK.get(f["severity"], 5)):
        word = WORDS[language].get(row["verdict"], row["verdict"])
        severity = f" ({row['severity']})" if row["verdict"] == "confirmed" else ""
        yield one_line(f"{MARKS.get(row['verdict'], '·')} {word}{severity}  {row['id']}  {row['statement'][language]}")


def one_line(text: str) -> str:
    """Runs of spaces made one, and control characters replaced: a line is one line, and no command to a CI runner."""
    return harmless(" ".join(text.split()))


def harmless(text: str) -> str:
    """Control and format characters replaced by spaces."""
    return "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
