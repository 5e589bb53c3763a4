"""The bias suite's data: every axis is there, items are what they say, and nothing comes from the public sets."""

from __future__ import annotations

import csv
import functools
import itertools
import json
from collections import Counter, defaultdict

import pytest
from conftest import HOME

from audit import UsageError, data, templates
from audit.rows import Source

DATA = HOME / "suites" / "bias" / "data"
AXES = {
    "templates.en.yaml": {"gender", "names", "religion", "nationality", "age", "disability", "orientation", "class"},
    "templates.zh.yaml": {"gender", "region", "hukou", "ethnicity", "age"},
    "continuations.en.yaml": {"gender", "ethnicity", "religion", "orientation"},
    "continuations.zh.yaml": {"gender", "region", "hukou"},
}


def lines(name):
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


@functools.cache
def filled(name):
    return [row for _, row in templates.rows(DATA / name)]


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.yaml")))
def test_templates_fill(name):
    rows = filled(name)
    assert len({row["id"] for row in rows}) == len(rows)
    assert not [row["text"] for row in rows if "{" in row["text"] or "}" in row["text"] or "  " in row["text"]]
    groups = defaultdict(Counter)
    for row in rows:
        groups[row["axis"]][row["group"]] += 1
    for axis, counts in groups.items():
        assert len(counts) >= 2, axis
        if not name.startswith("identity"):
            assert len(set(counts.values())) == 1, f"{axis}: groups of different sizes would weigh differently"
    if name in AXES:
        assert set(groups) == AXES[name]
    if name.startswith("templates"):
        per_axis = {axis: len({r["template"] for r in rows if r["axis"] == axis}) for axis in groups}
        assert min(per_axis.values()) >= 10


def test_articles_agree():
    for row in filled("templates.en.yaml") + filled("continuations.en.yaml") + filled("identity.en.yaml"):
        words = row["text"].split()
        for article, word in itertools.pairwise(words):
            if article.casefold() == "a":
                assert word[0].casefold() not in "aeio", row["text"]
            if article.casefold() == "an":
                assert word[0].casefold() in "aeiou" or word.startswith("hour"), row["text"]


@pytest.mark.parametrize(("name", "least", "kinds"), [("pairs.en.jsonl", 90, 9), ("pairs.zh.jsonl", 70, 8)])
def test_pairs(name, least, kinds):
    rows = lines(name)
    assert len(rows) >= least
    assert len({row["id"] for row in rows}) == len({row["sent_more"] for row in rows}) == len(rows)
    assert len({row["bias_type"] for row in rows}) >= kinds
    assert {row["stereo_antistereo"] for row in rows} == {"stereo", "antistereo"}
    for row in rows:
        more, less = (list(row[k]) if "zh" in name else row[k].split() for k in ("sent_more", "sent_less"))
        shared = Counter(more) & Counter(less)
        assert row["sent_more"] != row["sent_less"]
        assert sum(shared.values()) >= 0.4 * max(len(more), len(less)), row


@pytest.mark.parametrize("name", ["triples.en.jsonl", "triples.zh.jsonl"])
def test_triples(name):
    rows = lines(name)
    assert all(row["context"].count("BLANK") == 1 for row in rows)
    assert all(len({row["stereotype"], row["anti_stereotype"], row["unrelated"]}) == 3 for row in rows)
    assert min(Counter(row["target"] for row in rows).values()) >= 3


@pytest.mark.parametrize(("name", "least"), [("occupations.en.jsonl", 40), ("occupations.zh.jsonl", 12)])
def test_occupations_carry_their_figures(name, least):
    rows = lines(name)
    figures = {row["occupation"]: (row["women_percent"], row["source"], row["year"]) for row in rows}
    assert len(figures) >= least
    assert all(0 <= percent <= 100 and source and 2015 <= year <= 2025 for percent, source, year in figures.values())
    assert all(row["text"].count("BLANK") == 1 and row["occupation"] in row["text"] for row in rows)
    assert min(f[0] for f in figures.values()) < 10 < 90 < max(f[0] for f in figures.values())


@pytest.mark.parametrize("name", ["coreference.en.jsonl", "coreference.zh.jsonl"])
def test_coreference_is_balanced(name):
    rows = lines(name)
    assert all(
        {row["answer"], row["other"]} == {w for w in (row["answer"], row["other"]) if w in row["text"]} for row in rows
    )
    pronouns = Counter(row["pro"] for row in rows)
    assert len(pronouns) == 2
    assert len(set(pronouns.values())) == 1
    assert all(row["pro"] != row["anti"] for row in rows)


@pytest.mark.parametrize("name", ["questions.en.jsonl", "questions.zh.jsonl"])
def test_questions_name_both_people(name):
    for row in lines(name):
        assert {"{1}", "{2}"} <= {row["setting"][i : i + 3] for i in range(len(row["setting"]))}
        assert "{neg}" in row["evidence"].casefold()
        assert "{nonneg}" in row["evidence"]
        assert row["target"] != row["nontarget"]


def test_nothing_is_taken_from_the_public_sets(shared):
    own = {row[k] for name in ("pairs.en.jsonl",) for row in lines(name) for k in ("sent_more", "sent_less")}
    with (shared / "data" / "crows_pairs" / "crows_pairs_anonymized.csv").open(encoding="utf-8") as file:
        public = {row[k] for row in csv.DictReader(file) for k in ("sent_more", "sent_less")}
    for path in (shared / "data" / "stereoset").glob("gold_*.json"):
        public |= set(_texts(json.loads(path.read_text("utf-8"))))
    wino = "\n".join(p.read_text("utf-8") for p in (shared / "data" / "winobias").glob("*_stereotyped_*"))
    wino = wino.replace("[", "").replace("]", "")
    plain = {text.casefold() for text in public}
    assert not {text for text in own if text.casefold() in plain}
    assert not {row["context"] for row in lines("triples.en.jsonl") if row["context"].casefold() in plain}
    for row in lines("coreference.en.jsonl"):
        assert not any(row["text"].replace("BLANK", p) in wino for p in ("he", "she"))


def _texts(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


BOOK = """\
lexicons:
  gender:
    men: [{noun: man, they: he}]
    women: [{noun: woman, they: she}]
  town:
    north: [York]
    south: [Bath]
templates:
  - {id: one, axis: gender, text: "The {gender.noun} said {gender.they} was late."}
  - {id: two, axis: town, text: "{A town} street."}
"""


def test_a_template_file_is_data_like_any(tmp_path):
    path = tmp_path / "book.yaml"
    path.write_text(BOOK)
    loaded = data.load(Source(str(path), group="group", label=None))
    assert [(e.group, e.text) for e in loaded.examples] == [
        ("men", "The man said he was late."),
        ("women", "The woman said she was late."),
        ("north", "A York street."),
        ("south", "A Bath street."),
    ]
    assert loaded.examples[1].fields["counterpart"] == "The man said he was late."
    assert loaded.examples[1].fields["template"] == "one"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("north: [York]", "north: []", r"book.yaml:6: lexicons.town.north: an empty list"),
        ("    north: [York]\n    south: [Bath]\n", "    {}\n", r"book.yaml:5: lexicons.town: no group|book.yaml:6"),
        ("north: [York]", "north: [' ']", r"book.yaml:6: lexicons.town.north: term 1 is empty"),
        ("{A town}", "{A city}", r"book.yaml:10: template 'two': nobody fills the hole \{A city\}"),
        ("{gender.they}", "{gender.thy}", r"book.yaml:9: template 'one': nobody fills .*did you mean 'they'"),
        ("{gender.they}", "{gender}", r"book.yaml:9: template 'one': nobody fills \{gender\}"),
        ("{A town}", "{A town.name}", r"book.yaml:10: template 'two': nobody fills .*'York' of north is plain"),
        ("axis: town", "axis: twon", r"book.yaml:10: template 'two': no lexicon 'twon': did you mean 'town'"),
        ("{A town}", "A town", r"book.yaml:10: template 'two': its text has no hole"),
        ("{A town}", "{A town} {", r"book.yaml:10: template 'two': '\{ street.' in its text is no hole"),
        ("axis: town, ", "", r"book.yaml:10: templates.1.axis: .*required"),
        ("lexicons:", "lexicon:", r"book.yaml:1: lexicon: not a key; did you mean 'lexicons'"),
        ("id: two", "id: one", r"the id 'one/.*' stands 2 times|ids are unique"),
    ],
)
def test_a_broken_template_file_is_refused_with_its_line(tmp_path, old, new, says):
    path = tmp_path / "book.yaml"
    assert old in BOOK
    text = BOOK.replace(old, new)
    if new == "id: one":
        text = text.replace('axis: town, text: "{A town} street."', 'axis: gender, text: "{gender.noun}"')
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        data.load(Source(str(path), group="group", label=None))
