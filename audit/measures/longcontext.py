"""Finding what a long context holds: RULER, BABILong, needles, and how long is long enough."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from audit.errors import UsageError, nearest
from audit.measures.columns import COUNT, LABEL, NUMBER, TEXT, TEXTS
from audit.measures.define import Result, Terms, measure, solve

CONTROL = re.compile(r"[\x00-\x1f]")
PLACES = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
BABI = {
    **dict.fromkeys(("qa1", "qa2", "qa3", "qa4"), PLACES),
    "qa5": ("bill", "fred", "jeff", "mary", "apple", "football", "milk"),
}


def as_list(references: Any) -> list[str]:
    """One reference or several, as a list."""
    return [references] if isinstance(references, str) else list(references)


def _nonempty(frame: pd.DataFrame, name: str) -> None:
    for row, references in enumerate(frame[name]):
        if any(not reference.strip() for reference in as_list(references)):
            raise UsageError(f"column {name!r}, row {row + 1}: an empty reference is in every text; give its words")


def _matches(frame: pd.DataFrame) -> pd.DataFrame:
    """Per item: the share of references found (0..100); in question-answering tasks 100 where any is found."""
    _nonempty(frame, "references")
    scores = []
    for task, prediction, references in zip(frame["task"], frame["prediction"], frame["references"], strict=True):
        text = CONTROL.sub("\n", prediction).strip().lower()
        found = [reference.lower() in text for reference in as_list(references)]
        scores.append(100.0 * (any(found) if _is_qa(task) else sum(found) / len(found)))
    return pd.DataFrame({"task": frame["task"], "score": scores})


def _is_qa(task: str) -> bool:
    return "qa" in re.split(r"[^a-z]+", task.lower())


def _by_task(frame: pd.DataFrame) -> Terms:
    """Each item weighs 1 / (items of its task x tasks): the mean of task means as one ratio of sums."""
    items = _matches(frame)
    weight = 1 / items.groupby("task")["score"].transform("size")
    return Terms(items["score"] * weight, weight, frame.get("cluster"))


RULER = {"score": Result("higher", 100.0, "percent", _by_task)}


@measure(
    columns={"task": LABEL, "prediction": TEXT, "references": TEXTS},
    optional={"length": LABEL, "cluster": LABEL},
    results=RULER,
    by=("task", "length"),
    rows=lambda frame: _matches(frame)[["score"]],
)
def ruler(frame: pd.DataFrame) -> dict[str, Any]:
    """Share of what was hidden in a long context that the answer names.

    Row: one item.  Control characters \\x00-\\x1f in the prediction become newlines; matching ignores case.  An item
    scores the share of its references found in the prediction (string_match_all); in tasks of the question-answering
    family ("qa" as a word of the task's name: qa_1, hotpot_qa) 100 where any reference is found (string_match_part).
    score: mean over tasks of their mean over items; percent.
    Direction: higher is better; ideal 100.  Source: Hsieh et al. 2024 (RULER), eval/synthetic/constants.py.
    Variant: of several references the best counts in question answering; a peer takes their mean.
    Validity: substrings: "12" is found in "312"; listing everything scores full marks.
    """
    return solve(frame, RULER)


@measure(
    columns={"length": COUNT, "score": NUMBER},
    results={
        "effective_length": Result("higher", None, "count", none="one score a length: no interval"),
        "average": Result("higher", 100.0, "percent", none="one score a length: no interval"),
    },
)
def effective_length(frame: pd.DataFrame, threshold: float = 85.6) -> dict[str, Any]:
    """The longest context at which a model still works, and at every shorter one.

    Row: one tested length (tokens) with its score (percent).  effective_length: the largest length such that it and
    every shorter tested length score at least `threshold`; 0 where the shortest already scores less.  average: mean
    score over lengths, unweighted.  The default threshold, 85.6, is Llama-2-7B's score at 4K.
    Direction: higher is better.  Source: Hsieh et al. 2024 (RULER).
    Validity: known only at the lengths tested; a score within noise of the threshold moves it by a factor of two.
    """
    twice = frame["length"].duplicated()
    if twice.any():
        row = int(twice.to_numpy().argmax())
        raise UsageError(
            f"column 'length', row {row + 1}: {frame['length'].iloc[row]:g} is there already: one row each"
        )
    ordered = frame.sort_values("length")
    works = (ordered["score"] >= threshold).cummin()
    reached = ordered["length"][works.to_numpy(dtype=bool)]
    longest = float(reached.iloc[-1]) if len(reached) else 0.0
    return {
        "effective_length": int(longest) if longest.is_integer() else longest,
        "average": float(frame["score"].mean()),
    }


def _verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Per item: right or not."""
    right = []
    columns = ("output", "question", "target", "task")
    for row, (output, question, target, task) in enumerate(zip(*(frame[c] for c in columns), strict=True)):
        if task not in BABI:
            raise UsageError(f"column 'task', row {row + 1}: no task {task!r}: {nearest(task, BABI)}")
        right.append(_babilong_right(output, question, target, BABI[task]))
    return pd.DataFrame({"correct": right})


def _babilong_right(output: str, question: str, target: str, labels: tuple[str, ...]) -> bool:
    said = output.lower()
    for end in (".", "<context>", "<example>"):
        said = said.split(end)[0]
    asked = question.lower()
    return {label for label in labels if label in said and label not in asked} == {target.lower()}


BABILONG = {
    "accuracy": Result("higher", 1.0, "proportion", lambda f: Terms(_verdicts(f)["correct"], None, f.get("cluster")))
}


@measure(
    columns={"output": TEXT, "question": TEXT, "target": TEXT, "task": LABEL},
    optional={"length": LABEL, "cluster": LABEL},
    results=BABILONG,
    rows=_verdicts,
)
def babilong(frame: pd.DataFrame) -> dict[str, Any]:
    """Share of questions about facts scattered in a long text that are answered with exactly the right label.

    Row: one item of task qa1 to qa5.  The output is put in lower case and cut at its first ".", "<context>" and
    "<example>"; the task's labels found in it, less those found in the question, must be the target and nothing else.
    Direction: higher is better; ideal 1; a proportion.  Source: Kuratov et al. 2024 (BABILong), metrics.py.
    Validity: an output that reasons in more than one sentence is judged by its first.
    """
    return solve(frame, BABILONG)


def _found(frame: pd.DataFrame) -> pd.DataFrame:
    """Per item: are all needles in the output?"""
    _nonempty(frame, "needle_answer")
    outputs = [_plain(output) for output in frame["output"]]
    needles = [[_plain(part) for part in as_list(answer)] for answer in frame["needle_answer"]]
    return pd.DataFrame({"correct": [all(n in o for n in ns) for o, ns in zip(outputs, needles, strict=True)]})


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


NEEDLE = {
    "accuracy": Result("higher", 1.0, "proportion", lambda f: Terms(_found(f)["correct"], None, f.get("cluster")))
}


@measure(
    columns={"output": TEXT, "needle_answer": TEXTS},
    optional={"length": LABEL, "depth": LABEL, "cluster": LABEL},
    results=NEEDLE,
    by=("length", "depth"),
    rows=_found,
)
def needle(frame: pd.DataFrame) -> dict[str, Any]:
    """Share of outputs that contain what was hidden in the context.

    Row: one question at one length and depth.  Right where the needle's answer, or every part of it where it is a list,
    is in the output; case and runs of white space are ignored.
    Direction: higher is better; ideal 1; a proportion.  Source: Kamradt 2023 (needle in a haystack), without its judge.
    Validity: a substring, not a judgement: a refusal that quotes the needle counts, another wording does not; against
    the original's GPT-4 judge (score 10) it agrees on 98.5% of claude-2.1's 1,376 answers, all differences towards
    right.
    """
    return solve(frame, NEEDLE)
