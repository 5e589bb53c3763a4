"""The public review sets beside the checkout, to see that no shipped sentence is theirs.  Knows no suite."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "data"
FOLDERS = {"en": ("text", "sst2"), "zh": ("zh",)}


def bare(text: str) -> str:
    """Letters and digits only, in lower case: equal for two spellings of punctuation, spacing and tokenising."""
    return "".join(c for c in text.lower() if c.isalnum())


def found_in_public(texts: list[str], language: str) -> list[str]:
    """Those of the texts that stand in a public set; skips the test where the sets are not beside the checkout."""
    if not all((SHARED / name).is_dir() for name in FOLDERS[language]):
        pytest.skip("the public review sets in the folder 'shared' are not beside this checkout")
    theirs = "\n".join(bare(line) for line in (_english() if language == "en" else _chinese()))
    assert len(theirs) > 100_000
    return [text for text in texts if bare(text) in theirs]


def _english() -> Iterator[str]:
    with zipfile.ZipFile(SHARED / "text" / "sentence_polarity.zip") as box:
        for part in ("neg", "pos"):
            yield from box.read(f"sentence_polarity/rt-polarity.{part}").decode("latin-1").splitlines()
    for name in ("train", "dev", "test"):
        for line in (SHARED / "sst2" / f"{name}.tsv").read_text(encoding="utf-8").splitlines():
            yield line.rsplit("\t", 1)[0]
    with zipfile.ZipFile(SHARED / "text" / "product_reviews_1.zip") as box:
        for name in box.namelist():
            if name.endswith(".txt") and "README" not in name:
                for line in box.read(name).decode("latin-1").splitlines():
                    yield line.split("##", 1)[-1]


def _chinese() -> Iterator[str]:
    yield from (SHARED / "zh" / "ChnSentiCorp_htl_all.csv").read_text(encoding="utf-8-sig").splitlines()
    for path in sorted((SHARED / "zh" / "eprstmt").glob("*.json")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)["sentence"]
