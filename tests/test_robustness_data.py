"""The robustness suite's own sentences: schema, balance, lengths, duplicates, script, and that they are new."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import opencc
import pytest
from public_text import bare, found_in_public
from rapidfuzz import fuzz, process

DATA = Path(__file__).parents[1] / "suites" / "robustness" / "data"
LANGUAGES = ("en", "zh")
LEAST = {"en": 300, "zh": 150}
LENGTH = {"en": (6, 40), "zh": (8, 60)}
# Letters and signs beyond ASCII that an English sentence may hold on purpose: prices, a cafe's accent, dashes.
PERMITTED = set("£€é–—")

Row = dict[str, str]


def rows(language: str) -> list[Row]:
    lines = (DATA / f"sentiment.{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def length(text: str, language: str) -> int:
    return len(text.split()) if language == "en" else len(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_schema(language: str) -> None:
    for row in rows(language):
        assert set(row) == {"id", "text", "label", "domain", "cue"}, row
        assert all(isinstance(value, str) and value for value in row.values()), row
        assert re.fullmatch(rf"{language}-{row['domain']}-\d{{3}}", row["id"]), row
        assert row["label"] in {"negative", "positive"}, row
        assert row["cue"] in {"stated", "implied"}, row
        assert row["text"] == " ".join(row["text"].split()), row


@pytest.mark.parametrize("language", LANGUAGES)
def test_counts_domains_and_balance(language: str) -> None:
    found = rows(language)
    assert len(found) >= LEAST[language]
    cells = Counter((row["domain"], row["label"]) for row in found)
    domains = {domain for domain, _ in cells}
    assert len(domains) >= 5
    for domain in domains:
        negative, positive = cells[domain, "negative"], cells[domain, "positive"]
        assert abs(negative - positive) <= 2, domain
        assert negative + positive >= 20, domain


@pytest.mark.parametrize("language", LANGUAGES)
def test_most_sentences_state_their_judgement(language: str) -> None:
    found = rows(language)
    cells = Counter((row["domain"], row["label"]) for row in found)
    implied = Counter((row["domain"], row["label"]) for row in found if row["cue"] == "implied")
    for cell, count in cells.items():
        assert implied[cell] <= count / 3, cell


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_start_of_the_file_is_balanced(language: str) -> None:
    labels = [1 if row["label"] == "positive" else -1 for row in rows(language)]
    assert max(abs(total) for total in np.cumsum(labels)) <= 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_lengths_lie_in_bounds_and_vary(language: str) -> None:
    lengths = [length(row["text"], language) for row in rows(language)]
    low, high = LENGTH[language]
    assert low <= min(lengths) <= low + 2
    assert high - 5 <= max(lengths) <= high
    assert len(set(lengths)) >= 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_ids_and_texts_are_unique(language: str) -> None:
    found = rows(language)
    for key in ("id", "text"):
        repeated = [value for value, count in Counter(row[key] for row in found).items() if count > 1]
        assert not repeated
    assert len({bare(row["text"]) for row in found}) == len(found)


@pytest.mark.parametrize(("language", "scorer", "limit"), [("en", fuzz.token_sort_ratio, 85), ("zh", fuzz.ratio, 80)])
def test_no_near_duplicates(language: str, scorer, limit: int) -> None:
    texts = [row["text"].lower() for row in rows(language)]
    alike = np.triu(process.cdist(texts, texts, scorer=scorer), 1)
    close = [(texts[i], texts[j]) for i, j in zip(*np.where(alike >= limit), strict=True)]
    assert not close


def test_openings_vary() -> None:
    texts = [row["text"] for row in rows("en")]
    for words, most in ((2, 0.03), (3, 0.015)):
        openings = Counter(tuple(text.lower().split()[:words]) for text in texts)
        opening, count = openings.most_common(1)[0]
        assert count <= most * len(texts), opening


def test_english_is_plain() -> None:
    for row in rows("en"):
        odd = {c for c in row["text"] if not (c.isascii() and c.isprintable())} - PERMITTED
        assert not odd, (row["id"], odd)
        assert row["text"][-1] in ".!?", row


def test_chinese_is_chinese_and_simplified() -> None:
    simplify = opencc.OpenCC("t2s").convert
    for row in rows("zh"):
        text = row["text"]
        han = sum("\u4e00" <= c <= "\u9fff" for c in text)
        assert han >= 0.6 * len(text), row
        assert simplify(text) == text, row
        assert not set(text) & set(",;!?()"), f"half-width punctuation in {row['id']}"
        assert text[-1] in "。！？", row


@pytest.mark.parametrize(
    ("language", "pattern", "least"),
    [
        ("en", r"\d", 30),
        ("en", r"n't|'(?:s|re|ve|ll|d|m)\b", 80),
        ("en", r"(?i)\b(?:not|no|never|nothing|nobody|cannot)\b|n't\b", 60),
        ("en", r"(?i)\b(?:but|although|yet|despite)\b", 30),
        (
            "en",
            r"(?i)\b(?:it is|it does not|I have|I am|I would|we have|there is|do not|did not|cannot|will not)\b",
            25,
        ),
        ("en", r"(?i)\b(?:colou?r|favou?rite|flavou?r|neighbou?rs?|harbou?r|gr[ae]y|tyres?|theatre|theater)", 8),
        ("zh", r"\d", 15),
        ("zh", r"[A-Za-z]", 5),
        ("zh", r"[！？“”]", 8),
        ("zh", r"[不没无别]", 60),
    ],
)
def test_perturbations_find_places_to_act(language: str, pattern: str, least: int) -> None:
    assert sum(bool(re.search(pattern, row["text"])) for row in rows(language)) >= least


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_from_a_public_set(language: str) -> None:
    assert not found_in_public([row["text"] for row in rows(language)], language)
