"""Long texts of an exact length around what is to be found in them, as steps.  Knows no model but its token counts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from audit.errors import NotRun
from audit.types import Number, Request, Tokens

Counting = Generator[list[Request], list[Number], "Fitted"]
SENTENCE = re.compile(r"[^.!?。！？]+[.!?。！？]+[”\"’)]*\s*")
TOPPING = ((" so", " on", " a", ".", "\n", " …"), ("啊", "的", "。", "\n", "…", "一"))
ROUNDS = 24  # of counting: interpolation needs three to five
SHOWN = 160  # characters of a long text's head and tail that are kept as evidence


@dataclass(frozen=True)
class Fitted:
    """A text, its length in tokens, and how many units of filler are in it."""

    text: str
    tokens: int
    units: int


class Hay:
    """Filler sentences in a seeded order that never ends: every paragraph once, then all again in a new order.

    `measure` is yielded from once; after it, text of about any number of tokens is cut without counting again.  Units
    are words, in Chinese characters.
    """

    def __init__(self, paragraphs: Sequence[str], language: str, rng: Random) -> None:
        self.chinese = language == "zh"
        self.space = "" if self.chinese else " "
        self._paragraphs, self._rng = list(paragraphs), rng
        self._sentences: list[list[str]] = []
        self._ends: list[int] = []
        self._cost = 1.3

    def measure(self) -> Generator[list[Request], list[Number], None]:
        """Count the tokens of each paragraph: asked once for all haystacks of a run, since equal questions are."""
        counts = yield [Tokens(paragraph) for paragraph in self._paragraphs]
        units = sum(len(self._units(paragraph)) for paragraph in self._paragraphs)
        self._cost = max(sum(count.value for count in counts) / max(units, 1), 0.05)

    def guess(self, tokens: int) -> int:
        """About how many units make this many tokens."""
        return max(int(tokens / self._cost), 0)

    def cut(self, units: int, planted: Sequence[tuple[float, str]] = (), topping: str = "") -> str:
        """The first `units` of filler, with each planted text at the sentence boundary nearest its depth (0 to 1).

        A sentence that is cut short gets its stop; `topping` stands before that stop.
        """
        while not self._ends or self._ends[-1] < units:
            self._more()
        whole = next(at for at, end in enumerate([0, *self._ends]) if end >= units)
        sentences = [self.space.join(sentence) for sentence in self._sentences[:whole]]
        if whole and (over := self._ends[whole - 1] - units):
            stop = "。" if self.chinese else "."
            sentences[-1] = self.space.join(self._sentences[whole - 1][:-over]).rstrip(".,;:，；：、") + topping + stop
        elif topping:
            sentences.append(topping.strip() + ("。" if self.chinese else "."))
        for depth, text in sorted(planted, key=lambda item: -item[0]):
            sentences.insert(round(depth * whole), text)
        return self.space.join(sentences)

    def _units(self, text: str) -> list[str]:
        return list(text) if self.chinese else text.split()

    def _more(self) -> None:
        self._rng.shuffle(self._paragraphs)
        made = [self._units(m.strip()) for p in self._paragraphs for m in SENTENCE.findall(p)]
        self._sentences += made
        self._ends = list(accumulate(map(len, self._sentences)))


def fitted(compose: Callable[[int, str], str], room: int, guess: int, language: str = "en") -> Counting:
    """The longest `compose(units, topping)` of at most `room` tokens; where no number of units fills the room, topped.

    `compose` grows with `units`, and `guess` is about how many will do.  The result is exactly `room` tokens long
    unless no topping makes up the last few (its `tokens` says).  NotRun where what is not filler is longer already.
    """
    low, high = Fitted("", -1, -1), 4 * room + 1  # low fits, high does not; no tokenizer merges more than four units
    over, at = 0, min(max(guess, 0), room)
    for _ in range(ROUNDS):
        text = compose(at, "")
        [count] = yield [Tokens(text)]
        if count.value <= room:
            low = Fitted(text, int(count.value), at)
        else:
            high, over = at, int(count.value)
        if low.tokens == room or high - low.units <= 1:
            break
        at = _between(low, high, over, room)
    if low.tokens < 0:
        raise NotRun(f"{room} tokens leave no room: what is to be found and the question alone take {over}")
    if low.tokens == room:
        return low
    spare = room - low.tokens
    for sizes in ([spare], range(max(spare // 4, 1), spare + 2)):
        tried = [compose(low.units, unit * size) for unit in TOPPING[language == "zh"] for size in sizes]
        counts = yield [Tokens(text) for text in tried]
        for text, count in zip(tried, counts, strict=True):
            if count.value == room:
                return Fitted(text, room, low.units)
    return low


def _between(low: Fitted, high: int, over: int, room: int) -> int:
    """The number of units to try next, strictly between one that fits and one that does not."""
    if low.tokens < 0:
        return max(high - int((over - room) / 1.3) - 1, 0)
    slope = (over - low.tokens) / (high - low.units) if over else 1.3
    at = low.units + int((room - low.tokens) / max(slope, 0.05))
    return min(max(at, low.units + 1), high - 1)


def bounded(text: str) -> str:
    """A long text as evidence: head, tail, length and hash; a short one as it is."""
    if len(text) <= 3 * SHOWN:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{text[:SHOWN]} … [{len(text):,} characters, sha256 {digest}] … {text[-SHOWN:]}"
