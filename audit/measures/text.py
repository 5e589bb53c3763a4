"""Generated text against references, and how surprised a model is by a text."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from audit.measures.columns import COUNT, OPTIONAL_CLUSTER, TEXT, TEXTS, Column
from audit.measures.define import Result, Terms, explained, measure
from audit.measures.facts import ONE_QUESTION, standard_error
from audit.measures.longcontext import as_list
from audit.types import Estimate

# Scripts written without spaces: one character is one token (CJK ideographs, kana).
CHARACTER = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
ARTICLES = re.compile(r"\b(a|an|the)\b")


class Words:
    """rouge-score's tokenizer (lower case, runs of a-z0-9), with each Chinese or Japanese character a token of its own.

    On text without such characters the two are equal; rouge-score's own would see nothing in Chinese text.
    """

    def tokenize(self, text: str) -> list[str]:
        """The tokens of `text`."""
        return re.findall(rf"[a-z0-9]+|{CHARACTER.pattern[1:-1]}", text.lower())


def plain_words(text: str) -> list[str]:
    """SQuAD's normalised words: lower case, no punctuation, no English articles; Chinese characters one by one."""
    spaced = CHARACTER.sub(r" \1 ", text.lower())
    kept = "".join(c for c in spaced if c not in string.punctuation and not unicodedata.category(c).startswith("P"))
    return ARTICLES.sub(" ", kept).split()


def _f1(prediction: list[str], reference: list[str]) -> float:
    if not prediction or not reference:
        return float(prediction == reference)
    shared = sum((Counter(prediction) & Counter(reference)).values())
    return 2 * shared / (len(prediction) + len(reference))


def _per_item(frame: pd.DataFrame) -> pd.DataFrame:
    """ROUGE, exact match and F1 of each item: the best over its references."""
    from rouge_score import rouge_scorer

    kinds = ["rouge1", "rouge2", "rougeL"]
    scorer = rouge_scorer.RougeScorer(kinds, tokenizer=Words())
    rows = []
    for prediction, given in zip(frame["prediction"], frame["references"], strict=True):
        references = as_list(given)
        scores = [scorer.score(reference, prediction) for reference in references]
        words, wanted = plain_words(prediction), [plain_words(reference) for reference in references]
        best = {kind: max(score[kind].fmeasure for score in scores) for kind in kinds}
        rows.append(best | {"exact_match": float(words in wanted), "token_f1": max(_f1(words, w) for w in wanted)})
    return pd.DataFrame(rows)


def _columns(frame: pd.DataFrame) -> tuple[list[str], list[list[Any]]]:
    """Predictions and reference streams as sacrebleu wants them; None where an item has fewer references."""
    references = [as_list(given) for given in frame["references"]]
    most = max(len(r) for r in references)
    streams = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
    return list(frame["prediction"]), streams


def _chinese(streams: list[list[Any]]) -> bool:
    letters = [c for stream in streams for text in stream for c in text or "" if not c.isspace()]
    return sum(bool(CHARACTER.match(c)) for c in letters) > len(letters) / 2


def _corpus(frame: pd.DataFrame) -> dict[str, float]:
    import sacrebleu

    predictions, streams = _columns(frame)
    tokenize = "zh" if _chinese(streams) else "13a"
    return {
        "bleu": float(sacrebleu.corpus_bleu(predictions, streams, tokenize=tokenize, force=True).score),
        "chrf": float(sacrebleu.corpus_chrf(predictions, streams).score),
    }


def _item_mean(key: str) -> Callable[[pd.DataFrame], Terms]:
    return lambda frame: Terms(_per_item(frame)[key], None, frame.get("cluster"))


CORPUS = "a corpus score: use the mean of an item score for an interval"
ITEM = ("rougeL", "rouge1", "rouge2", "exact_match", "token_f1")


@measure(
    columns={"prediction": TEXT, "references": replace(TEXTS, alias="reference")},
    optional=OPTIONAL_CLUSTER,
    results={
        **{key: Result("higher", 1.0, "proportion", _item_mean(key)) for key in ITEM},
        "bleu": Result("higher", 100.0, "score", none=CORPUS),
        "chrf": Result("higher", 100.0, "score", none=CORPUS),
    },
    rows=_per_item,
)
def generation(frame: pd.DataFrame) -> dict[str, Any]:
    """Overlap of generated text with reference texts.

    Row: one item; column `references` (a list) or `reference` (one text).  bleu, chrf: sacrebleu's corpus scores, 0 to
    100, tokenizer 13a, or zh where most characters of the references are Chinese.  rouge1, rouge2, rougeL:
    rouge-score's F-measures without stemming, 0 to 1, the best over references, mean over items; Chinese and Japanese
    characters are tokens of their own.  exact_match, token_f1: after SQuAD's normalisation (case, punctuation, English
    articles), the best over references, mean over items.
    Direction: higher is better.  Source: Papineni et al. 2002, Popović 2015, Post 2018 (sacrebleu); Lin 2004
    (rouge-score); Rajpurkar et al. 2016.
    Validity: overlap, not meaning; a corpus BLEU is no mean of sentence BLEUs.
    """
    items = _per_item(frame)
    return _corpus(frame) | {key: float(items[key].mean()) for key in ITEM}


def _bleus(frame: pd.DataFrame) -> pd.DataFrame:
    """Per answer: the largest BLEU against correct references, and against incorrect ones."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(smooth_method="exp", tokenize="intl", effective_order=False, force=True)

    def best(text: str, references: Any) -> float:
        return max(float(metric.corpus_score([text], [[r]]).score) for r in as_list(references))

    columns = zip(frame["prediction"], frame["correct_answers"], frame["incorrect_answers"], strict=True)
    scores = np.array([(best(text, true), best(text, false)) for text, true, false in columns])
    return pd.DataFrame({"bleu_max": scores[:, 0], "bleu_diff": scores[:, 0] - scores[:, 1]})


@measure(
    columns={"prediction": TEXT, "correct_answers": TEXTS, "incorrect_answers": TEXTS},
    results={
        "bleu_acc": Result("higher", 1.0, "proportion", lambda f: Terms(_bleus(f)["bleu_diff"] > 0)),
        "bleu_max": Result("higher", 100.0, "score", lambda f: Terms(_bleus(f)["bleu_max"])),
        "bleu_diff": Result("higher", None, "score", lambda f: Terms(_bleus(f)["bleu_diff"])),
        "bleu_acc_stderr": Result(none="a standard error"),
        "bleu_max_stderr": Result(unit="score", none="a standard error"),
        "bleu_diff_stderr": Result(unit="score", none="a standard error"),
        "n": Result(unit="count", none="a count"),
    },
    rows=_bleus,
)
def truthful_generation(frame: pd.DataFrame) -> dict[str, Any]:
    """Is a free answer nearer to a true reference than to a false one, by BLEU?

    Row: one question.  bleu_max: the largest BLEU of the answer against a correct reference; bleu_diff: that minus the
    largest against an incorrect one; bleu_acc: share of answers with bleu_diff > 0.  BLEU: sacrebleu on the one
    sentence, smoothing exp, tokenizer intl, no effective order, 0 to 100.  Means over questions; standard errors: sd
    (ddof 1) / sqrt(n).
    Direction: higher is better.  Source: Lin et al. 2022; lm-evaluation-harness truthfulqa_gen.
    Validity: word overlap with a reference is a weak sign of truth; a long evasion can score well.
    """
    scores = _bleus(frame)
    columns = {"bleu_max": scores["bleu_max"], "bleu_acc": scores["bleu_diff"] > 0, "bleu_diff": scores["bleu_diff"]}
    values: dict[str, Any] = {key: float(column.mean()) for key, column in columns.items()}
    values |= {f"{key}_stderr": standard_error(column.to_numpy(dtype=float)) for key, column in columns.items()}
    return explained(values | {"n": len(frame)}, dict.fromkeys(values, ONE_QUESTION))


def _nats(frame: pd.DataFrame) -> Terms:
    return Terms(-frame["loglikelihood"], frame["tokens"], frame.get("cluster"))


def _exp(nats: float) -> float | None:
    return math.exp(nats) if nats < 709 else None


def _through(change: Callable[[float], float | None]) -> Callable[[pd.DataFrame, float, int], Estimate]:
    """The interval of nats a token, carried through an increasing function."""

    def interval(frame: pd.DataFrame, confidence: float, seed: int) -> Estimate:
        found = _nats(frame).estimate(confidence)
        low, high = (None if bound is None else change(max(bound, 0.0)) for bound in (found.low, found.high))
        value = None if found.value is None else change(found.value)
        return replace(found, value=value, low=low, high=high, method=f"{found.method} on nats a token")

    return interval


NO_TOKENS = "no tokens"


@measure(
    columns={"loglikelihood": Column("number", high=0), "tokens": COUNT},
    optional=OPTIONAL_CLUSTER,
    results={
        "perplexity": Result("lower", 1.0, "score", interval=_through(_exp), undefined=NO_TOKENS),
        "bits_per_token": Result("lower", 0.0, "score", interval=_through(lambda n: n / math.log(2))),
    },
)
def perplexity(frame: pd.DataFrame) -> dict[str, Any]:
    """How surprised a language model is, per token.

    Row: one text; `loglikelihood` in nats, summed over its `tokens`.  perplexity = exp(- sum of loglikelihoods / sum of
    tokens); bits_per_token = the exponent / ln 2.
    Direction: lower is better; ideals 1 and 0.  Source: Jelinek et al. 1977.
    Validity: not comparable between tokenizers (compare bits per character there), nor between context lengths.
    """
    tokens = float(frame["tokens"].sum())
    if tokens == 0:
        return explained({"perplexity": None, "bits_per_token": None}, dict.fromkeys(perplexity.results, NO_TOKENS))
    nats = -float(frame["loglikelihood"].sum()) / tokens
    values = {"perplexity": _exp(nats), "bits_per_token": nats / math.log(2)}
    return explained(values, {"perplexity": "beyond what a float holds: read bits_per_token"})
