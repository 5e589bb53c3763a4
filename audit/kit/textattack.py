"""A TextAttack recipe as a probe: its unmodified search asks our scheduler in the place of its own model wrapper.

Knows nothing of models: the attacked one answers `Classify` requests.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Any

from audit.errors import RequestFailed, nearest
from audit.kit import recipes
from audit.kit.bridge import Ask, bridge
from audit.kit.search import Ended, target_of, verdict
from audit.types import Classify, Example, Gradient, Labels, Outcome, Saliency, Steps, probe

HALF = 0.5  # share of words that input_reduction must take away to count as successful
NEVER = -1e9  # the logit of a probability of 0
CLOSE = 1e-4
BY_GRADIENT = "word order by the norm of each token's gradient (the recipe sums the gradient's own entries)"
NOTHING = "the text holds nothing that this attack could change"

Key = tuple[str, str, str, int]


@probe(Classify, ready=recipes.ready)
def attack(
    example: Example,
    rng: random.Random,
    recipe: str = "deepwordbug",
    mlm: str = "",
    encoder: str = "",
    changes: int = 0,
) -> Steps:
    """AN ADVERSARIAL SEARCH tries to change the model's label by small edits of the text.

    `recipe` is one of TextAttack's, by the names in `audit.kit.recipes`, run as it is; what had to be replaced or left
    out is in the evidence's note.  `mlm` is the folder of a masked language model (bae, bert_attack, clare, a2t,
    chinese), `encoder` that of a sentence encoder for the filters on similar meaning, `changes` bounds the number of
    edits (pruthi, bad_characters).  An item passes when the search fails; it has no verdict when the model had it wrong
    before.  Without a gold label the model's own prediction is attacked.  input_reduction is the other way round: it
    takes words away for as long as the label stays, and it is successful when at least half of them are gone.
    """
    seed = rng.getrandbits(64)
    [before] = yield [question(example.text, example.pair)]
    key = (recipe, mlm, encoder, changes)
    search = _idle[key].pop() if _idle[key] else Search(*key)
    outcome = yield from bridge(lambda ask: search.run(example, before, ask), seed)
    _idle[key].append(search)
    return outcome


class Search:
    """One Attack object of TextAttack's, which keeps its state on itself: one for each live search."""

    def __init__(self, recipe: str, mlm: str = "", encoder: str = "", changes: int = 0) -> None:
        from audit.kit.recipes_build import build

        self._victim = Victim()
        built = build(recipe, self._victim, mlm=mlm, encoder=encoder, changes=changes)
        self._attack, self._notes = built.attack, built.notes
        self._attack.goal_function.batch_size = 1 << 30  # one list of requests for each step of the search

    def run(self, example: Example, before: Labels, ask: Ask) -> Outcome:
        """Attack one example; `before` is what the model says of its untouched text."""
        gold = target_of(example, before)
        if gold not in before.names:
            raise RequestFailed(f"the model has no label {gold!r}: {nearest(gold, before.names)}")
        self._victim.meet(ask, question(example.text, example.pair), before)
        goal, text = self._attack.goal_function, attacked(example)
        if hasattr(goal, "target_class"):
            goal.target_class = before.names.index(_runner_up(before, gold))
        if not self._can_start(text):
            state = "failed" if before.top == gold else "skipped"
            end = Ended(state, before.top, _shown(text), 1, len(text.words), notes=(NOTHING,))
            return verdict(example, before, end)
        result = self._attack.attack(text, before.names.index(gold))
        last = result.perturbed_result
        label = before.names[int(last.output)]
        state, changed = _judge(result, text, last.attacked_text)
        notes = (*self._notes, BY_GRADIENT) if self._victim.gave_gradients else self._notes
        shown, queries = _shown(last.attacked_text), int(last.num_queries)
        return verdict(example, before, Ended(state, label, shown, queries, len(text.words), changed, notes))

    def _can_start(self, text: Any) -> bool:
        """Some recipes break on a text that holds nothing they could change."""
        swap = self._attack.transformation
        return bool(text.words) and (not hasattr(swap, "_get_glyph_map") or bool(swap._get_glyph_map(text)))


# Searches that nobody uses now.  One that was broken off never comes back: its state is unknown.
_idle: dict[Key, list[Search]] = defaultdict(list)


class Victim:
    """The attacked model as TextAttack's recipes see it: a model wrapper that asks the scheduler."""

    max_length = 1 << 20  # words; the model itself bounds and counts what it cuts off

    def __init__(self) -> None:
        self.model = self
        self.gave_gradients = False
        self._ask: Ask | None = None
        self._known: tuple[Classify, Labels] | None = None
        self._tokens: list[str] = []

    def meet(self, ask: Ask, asked: Classify, answer: Labels) -> None:
        """Start a search: whom to ask, and the one answer that is known already."""
        self._ask, self._known = ask, (asked, answer)

    def __call__(self, texts: Sequence[str | tuple[str, str]]) -> list[list[float]]:
        """Scores of each label for each text; TextAttack takes their softmax."""
        requests = [question(text) if isinstance(text, str) else question(*text) for text in texts]
        if self._known and requests == [self._known[0]]:
            return [scores(self._known[1])]
        return [scores(answer) for answer in self._asking(requests)]

    def here(self, work: Callable[[], Any]) -> Any:
        """What `work` returns in the scheduler's thread."""
        return work() if self._ask is None else self._ask.here(work)

    def _asking(self, requests: list[Any]) -> list[Any]:
        if self._ask is None:
            raise RuntimeError("nobody has met this victim: no search is running")
        return self._ask(requests)

    def get_grad(self, text: str) -> dict[str, Any]:
        """How strongly each token bears on the model's own label: one number a token, for searches that rank words."""
        import numpy as np

        self.gave_gradients = True
        [labels] = self._asking([question(text)])
        [found] = self._asking([Gradient(text, labels.top)])
        self._tokens = _pieces(text, found)
        return {"ids": None, "gradient": np.array(found.norms, dtype=float).reshape(-1, 1)}

    def tokenize(self, texts: list[str], strip_prefix: bool = False) -> list[list[str]]:
        """The tokens of the text whose gradient was asked last."""
        return [self._tokens for _ in texts]


def question(text: str, pair: str = "") -> Classify:
    """What is asked of the model about a text or a pair of texts."""
    return Classify(text, pair)


def attacked(example: Example) -> Any:
    """The example as TextAttack's text; a pair has the column names that recipes know from NLI data."""
    from audit.kit.recipes_quiet import module

    columns = [("premise", example.text), ("hypothesis", example.pair)] if example.pair else [("text", example.text)]
    return module("shared").AttackedText(OrderedDict(columns))


def scores(answer: Labels) -> list[float]:
    """Numbers whose softmax are the probabilities, never summing to 1: TextAttack takes what does for probabilities."""
    logits = list(answer.logits)
    if len(logits) != len(answer.names):
        logits = [math.log(p) if p > 0 else NEVER for p in answer.probs]
    if abs(sum(logits) - 1) < CLOSE:
        return [logit - max(logits) for logit in logits]
    return logits


def _pieces(text: str, found: Saliency) -> list[str]:
    return [text[start:end] for start, end in found.spans]


def _runner_up(answer: Labels, gold: str) -> str:
    """The most probable label other than `gold`."""
    return max((name for name in answer.names if name != gold), key=answer.of, default=gold)


def _judge(result: Any, first: Any, last: Any) -> tuple[str, int]:
    """The state of the attack in the words of the measure `attack`, and how many words it changed."""
    kind = type(result).__name__.removesuffix("AttackResult").lower()
    if kind == "maximized":
        gone = len(first.words) - len(last.words)
        return "successful" if gone >= HALF * len(first.words) else "failed", gone
    return kind, 0 if kind == "skipped" else _changed(first, last)


def _changed(first: Any, last: Any) -> int:
    """TextAttack's count of changed words; where their number changed, the words that are not in both texts."""
    if len(first.words) == len(last.words):
        return len(first.all_words_diff(last))
    same = SequenceMatcher(None, first.words, last.words, autojunk=False).get_matching_blocks()
    return max(len(first.words), len(last.words)) - sum(block.size for block in same)


def _shown(text: Any) -> str:
    given = text.tokenizer_input
    return given if isinstance(given, str) else "\n".join(given)
