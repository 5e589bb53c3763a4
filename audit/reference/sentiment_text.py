"""Sentences to learn sentiment from: public corpora less whatever the tests hold out, and our own authored reviews.

Reads folders that its caller names; knows nothing of models or tokens.
"""

from __future__ import annotations

import csv
import json
import random
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

JOY, TRUST, ANGER, DISGUST, SADNESS = 5, 8, 1, 3, 6
MARK = re.compile(r"\[([+-])\d?\]")
JOINERS = (", and ", ". ", "; ", " and ", "! ", ". And ", ", ")
CONCESSIONS = (
    ("Although ", ", "),
    ("Even though ", ", "),
    ("Sure, ", ", but "),
    ("", ", but "),
    ("", ", yet "),
    ("OK, ", ". Still, "),
    ("While ", ", "),
)


@dataclass(frozen=True)
class Row:
    """One text to learn from; `label` is 0 (negative), 1 (positive) or None (only a teacher can say)."""

    text: str
    label: int | None
    source: str


def natural(text: str) -> str:
    """Undo corpus tokenisation: `do n't , really .` -> `don't, really.`"""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" (n't|'s|'re|'ve|'ll|'d|'m)\b", r"\1", text)
    text = re.sub(r"\b(ca|wo|do|does|is|was|did|could|would|should|has|had|are|were) nt\b", r"\1n't", text)
    text = re.sub(r" ([,.;:!?%)\]])", r"\1", text)
    return re.sub(r"([(\[$]) ", r"\1", text)


def read_mr(archive: Path, held_out: frozenset[str]) -> tuple[list[Row], list[Row]]:
    """(rows to train on, rows held out) of the MR sentence polarity zip; ids are `pos:LINE` and `neg:LINE`, 0-based."""
    train: list[Row] = []
    test: list[Row] = []
    with zipfile.ZipFile(archive) as files:
        for name, label in (("pos", 1), ("neg", 0)):
            lines = files.read(f"sentence_polarity/rt-polarity.{name}").decode("latin-1").split("\n")
            for number, line in enumerate(lines):
                if line.strip():
                    row = Row(natural(line), label, "mr")
                    (test if f"{name}:{number}" in held_out else train).append(row)
    return train, test


def read_sst2(folder: Path) -> list[Row]:
    """All three SST-2 files (`text<TAB>label`): the sentences are MR's, the labels are SST's."""
    rows = []
    for name in ("train", "dev", "test"):
        for line in (folder / f"{name}.tsv").read_text("utf-8").splitlines():
            text, _, label = line.rpartition("\t")
            if text:
                rows.append(Row(natural(text), int(label), "sst2"))
    return rows


def read_subjectivity(archive: Path) -> list[Row]:
    """The review snippets (not the plot summaries), without sentiment labels."""
    with zipfile.ZipFile(archive) as files:
        lines = files.read("subjectivity/quote.tok.gt9.5000").decode("latin-1").split("\n")
    return [Row(natural(line), None, "subjectivity") for line in lines if line.strip()]


def read_products(archive: Path) -> list[Row]:
    """Product review sentences; the label is the sign of the marked opinions where they agree, else None."""
    rows = []
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            if not name.endswith(".txt") or "README" in name:
                continue
            for line in files.read(name).decode("latin-1").splitlines():
                marks, found, text = line.partition("##")
                if found and len(text.split()) > 2:
                    signs = set(MARK.findall(marks))
                    label = int(signs == {"+"}) if len(signs) == 1 else None
                    rows.append(Row(natural(text), label, "products"))
    return rows


def read_xed(path: Path) -> list[Row]:
    """Subtitle lines; joy (and trust) alone is positive, anger, disgust or sadness alone negative; no others."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for text, emotions, *_ in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            felt = {int(e) for e in emotions.split(",")}
            bright, dark = felt & {JOY, TRUST}, felt & {ANGER, DISGUST, SADNESS}
            label = 1 if felt == bright and JOY in felt else 0 if felt == dark else None
            if label is not None and len(text.split()) > 2:
                rows.append(Row(natural(text), label, "xed"))
    return rows


def words(text: str) -> list[str]:
    """Lower-case runs of letters: what is compared when two sentences might be the same."""
    return re.findall(r"[a-z]+", text.lower())


class HeldOut:
    """Sentences that must not be trained on, found again under other punctuation, cutting or light editing."""

    def __init__(self, texts: Iterable[str], share: float = 0.7) -> None:
        """`share`: of the shorter sentence's distinct words that the other must hold to count as the same."""
        self.share = share
        self.letters = ["".join(words(t)) for t in texts]
        self.bags = [frozenset(words(t)) for t in texts]
        self.places: dict[str, list[int]] = defaultdict(list)
        for number, bag in enumerate(self.bags):
            for word in bag:
                self.places[word].append(number)

    def holds(self, text: str) -> bool:
        """Is this text one of the held-out sentences, a part of one, or does it contain one?"""
        bag, letters = frozenset(words(text)), "".join(words(text))
        counts = Counter(chain.from_iterable(self.places.get(word, ()) for word in bag))
        return any(self._same(bag, letters, number, common) for number, common in counts.items())

    def _same(self, bag: frozenset[str], letters: str, number: int, common: int) -> bool:
        other, size = self.letters[number], min(len(bag), len(self.bags[number]))
        if letters == other:
            return True
        if min(len(letters), len(other)) >= 15 and (letters in other or other in letters):
            return True
        return size >= 5 and common >= self.share * size


def without(rows: Iterable[Row], held_out: HeldOut) -> tuple[list[Row], dict[str, int]]:
    """(rows that are not held out, how many were excluded by source)."""
    kept: list[Row] = []
    excluded: dict[str, int] = defaultdict(int)
    for row in rows:
        if held_out.holds(row.text):
            excluded[row.source] += 1
        else:
            kept.append(row)
    return kept, dict(excluded)


def held_out_texts(paths: Iterable[Path]) -> list[str]:
    """The `text` of every line of the given jsonl files."""
    lines = [line for path in paths for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [str(json.loads(line)["text"]) for line in lines]


def read_lines(path: Path) -> list[Row]:
    """`+ text` and `- text` lines."""
    lines = path.read_text("utf-8").splitlines()
    return [Row(line[2:], int(line[0] == "+"), "authored") for line in lines if line[:2] in ("+ ", "- ")]


@dataclass(frozen=True)
class Bank:
    """Authored clauses of one domain, with `{slot}` holes."""

    domain: str
    clauses: dict[int, list[str]]
    slots: dict[str, list[str]]

    def fill(self, clause: str, rng: random.Random) -> str:
        """Put a random word of its slot into every hole."""
        return re.sub(r"\{(\w+)\}", lambda hole: rng.choice(self.slots[hole[1]]), clause)


def read_banks(path: Path) -> list[Bank]:
    """Parse `authored.txt`: `# domain`, `slot: a|b|c`, `+ clause`, `- clause`; slots of the first domain are shared."""
    banks: list[Bank] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("# "):
            shared = banks[0].slots if banks else {}
            banks.append(Bank(line[2:].strip(), {0: [], 1: []}, dict(shared)))
        elif line[:2] in ("+ ", "- "):
            banks[-1].clauses[int(line[0] == "+")].append(line[2:].strip())
        elif ": " in line:
            name, _, choices = line.partition(": ")
            banks[-1].slots[name] = [choice.strip() for choice in choices.split("|")]
        elif line.strip():
            raise ValueError(f"{path}:{number}: neither a domain, a slot nor a clause: {line!r}")
    return banks


def authored(banks: list[Bank], count: int, seed: int = 0) -> Iterator[Row]:
    """`count` reviews of one to three clauses; about one in six concedes the opposite before its verdict."""
    rng = random.Random(seed)
    general, *domains = banks
    for number in range(count):
        label, bank = number % 2, domains[number // 2 % len(domains)]
        pick = [_clause(rng.choice([bank, bank, general]), label, rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
        if rng.random() < 0.17:
            opening, turn = rng.choice(CONCESSIONS)
            text = opening + _clause(bank, 1 - label, rng) + turn + pick[0]
        else:
            text = pick[0]
            for clause in pick[1:]:
                text += rng.choice(JOINERS) + clause
        yield Row(_finish(text, rng), label, "authored")


def _clause(bank: Bank, label: int, rng: random.Random) -> str:
    return bank.fill(rng.choice(bank.clauses[label]), rng)


def _finish(text: str, rng: random.Random) -> str:
    text = re.sub(r"(^|[.!?] )(\w)", lambda m: m[1] + m[2].upper(), text)
    return text + ("" if text[-1] in ".!?" else rng.choice([".", ".", ".", "!", ""]))
