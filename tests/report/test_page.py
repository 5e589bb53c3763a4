"""The pages: complete, safe, accessible, small, the same every time, in both languages."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import string
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from made_run import CHINESE, EVIL, HOSTILE, NO_CHINESE, build

from audit import report
from audit.errors import UsageError
from audit.report import drawing, scope
from audit.report.marks import HIDDEN
from audit.report.words import Words, messages
from audit.types import Finding

VOID = {"meta", "link", "input", "br", "hr", "img"}


class Reader(HTMLParser):
    """A page as its elements (name, attributes, text so far) and a check that they close in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice on {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    def visible(self) -> str:
        return " ".join(" ".join(text.split()) for tag, text in self.texts if tag not in ("script", "style"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    home = build(tmp_path_factory.mktemp("run"), 5)
    report.write(home)
    return home


@pytest.fixture(params=["report.html", "report.zh.html"])
def page(folder, request) -> str:
    return (folder / request.param).read_text("utf-8")


@pytest.fixture
def read(page) -> Reader:
    return Reader(page)


@pytest.fixture
def english(folder) -> str:
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture
def chinese(folder) -> str:
    return (folder / "report.zh.html").read_text("utf-8")


def test_both_languages_have_every_message_with_the_same_holes():
    for key, said in messages().items():
        assert set(said) == {"en", "zh"}, key
        holes = [
            sorted(name for _text, name, *_rest in string.Formatter().parse(text) if name) for text in said.values()
        ]
        assert holes[0] == holes[1], key
        assert all(said.values()), key


FAMILIES = (
    "section",
    "glossary",
    "card",
    "limits",
    "verdict",
    "severity",
    "measure",
    "kind",
    "evidence",
    "provenance",
    "lang",
    "state",
    "status",
    "because",
    "effect",
    "level",
    "waiver",
    "baseline",
    "fault",
    "variant",
)


def test_every_message_that_is_named_exists_and_none_is_left_over():
    sources = [*report.TEMPLATES.glob("*.j2"), *report.TEMPLATES.parent.glob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    named = {name for name in re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)*)["']""", text) if name in messages()}
    called = set(re.findall(r"""\b(?:t|words)\(\s*["']([\w.]+[\w])["']\s*[,)]""", text))
    assert called <= set(messages())
    assert not {key for key in messages() if key not in named and key.partition(".")[0] not in FAMILIES}


def test_the_thirteen_sections_stand_in_order(read):
    ids = [attributes["aria-labelledby"] for attributes in read.all("section")]
    assert ids == list(report.SECTIONS)
    assert len(ids) == 13


def test_the_head_of_the_page_says_what_a_release_manager_needs(english, chinese):
    title = re.search("<title>(.*?)</title>", english)[1]
    assert title.startswith("No gate · ")
    assert title.endswith("probes found a limitation · reference-sentiment")
    head = english[: english.index('<div class="columns">')]
    for words in ("No gate policy was given", "4f1c2d", "reference-sentiment", "Limitation found", "Not run", "Error"):
        assert words in head
    assert "未提供门禁策略" in chinese[: chinese.index('<div class="columns">')]


def test_the_counts_of_the_head_add_up_to_all_probes(english):
    found = re.search(r'<ul class="lights".*?</ul>', english, re.S)[0]
    total, *parts = map(int, re.findall(r'class="count">(\d+)<', found))
    assert sum(parts) == total
    # clean, 5 sweeps, 7 Chinese, 3 attacks, 3 without vectors, checklist, evil, and one hostile name
    assert total == 22


def test_headings_are_in_order_and_ids_are_unique(read):
    levels = [int(tag[1]) for tag, _attributes in read.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _tag, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"] for attributes in read.all("a")}
    assert {target for target in targets if target.startswith("#")} <= {f"#{name}" for name in ids}


def test_the_page_is_well_formed_and_reads_without_scripts_and_styles(page, read):
    assert read.open == []
    bare = Reader(re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.S)).visible()
    for words in (
        "38" if "38" in bare else "reference-sentiment",
        "python -m audit run",
        EVIL,
        "[U+200B]",
        "[U+0435]",
        "Wilson",
    ):
        assert words in bare
    hidden = [tag for tag, attributes in read.elements if "hidden" in attributes]
    assert hidden == ["form"]


def test_nothing_is_loaded_from_anywhere(read):
    for tag, attributes in read.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "audio", "video", "image", "use")
        assert "src" not in attributes
        for value in (attributes.get("href"), attributes.get("action"), attributes.get("formaction")):
            assert value is None or value.startswith("#") or value in ("data:,", "report.html", "report.zh.html")
    css = next(text for tag, text in read.texts if tag == "style")
    assert "url(" not in css
    assert "@import" not in css


def test_no_inline_styles_or_handlers(read):
    names = {name for _tag, attributes in read.elements for name in attributes}
    assert "style" not in names
    assert not {name for name in names if name.startswith("on")}


def test_the_policy_allows_exactly_the_two_texts_of_the_page(page, read):
    policy = next(a["content"] for a in read.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        assert len(read.all(tag)) == 1
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_hostile_text_stays_text(page, read):
    assert "alert(1)" in read.visible()
    assert "<img src=x" in read.visible()
    assert not HIDDEN.search(page)
    assert page.count("<script") == 1
    assert "{{ 7*7 }}" in read.visible()
    assert "]]>" in read.visible()
    labels = [a["aria-label"] for a in read.all("svg")]
    assert any("<script>" in label for label in labels)
    assert all(label.strip() for label in labels)
    page.encode("utf-8")


def test_tables_have_headers_with_scope_and_scrolling_parts_can_be_reached(page, read):
    assert read.all("th")
    assert all(attributes.get("scope") in ("col", "row") for attributes in read.all("th"))
    assert page.count("<table") == page.count('class="scroll"')
    boxes = [a for _tag, a in read.elements if a.get("class") in ("scroll", "chart")]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in boxes)
    assert read.elements[[tag for tag, _a in read.elements].index("body") + 1][1]["href"] == "#main"


def test_colour_never_speaks_alone(page):
    for name in ("confirmed", "not_run"):
        found = re.findall(rf'<span class="v v-{name}">(.*?)</i> (.*?)</span>', page)
        assert found
        assert all("aria-hidden" in icon and word.strip() for icon, word in found)


def test_what_was_not_run_is_listed_once_a_reason_with_all_it_stopped(english, chinese):
    rows = [row for row in re.findall("<tr>.*?</tr>", english, re.S) if "unknown tokens; ask a model" in row]
    assert len(rows) == 1
    assert all(name.replace("_", " ").capitalize() in rows[0] for name in CHINESE.split())
    assert NO_CHINESE["zh"] in chinese
    assert "不等于通过" not in next(row for row in re.findall("<tr>.*?</tr>", chinese, re.S) if "请换用能读中文" in row)


def test_reasons_that_differ_in_numbers_only_are_one_row_and_each_probe_counts_once():
    counts = {"a": (10, 10), "b": (174, 1800), "c": (58, 60)}
    said = {name: f"gpt2 loses 1.5 of {lost} of {all_:,} inputs." for name, (lost, all_) in counts.items()}
    lost = [
        Finding(f"s/{name}/{group}", "s", name, {}, group, "flip_rate", reason=text)
        for name, text in said.items()
        for group in ("", "films")
    ]
    (gap,) = scope.gaps(lost, {}, Words("en"))
    assert gap == scope.Gap("gpt2 loses 1.5 of 10–174 of 10–1,800 inputs.", "s", ("a", "b", "c"), True)
    assert scope.not_run(lost) == {("s", "a"), ("s", "b"), ("s", "c")}


def test_kinds_of_limitation_without_evidence_are_listed(english):
    found = re.search(r'<ul class="kinds">.*?</ul>', english, re.S)[0]
    assert found.count("no evidence") == 12
    assert "<b>Robustness</b> examined by robustness" in found


def test_curves_stand_beside_tables_that_hold_their_numbers(folder, english):
    card = re.search(r'<article class="card" id="p.robustness.keyboard_typos".*?</article>', english, re.S)
    found = Reader(card[0])
    assert len(found.all("svg")) == 3  # flips, drop, groups
    rows = json.loads((folder / "findings.json").read_text())["findings"]
    one = next(row for row in rows if row["id"] == "robustness/keyboard_typos/rate=0.2/flip_rate")
    label = next(a["aria-label"] for a in found.all("svg") if a["aria-label"].startswith("Flip rate by rate"))
    assert f"rate 0.2: {one['value']:.0%} [" in label
    assert "rate 0.2" in found.visible()


def test_at_most_five_examples_a_probe_with_their_trials(english):
    for card in re.findall(r'<article class="card".*?</article>', english, re.S):
        assert len(re.findall(r"<dt>Trial</dt>", card)) <= 5
    assert "nobody chose them" in english


def test_the_two_pages_link_to_each_other_and_name_their_language(english, chinese):
    assert '<html lang="en">' in english
    assert 'href="report.zh.html" hreflang="zh-CN"' in english
    assert '<html lang="zh-CN">' in chinese
    assert 'href="report.html" hreflang="en"' in chinese


def test_a_single_language_has_no_dead_link(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "one", ignore=shutil.ignore_patterns("*.html"))
    (path,) = report.write(tmp_path / "one", ["zh"])
    assert path.name == "report.zh.html"
    assert 'href="report.html"' not in path.read_text("utf-8")
    assert not (tmp_path / "one" / "report.html").exists()


def test_the_same_findings_give_the_same_bytes(folder, english, monkeypatch):
    assert report.render(folder, "en") == english
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated = report.render(folder, "en")
    assert "2023-11-14T22:13:20Z" in dated
    assert dated == report.render(folder, "en")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert report.render(folder, "en") == english


def test_without_charts_the_page_says_so_and_keeps_every_number(folder, monkeypatch):
    monkeypatch.setattr(drawing, "draw", lambda specs: {})
    page = Reader(report.render(folder, "en"))
    assert not page.all("svg")
    assert "The chart could not be drawn; its numbers are in the table." in page.visible()
    assert "rate 0.2" in page.visible()


def test_a_long_page_leaves_out_detail_until_it_fits_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "draw", lambda specs: {drawing.key(s): "<svg>" + "x" * 4000 + "</svg>" for s in specs})
    monkeypatch.setattr(report, "LARGEST", 350_000)
    build(tmp_path, 30)
    page = report.render(tmp_path, "en")
    assert len(page.encode()) <= report.LARGEST
    assert "To keep this page under 1 MB" in page
    assert len(Reader(page).all("article")) > 30
    assert len(Reader(page).all("svg")) < 70


def test_an_unfinished_run_says_so_first(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "half", ignore=shutil.ignore_patterns("*.html"))
    run = json.loads((folder / "run.json").read_text())
    (tmp_path / "half" / "run.json").write_text(json.dumps(run | {"finished": None}))
    page = report.render(tmp_path / "half", "en")
    assert page.index("This run is not finished") < page.index('<div class="columns">')
    assert "<title>Unfinished run" in page


def test_an_empty_run_is_a_page_too(tmp_path):
    build(tmp_path, 0)
    empty = {"schema": 1, "run": {}, "findings": []}
    (tmp_path / "findings.json").write_text(json.dumps(empty))
    (tmp_path / "run.json").write_text(json.dumps({"schema": 1}))
    (tmp_path / "records.jsonl").unlink()
    for language in ("en", "zh"):
        assert Reader(report.render(tmp_path, language)).open == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("run.json", None, "run.json: there is no such file"),
        ("findings.json", "{", "findings.json is not JSON"),
        ("findings.json", "[]", "must hold a JSON object"),
        ("findings.json", '{"schema": 9}', "this version of audit reads schema 1"),
        ("findings.json", '{"schema": 1, "findings": 5}', "'findings' must be a list"),
        ("findings.json", '{"schema": 1, "findings": [{"id": "x"}]}', "findings[0] is not a finding"),
    ],
)
def test_a_folder_that_is_no_run_is_refused_by_name(tmp_path, name, content, told):
    build(tmp_path, 1, hostile=False)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=re.escape(told)):
        report.render(tmp_path, "en")


def test_a_folder_that_cannot_be_written_to_is_refused_by_name(tmp_path):
    build(tmp_path, 0, hostile=False)
    (tmp_path / "report.zh.html").mkdir()
    with pytest.raises(UsageError, match=r"report.zh.html cannot be written"):
        report.write(tmp_path)


def test_an_unknown_language_is_refused_with_the_known_ones(folder):
    with pytest.raises(UsageError, match="no report language 'fr'"):
        report.render(folder, "fr")


def test_an_unknown_name_is_shown_as_it_is():
    assert Words("zh").name("measure", "my_own_measure") == "my own measure"
    assert HOSTILE in Words("en").pick({"en": HOSTILE})
