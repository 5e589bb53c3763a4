"""Questions about a text that supports, contradicts or lacks the answer: the prompt, and which answer was given.

Knows the columns of such data (known, other, told, lacks); knows no model.
"""

from __future__ import annotations

import re
from typing import Literal

from audit.kit.asking import bare, mentioned, needed
from audit.types import Example, Outcome

Context = Literal["supports", "contradicts", "lacks"]
GROUNDED = {
    "en": "Text: {}\nQuestion: {}\nAnswer from the text; if it does not say, answer: The text does not say.\nAnswer:",
    "zh": "短文：{}\n问题：{}\n请根据短文回答；如果短文没有说明，请回答：文中没有说明。\n回答：",
}
UNKNOWN = {"en": "The text does not say.", "zh": "文中没有说明。"}
ABSTAINED = re.compile(
    r"(?i)(does|do|did)(n't| not) (say|mention|state|specify|provide|contain|give)"
    r"|not (mentioned|stated|given|specified)|unknown|cannot|can't|no (answer|information)"
    r"|没有(说明|提到|提及|给出|说)|未(提及|提到|说明|给出)|无法|不知道"
)
GIVEN = {"supports": "known", "contradicts": "other", "lacks": "abstained"}


def told(example: Example, context: Context) -> str:
    """The text in one of three versions; NotRun where the data lacks it."""
    known, other, text, lacks = map(str, needed(example, "known", "other", "told", "lacks"))
    return {"supports": text.replace("{}", known), "contradicts": text.replace("{}", other), "lacks": lacks}[context]


def grounded(example: Example, context: Context, said: str, kind: str) -> Outcome:
    """The outcome of one question about one version of a text; `kind`: known, other, abstained, else.

    Values: answer (context, memory, abstained, other), correct (0/1).  Evidence: note, predicted, gold.
    """
    given = GIVEN[context]
    answer = (
        "abstained" if kind == "abstained" else "context" if kind == given else "memory" if kind == "known" else "other"
    )
    gold = UNKNOWN[example.language] if context == "lacks" else str(example.fields[given])
    shown = {"note": f"{told(example, context)}\n{example.text}", "predicted": said, "gold": gold}
    return Outcome(kind == given, {"answer": answer, "correct": int(kind == given)}, shown)


def kind_of(example: Example, said: str) -> str:
    """Which of the answers a written one is: known, other, abstained, else."""
    if not said.strip() or ABSTAINED.search(said):
        return "abstained"
    places = {kind: mentioned(said, bare(str(example.fields[kind]))) for kind in ("known", "other")}
    found = [kind for kind in places if places[kind] >= 0]
    return min(found, key=places.__getitem__) if found else "else"
