"""Hidden and look-alike characters are shown, and a diff loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.report.diff import Piece, diff, excerpt, tokens
from audit.report.marks import HIDDEN, clean, marks

SHOWN = [
    ("mo\u200bvie", ["U+200B"]),
    ("a\u202eb\u202c", ["U+202E", "U+202C"]),
    ("x\x00\x08\x1b\x7f", ["U+0000", "U+0008", "U+001B", "U+007F"]),
    ("no\u00a0break", ["U+00A0"]),
    ("soft\u00adhyphen", ["U+00AD"]),
    ("gr\u0435at", ["U+0435"]),
    ("\U0001d41abc", ["U+1D41A"]),
    ("\uff41\uff42c and so on", []),
    ("tag\U000e0041", ["U+E0041"]),
    ("\ud800 alone", ["U+D800"]),
    ("plain, naïve café — 很好！ 👍\ufe0f", []),
    ("отличный фильм, очень", []),
    ("Ωμέγα και άλφα", []),
    ("服务很好，ＡＢ套餐", []),
]


@pytest.mark.parametrize(("text", "codes"), SHOWN)
def test_suspicious_characters_get_their_code_point(text, codes):
    assert [mark.code for mark in marks(text) if mark.code] == codes


def test_a_look_alike_is_shown_beside_its_code_and_a_hidden_one_is_not():
    by_code = {mark.code: mark for mark in marks("gr\u0435a\u200bt")}
    assert by_code["U+0435"].text == "\u0435"
    assert by_code["U+0435"].name == "CYRILLIC SMALL LETTER IE"
    assert by_code["U+200B"].text == ""


def test_clean_writes_hidden_characters_out_and_keeps_the_rest():
    assert clean("a\u202eb\x00\n\tc 很好") == "a[U+202E]b[U+0000]\n\tc 很好"


def test_words_stay_whole_and_cjk_characters_stand_alone():
    assert tokens("The mo\u200bvie, 很好看 isn’t") == [
        "The",
        " ",
        "mo\u200bvie",
        ",",
        " ",
        "很",
        "好",
        "看",
        " ",
        "isn’t",
    ]


def test_a_misspelt_word_is_replaced_and_its_changed_letters_are_marked():
    found = diff("a great film", "a graet film")
    assert [(piece.kind, read((piece,))) for piece in found] == [
        ("same", "a "), ("del", "great"), ("ins", "graet"), ("same", " film"),
    ]  # fmt: skip
    assert [mark.text for mark in found[2].marks if mark.changed] == ["a"]
    assert diff("很好", "很坏")[1:] == (Piece("del", marks("好")), Piece("ins", marks("坏")))


def test_long_unchanged_text_is_a_gap_and_the_change_is_still_seen():
    found = diff("word " * 500 + "good", "word " * 500 + "bad")
    assert found[0].kind == "gap"
    assert found[0].count > 2000
    assert [piece.kind for piece in found[-2:]] == ["del", "ins"]
    assert sum(piece.size for piece in found) < 200


def test_output_is_bounded_for_texts_that_share_nothing():
    found = diff("a " * 3000, "b " * 3000, 400)
    assert sum(piece.size for piece in found) < 1000
    assert found[-1].kind == "gap"
    assert sum(piece.size for piece in excerpt("长" * 5000, 300)) <= 300
    assert excerpt("长" * 5000, 300)[1].count == 4700


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_pieces_join_to_both_texts_and_hide_nothing(before, after):
    found = diff(before, after, 10_000)
    assert all(piece.kind != "gap" for piece in found)
    assert restore(found, "ins") == before
    assert restore(found, "del") == after
    assert not HIDDEN.search(read(found))


def read(found) -> str:
    return "".join(mark.text for piece in found for mark in piece.marks)


def restore(found, without: str) -> str:
    """The text from its pieces, hidden characters from their code points."""
    kept = [mark for piece in found if piece.kind != without for mark in piece.marks]
    return "".join(mark.text if not mark.code else chr(int(mark.code[2:], 16)) for mark in kept)
