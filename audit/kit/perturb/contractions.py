"""English contractions and their full forms.  Knows English grammar as far as these need it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from random import Random

from audit.kit.perturb.edits import Edit, like, perturbation

_VERBS = (
    "is",
    "are",
    "was",
    "were",
    "do",
    "does",
    "did",
    "has",
    "have",
    "had",
    "could",
    "would",
    "should",
    "must",
    "need",
)
_NOT = {**{verb: f"{verb}n't" for verb in _VERBS}, "can": "can't", "will": "won't"}
_PRONOUNS = ("i", "you", "he", "she", "it", "we", "they")
_BE = {
    "i am": "i'm",
    "you are": "you're",
    "we are": "we're",
    "they are": "they're",
    **{f"{who} is": f"{who}'s" for who in ("he", "she", "it", "that", "there", "here", "what", "who", "where", "how")},
}
_WILL = {f"{who} will": f"{who}'ll" for who in _PRONOUNS}
_WOULD = {f"{who} would": f"{who}'d" for who in _PRONOUNS}
_HAVE = {f"{who} have": f"{who}'ve" for who in ("i", "you", "we", "they")}
_HAS = {f"{who} has": f"{who}'s" for who in ("he", "she", "it", "that", "there", "what", "who")}
_HAD = {f"{who} had": f"{who}'d" for who in _PRONOUNS}

_ADVERB = r"(?:(?:just|never|always|already|also|only|ever|not|long|since|really)\s)?"
# Words that only follow "has" and "had" in these contractions; after "is" or "would" they are rare.
_AFTER_HAS = rf"\s{_ADVERB}(?:been|had|got|gotten|become)\b"
_AFTER_HAD = rf"\s(?:better\b|{_ADVERB}(?:been|had|got|gone|seen|done|become|taken|given|known|[a-z]{{2,}}(?<!e)ed)\b)"
_AFTER_HAVE = (
    rf"\s{_ADVERB}(?:been|had|got|gone|seen|done|become|taken|given|known|found|heard|made|[a-z]{{2,}}(?<!e)ed)\b"
)
_QUESTION = r"(?:^|(?<=[.!?,;:] )|(?<=\bwhy )|(?<=\bhow )|(?<=\bwho )|(?<=\bwhat )|(?<=\band )|(?<=\bbut ))"


def _any(phrases: Iterable[str]) -> str:
    return "|".join(sorted((p.replace(" ", r"\s").replace("'", "['’]") for p in phrases), key=len, reverse=True))


@cache
def _shorter() -> tuple[re.Pattern[str], Mapping[str, str]]:
    negated = {f"{verb} not": short for verb, short in _NOT.items()} | {"cannot": "can't"}
    table = negated | _BE | _WILL | _WOULD | _HAVE | _HAS | _HAD
    # "Yes, it is" has no contraction: a form of be, will or have needs a word after it, "have" a participle.
    # "I would not" becomes "I wouldn't", not "I'd not".
    no = r"(?!\snot\b)"
    kinds = (
        (negated, ""),
        (_BE, r"\s\w"),
        (_WILL | _WOULD, rf"{no}\s[A-Za-z]"),
        (_HAVE | _HAS | _HAD, no + _AFTER_HAVE),
    )
    forms = "|".join(rf"(?:{_any(phrases)})(?!\w)(?={after})" for phrases, after in kinds)
    return re.compile(rf"\b(?:{forms})", re.IGNORECASE), table


@cache
def _longer() -> tuple[re.Pattern[str], Mapping[str, Mapping[str, str]]]:
    def turned(table: Mapping[str, str]) -> dict[str, str]:
        return {short: long for long, short in table.items()}

    negated = {short: f"{verb} not" for verb, short in _NOT.items()} | {"can't": "cannot", "shan't": "shall not"}
    plain = negated | {"let's": "let us"} | turned(_BE) | turned(_WILL) | turned(_WOULD) | turned(_HAVE)
    tables = {"asked": {short: long.split()[0] for short, long in negated.items()} | {"can't": "can"}}
    tables |= {"has": turned(_HAS), "had": turned(_HAD), "plain": plain}
    pattern = (
        rf"\b(?:{_QUESTION}(?P<asked>{_any(negated)})(?P<who>\s(?:{'|'.join(_PRONOUNS)}))(?=\s)"
        rf"|(?P<has>{_any(tables['has'])})(?={_AFTER_HAS})|(?P<had>{_any(tables['had'])})(?={_AFTER_HAD})"
        rf"|(?P<plain>{_any(plain)}))(?![\w'’])"
    )
    return re.compile(pattern, re.IGNORECASE), tables


@perturbation("Contractions", "英语缩写", languages="en", unit="share of phrases that can be contracted")
def contraction(text: str, rng: Random) -> Iterator[Edit]:
    """Full forms contracted: "do not" becomes "don't", "it is good" becomes "it's good"."""
    pattern, table = _shorter()
    for match in pattern.finditer(text):
        short = table.get(" ".join(match[0].lower().split()))
        if short:
            yield Edit(*match.span(), like(match[0], short))


@perturbation("Full forms", "还原英语缩写", languages="en", unit="share of contractions")
def expansion(text: str, rng: Random) -> Iterator[Edit]:
    """Contractions written out: "can't" becomes "cannot", "it's been" "it has been", "don't you" "do you not"."""
    pattern, tables = _longer()
    for match in pattern.finditer(text):
        kind = next(name for name in ("asked", "has", "had", "plain") if match[name])
        long = tables[kind].get(match[kind].lower().replace("’", "'"))
        if long:
            new = like(match[kind], long)
            yield Edit(*match.span(), f"{new}{match['who']} not" if kind == "asked" else new)
