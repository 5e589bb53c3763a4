"""The nouns of an audit: frozen values that every room shares.  Knows nothing of models, files or statistics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

Scalar = str | int | float | bool | None
SUBJECT = "subject"


@dataclass(frozen=True)
class Request:
    """One question to a model.  Equal requests have equal answers.

    `role` names the model that is asked: the subject of the audit, or a helper that a suite or a user names.
    """

    role: str = field(default=SUBJECT, kw_only=True)

    @property
    def cost(self) -> int:
        """Characters in the question: a cheap guess at the work, used only to pack batches."""
        return sum(len(value) for value in vars(self).values() if isinstance(value, str | tuple))


@dataclass(frozen=True)
class Classify(Request):
    """Which label does this text (or pair of texts) get?  Answered by `Labels`."""

    text: str
    pair: str = ""


@dataclass(frozen=True)
class Tag(Request):
    """Which tag does each of these words get?  Answered by `Tags`, one tag a word."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Span(Request):
    """Which stretch of `context` answers `question`?  Answered by `SpanAnswer`."""

    question: str
    context: str


@dataclass(frozen=True)
class Fill(Request):
    """How likely is each choice in place of the one `[MASK]` in `text`?  Answered by `Choices`."""

    text: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class PseudoLogProb(Request):
    """Sum of log p of the tokens of `text` that `shared` (another text, or "" for all) has too, each masked in turn.

    Answered by `Number`, in nats.
    """

    text: str
    shared: str = ""


@dataclass(frozen=True)
class LogProb(Request):
    """Log-probability of `text` right after `prefix`, summed over its tokens.  Answered by `Number`, in nats."""

    prefix: str
    text: str


@dataclass(frozen=True)
class Generate(Request):
    """Text after a prompt, or after chat messages ((role, content), ...).  Answered by `Text`.

    `limit` is in tokens; `sample` 0 is greedy, any other number is the seed of one sample at temperature 1.
    """

    prompt: str = ""
    messages: tuple[tuple[str, str], ...] = ()
    limit: int = 64
    stop: tuple[str, ...] = ()
    sample: int = 0


@dataclass(frozen=True)
class Embed(Request):
    """A vector for this text.  Answered by `Vector`."""

    text: str


@dataclass(frozen=True)
class Tokens(Request):
    """How many tokens is this text to the model, with what it adds of its own?  Answered by `Number`; costs no pass."""

    text: str


@dataclass(frozen=True)
class Gradient(Request):
    """How does the loss of `label` react to each token of `text`?  Answered by `Saliency`.

    `flips` is how many replacement tokens to propose for each token (HotFlip's first-order estimate), 0 for none.
    """

    text: str
    label: str
    flips: int = 0


@dataclass(frozen=True)
class Answer:
    """What a model says to one request.  `dropped` counts tokens cut off; `unknown` is the share of text (0-1) lost."""

    dropped: int = field(default=0, kw_only=True)
    unknown: float = field(default=0.0, kw_only=True)


@dataclass(frozen=True)
class Labels(Answer):
    """Probabilities (summing to 1) and raw logits, in the order of `names`."""

    probs: tuple[float, ...]
    names: tuple[str, ...]
    logits: tuple[float, ...] = ()

    @property
    def top(self) -> str:
        """The most probable label; the first one on a tie."""
        return self.names[max(range(len(self.probs)), key=self.probs.__getitem__)]

    def of(self, name: str) -> float:
        """The probability of one label.  KeyError for a label the model does not have."""
        if name not in self.names:
            raise KeyError(f"no label {name!r} among {', '.join(self.names)}")
        return self.probs[self.names.index(name)]


@dataclass(frozen=True)
class Tags(Answer):
    """One tag for each word asked, and the probability of each."""

    names: tuple[str, ...]
    probs: tuple[float, ...] = ()


@dataclass(frozen=True)
class SpanAnswer(Answer):
    """The answer's text, its character range in the context, its score; text "" says: not answerable from here."""

    text: str
    start: int = 0
    end: int = 0
    score: float = 0.0


@dataclass(frozen=True)
class Choices(Answer):
    """Log-probability (nats) of each choice, in the order asked; `parts`, where given, of each token of each choice."""

    logprobs: tuple[float, ...]
    parts: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Number(Answer):
    """One number, and the count of tokens it was summed over."""

    value: float
    tokens: int = 0


@dataclass(frozen=True)
class Text(Answer):
    """Generated text; `logprob` is the sum over its `tokens` where the model gives it."""

    text: str
    tokens: int = 0
    logprob: float | None = None


@dataclass(frozen=True)
class Vector(Answer):
    """An embedding."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Saliency(Answer):
    """For each token: its character range, the gradient's norm, and proposed (replacement, estimated loss gain)."""

    spans: tuple[tuple[int, int], ...]
    norms: tuple[float, ...]
    flips: tuple[tuple[tuple[str, float], ...], ...] = ()


@dataclass(frozen=True)
class Failed(Answer):
    """The model could not answer this one request (non-finite logits, out of memory, a refusing server).

    `skip` where the user asked for such requests to be left out (a text beyond the context): no error then.
    """

    why: str
    skip: bool = False


class Model(Protocol):
    """Anything that can answer batches of requests; a batch holds one kind."""

    answers: frozenset[type[Request]]

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; `Failed` where one could not be answered."""
        ...


@dataclass(frozen=True)
class Example:
    """One row under test.  `group` is what findings may be split by; `fields` holds the row's other columns."""

    id: str
    text: str
    pair: str = ""
    label: str | None = None
    group: str = ""
    language: str = "en"
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Outcome:
    """What one probe learned from one example.

    `passed` None means: no verdict on this item.  `values` are flat columns for measures; `evidence` is texts to show.
    """

    passed: bool | None = None
    values: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    evidence: Mapping[str, str] = field(default_factory=dict, hash=False)


Steps = Generator[list[Request], list[Any], Outcome]
Ready = Callable[..., str | Mapping[str, str]]


@dataclass(frozen=True)
class Probe:
    """A question about behaviour: yields lists of requests, is sent lists of answers, returns an Outcome.

    `ready(**settings)` returns why these settings cannot run here, as a text or as {"en": ..., "zh": ...} (empty when
    they can).  `roles` names the helper models that it asks, each with the request it asks them.
    """

    name: str
    needs: frozenset[type[Request]]
    run: Callable[..., Steps]
    doc: str = ""
    ready: Ready | None = None
    roles: Mapping[str, type[Request]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Trial:
    """One probe on one example: the unit of planning, of resuming, of evidence.

    `entry` is the probe's name in its suite, `seed` the run's.  `peers` are in-distribution examples of the run's own
    data, for a probe that has a parameter of that name; `company` is the hash of what they say.
    """

    suite: str
    entry: str
    probe: Probe
    example: Example
    params: tuple[tuple[str, Scalar], ...] = ()
    seed: int = 0
    peers: tuple[Example, ...] = field(default=(), compare=False, repr=False)
    company: str = ""

    @cached_property
    def id(self) -> str:
        """A hash of what was asked: equal trials have equal ids in every run."""
        example = self.example
        key = [self.suite, self.entry, self.params, example.id, example.text, example.pair, example.label, self.seed]
        key += [self.company] if self.company else []
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Record:
    """One line of records.jsonl.

    `asked` counts requests, `seconds` the time the probe was alive, `truncated` the requests whose text was cut,
    `unknown` the smallest share of a text lost to unknown tokens among the trial's requests.
    """

    trial: str
    suite: str
    entry: str
    params: Mapping[str, Scalar]
    example: str
    group: str = ""
    language: str = "en"
    outcome: Outcome | None = None
    error: str | None = None
    asked: int = 0
    truncated: int = 0
    unknown: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.  None where it is undefined; `method` names the interval or says why none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    clusters: int = 0
    method: str = ""
    confidence: float = 0.95


VerdictName = Literal[
    "confirmed", "not_detected", "inconclusive", "not_run", "error",
    "worse", "better", "no_detectable_change", "not_comparable",
]  # fmt: skip
Severity = Literal["critical", "high", "medium", "low", "info"]
Direction = Literal["lower", "higher", "zero", "none"]


@dataclass(frozen=True)
class Finding:
    """One row of the report.

    `params` are the probe's settings, `group` the slice ("" for all), `unit` one of proportion, percent, points, score,
    count; `limit` the bound the verdict was taken against (for direction zero: the distance from `ideal`); `detail` the
    measure's other results; `examples` trial ids.
    """

    id: str
    suite: str
    probe: str
    params: Mapping[str, Scalar]
    group: str
    measure: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    clusters: int = 0
    method: str = ""
    confidence: float = 0.95
    direction: Direction = "none"
    unit: str = "proportion"
    limit: float | None = None
    ideal: float | None = None
    verdict: VerdictName = "not_run"
    severity: Severity = "info"
    statement: Mapping[str, str] = field(default_factory=dict)
    card: str = ""
    card_hash: str = ""
    skipped: int = 0
    errors: int = 0
    truncated: int = 0
    unreadable: int = 0
    reason: str = ""
    seconds: float = 0.0
    asked: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One light of the gate: a rule, the finding it judged, what it says and why."""

    rule: str
    finding: str
    status: Literal["met", "violated", "inconclusive", "not_run", "error", "waived", "not_comparable"]
    why: str


def probe(
    *needs: type[Request],
    ready: Ready | None = None,
    roles: Mapping[str, type[Request]] | None = None,
) -> Callable[[Callable[..., Steps]], Probe]:
    """Make a probe of a generator function `(example, rng, **settings)`; `needs` lists the requests it asks.

    `roles` names the helper models it cannot do without, each with what it asks them.
    """

    def make(run: Callable[..., Steps]) -> Probe:
        return Probe(run.__name__, frozenset(needs), run, (run.__doc__ or "").strip(), ready, dict(roles or {}))

    return make
