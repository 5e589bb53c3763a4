"""Pieces put beside or around the words of a text, which itself stays whole.  Knows nothing of spelling."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from audit.kit.perturb import tables
from audit.kit.perturb.edits import Edit, chunks, gaps, has_mark, is_chinese, perturbation, pick

_FINAL = '.!?…。！？~～"”’)）」』'
_BREAKS = "，。！？；,!?;"


def _breaks(text: str) -> Iterator[int]:
    """The places after a mark that ends a clause, where another follows."""
    yield from (i + 1 for i in range(len(text) - 1) if text[i] in _BREAKS and text[i + 1] not in _BREAKS + " ")


def _language(text: str) -> str:
    if not is_chinese(text):
        return "en"
    return "zh-Hant" if tables.is_traditional(text) else "zh"


@perturbation(
    "Filler words", "口头填充词", languages="en zh", unit="share of places between words, or clauses in Chinese"
)
def filler_words(text: str, rng: Random) -> Iterator[Edit]:
    """Words of hesitation: "the plot was thin" becomes "the plot was, um, thin"."""
    language = _language(text)
    pieces = tables.phrases("filler", language)
    if language == "en":
        yield from (Edit(start, start, f", {pick(rng, pieces)},") for start, _ in gaps(text))
    else:
        yield from (Edit(place, place, pick(rng, pieces)) for place in [0, *_breaks(text)])


@perturbation("Distractor sentences", "无关句子", languages="en zh", unit="share of five added sentences")
def distractor_sentence(text: str, rng: Random) -> Iterator[Edit]:
    """Plain statements that have nothing to do with the text, before it or after it; five at strength 1."""
    if not text.strip():
        return
    language = _language(text)
    space, stop = (" ", ".") if language == "en" else ("", "。")
    closed = text.rstrip()[-1] in _FINAL
    for sentence in rng.sample(tables.phrases("distractor", language), 5):
        if rng.random() < 0.3:
            yield Edit(0, 0, sentence + space)
        else:
            # A text without a final stop gets one before each sentence instead of after it.
            yield Edit(len(text), len(text), space + sentence if closed else stop + space + sentence[:-1])


def _beside(text: str, rng: Random, kind: str, before: float) -> Iterator[Edit]:
    if text.strip():
        for piece in rng.sample(tables.phrases(kind), 3):
            at = 0 if rng.random() < before else len(text)
            yield Edit(at, at, f" {piece}" if at else f"{piece} ")


@perturbation("Web addresses", "网址", languages="*", unit="share of three added addresses")
def url(text: str, rng: Random) -> Iterator[Edit]:
    """Web addresses before or after the text; three at strength 1."""
    return _beside(text, rng, "url", 0.2)


@perturbation("Mentions", "@提及", languages="*", unit="share of three added mentions")
def mention(text: str, rng: Random) -> Iterator[Edit]:
    """Names of users of a social network, such as @jordan77, before or after the text; three at strength 1."""
    return _beside(text, rng, "mention", 0.8)


@perturbation("Emoji", "表情符号", languages="en zh", unit="share of places between words, or clauses in Chinese")
def emoji(text: str, rng: Random) -> Iterator[Edit]:
    """Emoji that express no feeling, between words and at the end: "the plot 📎 was thin"."""
    if not text.strip():
        return
    chinese = is_chinese(text)
    places = list(_breaks(text)) if chinese else [start for start, _ in gaps(text)]
    for place in [*places, len(text)]:
        yield Edit(place, place, ("" if chinese else " ") + pick(rng, tables.phrases("emoji")))


@perturbation("Markup", "标记语言", languages="en zh", unit="share of words, or of two characters in Chinese")
def markup(text: str, rng: Random) -> Iterator[Edit]:
    """HTML or Markdown around words: "a thin plot" becomes "a <b>thin</b> plot"."""
    for start, end in chunks(text):
        if not has_mark(text, end - 1):
            yield Edit(start, end, pick(rng, tables.phrases("markup")).replace("{}", text[start:end]))
