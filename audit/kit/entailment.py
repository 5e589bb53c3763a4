"""What an NLI helper says of a text and claims about it, as steps that a probe can `yield from`.  Knows no model."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

from audit.errors import NotRun
from audit.types import Classify, Labels

NLI = "nli"  # the role of the helper: --helper nli=MODEL
ENTAILS, CONTRADICTS = ("entail", "蕴含", "蕴涵"), ("contradict", "矛盾")
SENTENCE = re.compile(r"(?:[^.!?。！？\n]|(?<=\d)\.(?=\d))+[.!?。！？]*")
Scored = Generator[list[Classify], list[Labels], float]


def supported(text: str, claims: str) -> Scored:
    """How well `text` supports `claims` (0-1): for each sentence of the claims the best entailment by one of the text.

    The mean over the claims' sentences; entailment probabilities alone (Laban et al. 2022, SummaC-ZS).  Neither text
    may be empty.  NotRun where the helper's labels are not entailment and contradiction.
    """
    source, said = sentences(text), sentences(claims)
    answers = yield [Classify(a, b, role=NLI) for b in said for a in source]
    entailed = [_share(answer, ENTAILS) for answer in answers]
    rows = [entailed[at : at + len(source)] for at in range(0, len(entailed), len(source))]
    return sum(map(max, rows)) / len(rows)


def contradicted(claims: str, samples: Sequence[str]) -> Scored:
    """How far `samples` contradict the sentences of `claims` (0-1), on average over all pairs.

    Of each pair contradiction / (entailment + contradiction), as SelfCheckGPT has it (Manakul et al. 2023).
    """
    answers = yield [Classify(sample, said, role=NLI) for said in sentences(claims) for sample in samples]
    pairs = [(_share(answer, ENTAILS), _share(answer, CONTRADICTS)) for answer in answers]
    return sum(against / max(entailed + against, 1e-9) for entailed, against in pairs) / len(pairs)


def sentences(text: str) -> list[str]:
    """The sentences of a text; a point between digits ends none."""
    return [part.strip() for part in SENTENCE.findall(text) if re.search(r"\w", part)]


def _share(answer: Labels, words: tuple[str, ...]) -> float:
    """The probability of the labels that hold one of these words."""
    names = [name for name in answer.names if any(word in name.casefold() for word in words)]
    if not names:
        raise NotRun(f"the labels of the nli helper ({', '.join(answer.names)}) do not say what is {words[0]}ed")
    return sum(answer.of(name) for name in names)
