"""Whether answers keep to a text, and to what the model says elsewhere."""

from __future__ import annotations

from typing import Any

import pandas as pd

from audit.measures.columns import OPTIONAL_CLUSTER, PROBABILITY, one_of
from audit.measures.define import Result, Terms, measure, solve
from audit.measures.rates import clusters


def _share(kind: str) -> Any:
    return lambda frame: Terms((frame["answer"] == kind).astype(int), None, clusters(frame))


GROUNDED = {
    "follows": Result("higher", 1.0, terms=_share("context")),
    "resists": Result("lower", 0.0, terms=_share("memory")),
    "abstains": Result("higher", 1.0, terms=_share("abstained")),
    "strays": Result("lower", 0.0, terms=_share("other")),
}


@measure(
    columns={"answer": one_of("context", "memory", "abstained", "other")},
    optional=OPTIONAL_CLUSTER,
    results=GROUNDED,
)
def grounded(frame: pd.DataFrame) -> dict[str, Any]:
    """Where do answers to questions about a text come from: the text, memory, neither, or is no answer given?

    Row: one question about one text; `answer` is what the text says (context), what is true of the world but not in the
    text (memory), an abstention (abstained), or something else (other).  follows, resists, abstains and strays: the
    shares of the four; they add up to 1.
    Direction: follows higher; resists and strays lower; abstains higher where the text lacks the answer (elsewhere it
    has no good direction: use it there only); proportions.  Source: Longpre et al. 2021 (entity-based knowledge
    conflicts); Neeman et al. 2023 (three kinds of answers).
    Validity: whether a text should win over what a model knows is a matter of the use: a reader of documents should
    follow, an adviser should say that the text is wrong.
    """
    return solve(frame, GROUNDED)


AGREEMENT = {"agreement": Result("higher", 1.0, terms=lambda f: Terms(f["agreement"], None, clusters(f)))}


@measure(columns={"agreement": PROBABILITY}, optional=OPTIONAL_CLUSTER, results=AGREEMENT)
def agreement(frame: pd.DataFrame) -> dict[str, Any]:
    """How well texts agree, on average.

    Row: one item; `agreement` is a score from 0 to 1: of sampled answers with the greedy one (mean F1 of words, or 1
    minus the share of contradiction that an NLI helper sees), or of a summary with its text (entailment, SummaC-ZS).
    Value: the mean.
    Direction: higher is better; ideal 1; a proportion.  Source: Manakul et al. 2023 (SelfCheckGPT); Laban et al. 2022.
    Validity: agreement is not truth: a model that always errs in the same way agrees with itself.  Scores by words and
    by an NLI helper are not comparable, nor are those of two helpers.
    """
    return solve(frame, AGREEMENT)
