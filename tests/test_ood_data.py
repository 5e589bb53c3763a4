"""The out-of-distribution suite's own data: schemas, balance, pairing, duplicates, script, and that it is new."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import opencc
import pytest
from public_text import bare, found_in_public
from rapidfuzz import fuzz, process

SUITES = Path(__file__).parents[1] / "suites"
LANGUAGES = ("en", "zh")
LABELS = {"negative", "positive"}
DOMAINS = {"reviews", "news", "medical", "legal", "finance", "social", "support", "conversation"}
PER_DOMAIN = {"en": 40, "zh": 40}
STYLED = {"en": 40, "zh": 24}
LARGER = {("en", "reviews"): 120, ("en", "medical"): 120, ("en", "support"): 120, ("zh", "reviews"): 72}
STYLES = {
    "en": {"formal", "tweet", "dialect", "archaic", "code_mixed"},
    "zh": {"machine_translated", "colloquial", "formal", "code_mixed"},
}
PAIRS = {"en": 60, "zh": 30}
COLUMNS = {
    "domains": {"id", "text", "label", "domain"},
    "styles": {"id", "base_id", "base", "style", "variety", "text", "label"},
    "contrast": {"id", "set_id", "is_original", "text", "label", "change"},
    "nonsense": {"id", "text", "kind", "domain"},
}

Row = dict[str, Any]


def rows(name: str, language: str, suite: str = "ood") -> list[Row]:
    lines = (SUITES / suite / "data" / f"{name}.{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def others(label: str) -> str:
    return next(iter(LABELS - {label}))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", COLUMNS)
def test_schema_ids_and_texts(name: str, language: str) -> None:
    found = rows(name, language)
    for row in found:
        assert set(row) == COLUMNS[name], row
        assert row["id"].startswith(f"{language}-"), row
        assert row["text"] == " ".join(row["text"].split()) != "", row
        assert row.get("label", "negative") in LABELS, row
    assert len({row["id"] for row in found}) == len(found)
    assert len({row["text"].lower() for row in found}) == len(found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_domains_are_balanced(language: str) -> None:
    cells = Counter((row["domain"], row["label"]) for row in rows("domains", language))
    assert set(cells) == {(domain, label) for domain in DOMAINS for label in LABELS}
    for (domain, _), count in cells.items():
        assert count == LARGER.get((language, domain), PER_DOMAIN[language]) // 2


@pytest.mark.parametrize(("language", "scorer", "limit"), [("en", fuzz.token_sort_ratio, 75), ("zh", fuzz.ratio, 60)])
def test_domain_sentences_are_unlike_each_other_and_the_robustness_set(language: str, scorer, limit: int) -> None:
    own = [row["text"].lower() for row in rows("domains", language)]
    every = own + [row["text"].lower() for row in rows("sentiment", language, "robustness")]
    alike = np.triu(process.cdist(own, every, scorer=scorer), 1)
    assert not [(own[i], every[j]) for i, j in zip(*np.where(alike >= limit), strict=True)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_base_sentence_stands_in_every_style(language: str) -> None:
    reviews = {row["id"]: row for row in rows("domains", language) if row["domain"] == "reviews"}
    styles = defaultdict(set)
    for row in rows("styles", language):
        assert row["label"] == reviews[row["base_id"]]["label"], row
        assert row["base"] == reviews[row["base_id"]]["text"] != row["text"], row
        styles[row["base_id"]].add(row["style"])
        if row["style"] in {"dialect", "code_mixed"}:
            assert row["variety"], row
    assert list(styles) == list(reviews)[: STYLED[language]]
    assert all(found == STYLES[language] for found in styles.values())


def test_code_mixed_text_is_mixed() -> None:
    for row in rows("styles", "zh"):
        if row["style"] == "code_mixed":
            assert re.search(r"[A-Za-z]{2}", row["text"]), row
            assert re.search(r"[\u4e00-\u9fff]{2}", row["text"]), row
    varieties = Counter(row["variety"] for row in rows("styles", "en") if row["style"] == "code_mixed")
    assert len(varieties) >= 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_contrast_pairs_are_minimal_and_flip_the_label(language: str) -> None:
    sets = defaultdict(list)
    for row in rows("contrast", language):
        sets[row["set_id"]].append(row)
    assert len(sets) == PAIRS[language]
    likeness = []
    for name, pair in sets.items():
        original, changed = sorted(pair, key=lambda row: -row["is_original"])
        assert (original["is_original"], changed["is_original"]) == (1, 0), name
        assert changed["label"] == others(original["label"]), name
        assert original["change"] == changed["change"], name
        likeness.append(fuzz.ratio(original["text"], changed["text"]))
    originals = Counter(row["label"] for row in rows("contrast", language) if row["is_original"])
    assert originals == dict.fromkeys(LABELS, PAIRS[language] // 2)
    assert np.median(likeness) >= 70
    assert min(likeness) >= 40


@pytest.mark.parametrize("language", LANGUAGES)
def test_nonsense_comes_in_several_kinds(language: str) -> None:
    kinds = Counter(row["kind"] for row in rows("nonsense", language))
    assert sum(kinds.values()) == 180
    assert len(kinds) == 6
    assert len(set(kinds.values())) == 1


@pytest.mark.parametrize("name", ["domains", "styles", "contrast"])
def test_chinese_is_chinese_and_simplified(name: str) -> None:
    simplify = opencc.OpenCC("t2s").convert
    for row in rows(name, "zh"):
        assert simplify(row["text"]) == row["text"], row
        assert len(re.findall(r"[\u4e00-\u9fff]", row["text"])) >= 6, row


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["domains", "styles", "contrast"])
def test_no_sentence_is_from_a_public_set(name: str, language: str) -> None:
    # A phrase of a few characters occurs in any large set by chance and is nobody's.
    longer = [row["text"] for row in rows(name, language) if len(bare(row["text"])) >= (20 if language == "en" else 10)]
    assert not found_in_public(longer, language)
