"""Drive many probes at once, pooling their requests into full batches.  Knows nothing of models, files or suites."""

from __future__ import annotations

import math
import random
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from audit.errors import NotRun, RequestFailed, Skipped
from audit.types import Answer, Failed, LogProb, Model, Outcome, Record, Request, Steps, Tokens, Trial

Kind = tuple[str, type[Request]]
LOST = 0.2  # a text is unreadable when the tokenizer loses more than this share of it


def drive(
    trials: Iterable[Trial],
    models: Mapping[str, Model],
    *,
    live: int = 256,
    budget: int = 1 << 20,
    memory: int = 1 << 16,
) -> Generator[Record, None, None]:
    """Run trials to completion, `live` at a time; yield each Record as it is ready, in no promised order.

    `models` maps a role to its model.  `budget` bounds a batch in characters (the model splits it further by tokens),
    `memory` how many answers are kept for requests that come again.
    """
    queue, alive = iter(trials), set[Flow]()
    ready: deque[Flow] = deque()
    pool = Pool(budget)
    known = Memory(memory)
    try:
        while True:
            for trial in islice(queue, live - len(alive)):
                flow = Flow(trial)
                alive.add(flow)
                ready.append(flow)
            if not ready:
                if not pool:
                    return
                ready.extend(_deliver(pool, known, models))
            while ready:
                flow = ready.popleft()
                if flow.record:
                    alive.discard(flow)
                    yield flow.record
                elif not pool.add(flow, known):
                    flow.advance()
                    ready.append(flow)
    finally:
        for flow in alive:
            flow.close()


def _deliver(pool: Pool, known: Memory, models: Mapping[str, Model]) -> Iterator[Flow]:
    """Ask one batch, hand its answers out, and give back the flows that lack nothing more."""
    kind, batch = pool.take()
    started = time.perf_counter()
    answers = _ask(batch, kind, models)
    share = (time.perf_counter() - started) / len(batch)
    for request, answer in zip(batch, answers, strict=True):
        if not isinstance(answer, Failed):
            known.keep(request, answer)
        waiting = pool.waiting(request)
        for flow in waiting:
            flow.seconds += share / len(waiting)
            if flow.receive(request, answer):
                yield flow


def _ask(batch: list[Request], kind: Kind, models: Mapping[str, Model]) -> list[Answer]:
    """Answers for a batch; where the model raises, halve it until the request at fault stands alone."""
    role, _ = kind
    if role not in models:
        roles = ", ".join(sorted(models))
        return [
            Failed(f"no model plays the role {role!r} (roles: {roles}); name one with --helper {role}=MODEL")
        ] * len(batch)
    try:
        answers = models[role].run(batch)
        if len(answers) != len(batch):
            raise RuntimeError(f"the model gave {len(answers)} answers to {len(batch)} requests")
        return answers
    except Exception as error:
        if len(batch) == 1:
            return [Failed(f"{type(error).__name__}: {error}")]
        middle = len(batch) // 2
        return _ask(batch[:middle], kind, models) + _ask(batch[middle:], kind, models)


class Flow:
    """One live probe: a generator, what it waits for, and what it has been told."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.record: Record | None = None
        self.seconds = 0.0
        self.waits: list[Request] = []
        self.lacking = 0
        self.got: dict[Request, Answer] = {}
        self._asked, self._truncated, self._unknown = 0, 0, 1.0
        self._failed = ""
        self._steps: Steps | None = None
        self._send(None)

    def receive(self, request: Request, answer: Answer) -> bool:
        """Take one answer; True once nothing is missing."""
        self.got[request] = answer
        self.lacking -= 1
        return self.lacking == 0

    def advance(self) -> None:
        """Send the answers waited for, or throw where one of them failed."""
        answers = [self.got[request] for request in self.waits]
        for answer in answers:
            self._truncated += answer.dropped > 0
            self._unknown = min(self._unknown, answer.unknown)
        failed = next((a for a in answers if isinstance(a, Failed)), None)
        self._send(None if failed else answers, failed)

    def close(self) -> None:
        """End a probe that nobody waits for any more."""
        if self._steps is not None:
            self._steps.close()

    def _send(self, answers: list[Answer] | None, failed: Failed | None = None) -> None:
        started = time.perf_counter()
        try:
            if self._steps is None:
                trial = self.trial
                rng = random.Random(f"{trial.seed}/{trial.example.fields.get('set_id', trial.example.id)}")
                given = {"peers": trial.peers} if trial.peers else {}
                self._steps = trial.probe.run(trial.example, rng, **given, **dict(trial.params))
            if failed:
                asked = self._steps.throw((Skipped if failed.skip else RequestFailed)(failed.why))
            else:
                asked = self._steps.send(answers)  # type: ignore[arg-type]
            self.waits, self.got = _checked(asked, self.trial), {}
            self._asked += len(self.waits)
        except StopIteration as stop:
            self._finish(*_outcome(stop.value, self.trial))
        except Skipped as error:
            self._finish(Outcome(None, {}, {"note": str(error)}), None)
        except (RequestFailed, NotRun) as error:
            self._finish(None, f"{type(error).__name__}: {error}")
        except Exception:
            self._finish(None, traceback.format_exc(limit=-3))
        finally:
            self.seconds += time.perf_counter() - started

    def _finish(self, outcome: Outcome | None, error: str | None) -> None:
        trial, self.waits = self.trial, []
        self.record = Record(
            trial=trial.id,
            suite=trial.suite,
            entry=trial.entry,
            params=dict(trial.params),
            example=trial.example.id,
            group=trial.example.group,
            language=trial.example.language,
            outcome=outcome,
            error=error,
            asked=self._asked,
            truncated=self._truncated,
            unknown=self._unknown if self._asked else 0.0,
            seconds=self.seconds,
        )


def _checked(asked: Any, trial: Trial) -> list[Request]:
    if not isinstance(asked, list) or not all(isinstance(request, Request) for request in asked):
        raise TypeError(f"probe {trial.probe.name!r} must yield a list of requests, not {asked!r:.200}")
    return asked


def _outcome(value: Any, trial: Trial) -> tuple[Outcome | None, str | None]:
    name = trial.probe.name
    if not isinstance(value, Outcome):
        return None, f"TypeError: probe {name!r} must return an Outcome, not {value!r:.200}"
    for column, cell in value.values.items():
        storable = math.isfinite(cell) if isinstance(cell, float) else cell is None or isinstance(cell, str | int)
        if not storable:
            return (
                None,
                f"ValueError: probe {name!r} gave {column}={cell!r:.80}; values are texts, finite numbers or None",
            )
    return value, None


class Pool:
    """Requests that somebody waits for, by kind, each once."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._kinds: dict[Kind, dict[Request, list[Flow]]] = {}
        self._taken: dict[Request, list[Flow]] = {}

    def __bool__(self) -> bool:
        return any(self._kinds.values())

    def add(self, flow: Flow, known: Memory) -> bool:
        """Note what this flow still misses after looking in memory; False when it misses nothing."""
        for request in dict.fromkeys(flow.waits):
            if request in flow.got:
                continue
            answer = known.recall(request)
            if answer is not None:
                flow.got[request] = answer
            else:
                flow.lacking += 1
                self._kinds.setdefault((request.role, type(request)), {}).setdefault(request, []).append(flow)
        return flow.lacking > 0

    def take(self) -> tuple[Kind, list[Request]]:
        """The fullest kind, and as many of its requests as the budget allows.

        What costs no pass goes first: probes that count before they ask then ask together, and share what they ask.
        """
        kind = max(self._kinds, key=lambda k: (k[1] is Tokens and bool(self._kinds[k]), len(self._kinds[k])))
        wanted = self._kinds[kind]
        batch = pack(list(wanted), self._budget)
        self._taken = {request: wanted.pop(request) for request in batch}
        return kind, batch

    def waiting(self, request: Request) -> list[Flow]:
        """Who asked a request of the batch just taken."""
        return self._taken[request]


def pack(wanted: list[Request], budget: int) -> list[Request]:
    """The requests that fit the budget: the oldest, and those next to it by shared prefix and length.

    A prefix that stands beside its equal costs nothing, so that questions to one long text stay in one batch.
    """
    if sum(request.cost + 1 for request in wanted) <= budget:
        return wanted
    oldest = wanted[0]
    ordered = sorted(wanted, key=_kinship)
    at = ordered.index(oldest)
    batch, room = [oldest], budget - oldest.cost
    for request in ordered[at + 1 :] + ordered[:at][::-1]:
        room -= _further(request, batch[-1]) + 1
        if room < 0:
            break
        batch.append(request)
    return batch


def _further(request: Request, before: Request) -> int:
    """What a request costs beside the one before it."""
    if isinstance(request, LogProb) and isinstance(before, LogProb) and request.prefix == before.prefix:
        return len(request.text)
    return request.cost


def _kinship(request: Request) -> tuple[str, int]:
    return (request.prefix if isinstance(request, LogProb) else "", request.cost)


class Memory(OrderedDict[Request, Answer]):
    """Answers already paid for, least recently used forgotten first."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def recall(self, request: Request) -> Answer | None:
        """The answer to an equal request, if it is still remembered."""
        if request not in self:
            return None
        self.move_to_end(request)
        return self[request]

    def keep(self, request: Request, answer: Answer) -> None:
        """Remember an answer."""
        self[request] = answer
        while len(self) > self._limit:
            self.popitem(last=False)
