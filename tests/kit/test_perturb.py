"""Laws of every perturbation over arbitrary Unicode, and what each of them does to real sentences."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import unicodedata
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audit import UsageError
from audit.kit import perturb
from audit.kit.perturb import tables
from audit.kit.perturb.edits import rewrite

NAMES = sorted(perturb.PERTURBATIONS)
ENGLISH = "I don't think this colour film is great, but it is not awful: we stayed 3 nights in London."
ENGLISH_NUMBERS = ["one", "two", "three", "four", "five", "six"]
CHINESE = "这家酒店的房间很干净，服务态度也好，我们住了两个晚上，一共花了３００块。"
ODD = [
    "", "   ", "\n\t", "👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 ok", "e\u0301te\u0301 cafe\u0301", "İı ß ŉ ǆ ﬁ",
    "a" * 300, "中" * 200,
    "https://example.com/a?b=c @you #tag <b>x</b>", "don’t can’t won't I'd it's", "𠀀𠮷 〇", "ﷺ مرحبا שלום",
    "\x00\x08\u202e\ufeff", "1,000.50 5th 10:30",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(), max_size=30),  # lone surrogates too
    st.text("abcdeéßİıŉ'’ .,!?-\u0301\u200d中文字说說好吃了１２三 @#<>👩‍💻0123", max_size=60),
    st.lists(st.sampled_from([*ENGLISH.split(), *CHINESE, *ODD]), max_size=12).map(" ".join),
)
STRENGTHS = st.floats(0, 1)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def apply(name: str, text: str, strength: float = 1.0, seed: int = 0) -> str:
    return perturb.apply(name, text, strength, Random(seed))


# Laws


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(text=TEXTS, strength=STRENGTHS, seed=st.integers(0, 99))
@example(text=ENGLISH, strength=0.1, seed=1)
@example(text=CHINESE, strength=0.1, seed=1)
@example(text="e\u0301" * 9 + "👩\u200d👩\u200d👧\u200d👦", strength=1.0, seed=1)
def test_every_perturbation_keeps_the_laws(name, text, strength, seed):
    before = random.getstate()
    once = apply(name, text, strength, seed)
    assert random.getstate() == before, "the global random state was used"
    assert isinstance(once, str)
    assert once == apply(name, text, strength, seed), "equal seeds gave other texts"
    assert apply(name, text, 0, seed) == text
    if not any("\ud800" <= c <= "\udfff" for c in text):
        once.encode("utf-8")
    change = perturb.PERTURBATIONS[name]
    edits = change.edits(text, strength, Random(seed))
    assert rewrite(text, edits) == once
    assert all(a.end <= b.start for a, b in pairwise(edits)), "edits overlap"
    more = change.edits(text, min(1.0, strength * 1.7), Random(seed))
    assert not set(edits) - set(more), "an edit of the lower strength is missing at the higher one"
    assert bool(edits) == (once != text), "edits that leave the text as it was"
    assert bool(edits) == (strength > 0 and bool(change.edits(text, 1, Random(seed)))), (
        "nothing done though it could be"
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_texts_survive(name, text):
    for strength in (0.3, 1):
        apply(name, text, strength).encode("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_perturbation_says_what_it_is(name):
    change = perturb.PERTURBATIONS[name]
    assert change.name == name
    assert change.languages
    assert change.languages <= {"en", "zh", "*"}
    assert change.unit.startswith("share of ")
    assert set(change.title) == {"en", "zh"}
    assert re.search("[\u4e00-\u9fff]", change.title["zh"])
    assert change.doc.endswith((".", ").")) or "Boucher" in change.doc
    assert isinstance(change.keeps_meaning, bool)


@pytest.mark.parametrize("name", NAMES)
def test_it_changes_texts_of_its_own_languages_only(name):
    change = perturb.PERTURBATIONS[name]
    english = [*EXAMPLES.get(name, {}), ENGLISH, "It's grey. We do not recognise them."]
    chinese = [CHINESE, "電影很好看，說實話。"]
    if change.suits("en"):
        assert any(apply(name, text) != text for text in english)
    else:
        assert all(apply(name, text) == text for text in (ENGLISH, "It's grey. We do not recognise them."))
    if change.suits("zh"):
        assert any(apply(name, text) != text for text in chinese)
    else:
        assert all(apply(name, text) == text for text in chinese)


def test_there_are_enough_and_four_change_the_meaning():
    assert len(NAMES) >= 40
    assert perturb.names(keeps_meaning=False) == ["number_swap", "word_drop", "word_shuffle"]
    assert "typos" in perturb.names("en-GB")
    assert "typos" not in perturb.names("zh_Hant")
    assert {"url", "homophone"} <= set(perturb.names("zh"))


def test_the_share_is_exact_and_at_least_one():
    typos = perturb.PERTURBATIONS["typos"]
    hundred = "abcde " * 20
    assert [len(typos.edits(hundred, share, Random(1))) for share in (0.001, 0.02, 0.1, 0.5, 1)] == [1, 2, 10, 50, 100]


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan"), float("inf"), "0.1", None])
def test_a_strength_outside_0_to_1_is_refused(strength):
    with pytest.raises(UsageError, match=r"from 0 .* to 1"):
        perturb.apply("typos", "text", strength, Random(0))


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'typos'"):
        perturb.apply("typo", "text", 0.1, Random(0))


def test_importing_reads_no_table_and_no_chinese_library():
    code = """
import sys
import audit.kit.perturb, audit.kit.behaviour
assert not {"pypinyin", "opencc", "torch", "numpy"} & set(sys.modules)
assert not audit.kit.perturb.tables.rows.cache_info().currsize
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# What each does: name -> {before: every text that may come out at strength 1, or a pattern of them}

EXAMPLES: dict[str, dict[str, str]] = {
    "typos": {"at": "[qwsz][rfgy]"},
    "letter_swap": {"Then": "Htne|Tehn"},
    "letter_delete": {"great film": "g f"},
    "letter_insert": {"at": "a[qwsz]t[rfgy]"},
    "letter_repeat": {"so": "ss{1,2}oo{1,2}"},
    "ocr_errors": {"modern": "rn[0c]clcm", "film": "t[1l][1I]rn"},
    "phonetic_misspelling": {"phone": "fone", "knight": "nite|night|knite|knit", "please": "pleese|pleaze"},
    "common_misspelling": {"Definitely separate": "(Definately|Definitly|Definatly) seperate", "DON’T": "DONT"},
    "upper_case": {"It's fine": "IT'S FINE"},
    "lower_case": {"I saw NASA": "i saw nasa"},
    "title_case": {"a thin plot": "A Thin Plot"},
    "mixed_case": {"a": "A", "ok": "Ok|oK|OK"},
    "punctuation_drop": {"Well-known, isn't it? 3.5!": "Well-known isn't it 3.5", "好。": "好"},
    "punctuation_add": {"a film": "a(,|\\.|;|\\.\\.\\.| -) film", "好看": "好[，、。…；]看"},
    "extra_spaces": {"a b": "a\\s{2,5}b", "好看": "好\\s{1,2}看"},
    "merged_words": {"a good film, here": "agoodfilm, here"},
    "split_words": {"film don't": "fi lm (do n't)"},
    "contraction": {
        "Do not go, it is bad and you are late.": "Don't go, it's bad and you're late.",
        "I have been there. I have not been there.": "I've been there. I haven't been there.",
        "He will say what I would not.": "He'll say what I wouldn't.",
        "I cannot": "I can't",
        "IT IS NOT": "IT'S NOT",
        "She has seen it": "She's seen it",
    },
    "expansion": {
        "I can't, won't and don't": "I cannot, will not and do not",
        "It's been good. It's good.": "It has been good. It is good.",
        "I'd better go; I'd like that": "I had better go; I would like that",
        "Don't you see?": "Do you not see\\?",
        "they’re": "they are",
        "DON'T": "DO NOT",
    },
    "british_spelling": {"The color gray, Organized": "The colour grey, Organised"},
    "american_spelling": {"The colour grey, THEATRE": "The color gray, THEATER", "programme": "program"},
    "number_swap": {
        "3 nights": "[124-9] nights",
        "In 1987 and 007": "In 19(?!87)\\d\\d and (?!007)\\d{3}",
        "Three stars": "(Two|Four|Five|Six|Seven|Eight|Nine|Ten|Eleven|Twelve) stars",
        "住了两个晚上": "住了[三四五六七八九]个晚上",
    },
    "word_drop": {"a b c": "a |b |c"},
    "word_shuffle": {"a b": "b a", "One, two.": "two, One\\."},
    "filler_words": {"it was thin": "it, [a-z ]+, was, [a-z ]+, thin", "不好": "[^，]+，不好"},
    "distractor_sentence": {"It was thin.": "([A-Z][^.]+\\. )*It was thin\\.( [A-Z][^.]+\\.)*"},
    "url": {"Thin.": "(\\S+ )*Thin\\.( \\S+)*"},
    "mention": {"Thin.": "(@[\\w.]+ )*Thin\\.( @[\\w.]+)*"},
    "emoji": {"it was": "it \\W+ was \\W+"},
    "markup": {"thin": "<.*>thin</\\w+>|\\*+thin\\*+|__thin__|`thin`|\\[thin\\]\\(.*\\)"},
    "diacritics": {"é": "e"},
    "leetspeak": {"boss": "80[5$][5$]"},
    "zero_width": {"ab": "a[\u200b\u2060\ufeff\u200c\u200d]b", "好看": "好[\u200b\u2060\ufeff]看"},
    "bidi_control": {"abc": "\u2066\u202ecba\u202c\u2069"},
    "invisible_deletion": {"a": "a[a-z][\x08\x7f]"},
    "homophone": {"在": "再|载|仔|在|灾|栽|宰|崽|哉"},
    "lookalike_character": {"己": "[已巳]", "未": "末"},
    "character_split": {"好": "女子"},
    "traditional": {"头发发现": "頭髮發現", "好吃": "好吃"},
    "simplified": {"頭髮": "头发"},
    "character_swap": {"好看": "看好|好看"},
    "character_delete": {"好看，真的": "好，真"},
    "character_repeat": {"好看": "好好看看"},
    "width": {"3D，": "３Ｄ,", "ＡＢ。": "AB\\."},
    "pinyin_spelling": {"银行行长，女": "yinhanghangzhang，nv"},
    "homoglyphs": {"a": "[\u0430\u0251]"},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_perturbation_does_what_it_says(name):
    for before, pattern in EXAMPLES[name].items():
        for seed in range(5):
            after = apply(name, before, 1, seed)
            assert re.fullmatch(pattern, after), f"{before!r} became {after!r}"


def test_what_must_not_be_touched():
    assert apply("contraction", "Yes, it is. I have a car. She is.") == "Yes, it is. I have a car. She is."
    assert apply("expansion", "the dog's bone, John's and its") == "the dog's bone, John's and its"
    assert apply("typos", "https://example.com/ @you me@example.com #tag <b>") == (
        "https://example.com/ @you me@example.com #tag <b>"
    )
    assert apply("number_swap", "one of the best, 一个 B2B") == "one of the best, 一个 B2B"
    assert apply("american_spelling", "check the story") == "check the story"
    assert apply("british_spelling", "check the story, a ton of programs") == "check the story, a ton of programs"
    assert apply("word_drop", "alone") == "alone"
    assert apply("distractor_sentence", " ") == " "


def test_what_cannot_be_seen_is_only_unseen():
    hidden = apply("zero_width", ENGLISH)
    assert "".join(c for c in hidden if unicodedata.category(c) != "Cf") == ENGLISH
    assert re.sub(".[\x08\x7f]", "", apply("invisible_deletion", CHINESE)) == CHINESE
    turned = re.sub("\u2066\u202e(.*?)\u202c\u2069", lambda m: m[1][::-1], apply("bidi_control", ENGLISH))
    assert turned == ENGLISH
    assert "\u200d" not in apply("zero_width", CHINESE)


def test_additions_leave_the_text_whole():
    for name in ("distractor_sentence", "url", "mention"):
        for text in (ENGLISH, CHINESE, "no stop"):
            assert text in apply(name, text)
    assert apply("distractor_sentence", ENGLISH).count(". ") >= 5
    assert len(set(re.findall(r"@[\w.]+", apply("mention", ENGLISH)))) == 3


def test_a_traditional_text_gets_traditional_characters():
    text = "電影的劇情很無聊，演員還不錯。"
    for name in ("homophone", "distractor_sentence", "filler_words"):
        after = apply(name, text)
        assert tables.converted(after, "s2tw") == after


def test_a_chinese_reading_is_that_of_its_phrase():
    assert apply("pinyin_spelling", "音乐快乐") == "yinyuekuaile"
    assert {apply("homophone", "的", seed=seed) for seed in range(9)} == {"地", "得"}


def test_shuffled_and_swapped_texts_keep_their_letters():
    for name in ("word_shuffle", "letter_swap", "character_swap"):
        for text in (ENGLISH, CHINESE):
            assert sorted(apply(name, text).lower()) == sorted(text.lower())
    moved = zip(apply("word_shuffle", "one two three four five six").split(), ENGLISH_NUMBERS, strict=True)
    assert all(after != before for after, before in moved)


def test_letters_under_marks_are_not_torn():
    decomposed = unicodedata.normalize("NFD", "élan à côté")
    for name in ("letter_delete", "letter_insert", "letter_repeat", "letter_swap", "zero_width", "leetspeak"):
        after = apply(name, decomposed)
        assert all(f"{a}{m}" in after for a, m in ("e\u0301", "a\u0300", "o\u0302"))


# Tables


def test_the_tables_are_large_and_sound():
    wrong = tables.misspellings()
    assert len(wrong) >= 500
    assert all(word not in misspelt and misspelt and all(misspelt) for word, misspelt in wrong.items())
    to_american, to_british = tables.spellings()
    assert len(to_british) >= 500
    assert all(to_american[british] == american for american, british in to_british.items())
    assert not set(to_american) & set(to_british)
    alike = tables.lookalikes()
    assert sum(map(len, alike.values())) // 2 >= 120
    assert all(a in alike[b] and a != b for a, others in alike.items() for b in others)
    assert len(tables.components()) >= 150
    for kind, language in (
        ("filler", "en"),
        ("filler", "zh"),
        ("distractor", "en"),
        ("distractor", "zh"),
        ("url", "*"),
    ):
        assert len(tables.phrases(kind, language)) >= 5
    with pytest.raises(LookupError, match="fillers"):
        tables.phrases("fillers")


def test_homoglyphs_cover_the_alphabet_and_are_other_characters():
    glyphs = perturb.HOMOGLYPHS
    assert set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") <= set(glyphs)
    assert all(not other.isascii() and other != letter for letter, others in glyphs.items() for other in others)
    assert all(len(others) == len(set(others)) > 0 for others in glyphs.values())


def test_added_pieces_hold_no_opinion():
    loaded = r"\b(good|bad|great|awful|love|hate|best|worst|happy|sad|nice|terrible)\b|[好坏差棒糟美]|喜欢|讨厌"
    pieces = [text for kind, _, text in tables.rows("phrases.tsv") if kind in ("filler", "distractor")]
    assert not [piece for piece in pieces if re.search(loaded, piece)]
