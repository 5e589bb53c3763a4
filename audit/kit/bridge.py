"""Turn blocking code that calls a model into steps that yield to the scheduler.  Knows no model and no attack.

The blocking code runs in a thread that moves only while the scheduler waits for it: a coroutine, not concurrency.
The global random states of `random`, numpy and torch are swapped in and out at each step, so that code which draws
from them gets what it would get alone, however many such threads are alive.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Literal, Protocol

from audit.types import Outcome, Request, Steps

Said = tuple[Literal["ask", "call", "done", "died"], Any]

PATIENCE = 5.0  # seconds a cancelled search has to notice that it is cancelled


class Ask(Protocol):
    """How blocking code reaches the scheduler."""

    def __call__(self, requests: list[Request]) -> list[Any]:
        """Answers to these requests, in order."""
        ...

    def here(self, work: Callable[[], Any]) -> Any:
        """What `work` returns when the scheduler's own thread does it.

        For heavy arithmetic: every thread that does some gets a whole pool of further ones from OpenMP.
        """
        ...


class Cancelled(BaseException):
    """Raised inside the blocking code when nobody waits for it any more (not an Exception: searches catch those)."""


def bridge(work: Callable[[Ask], Outcome], seed: int) -> Steps:
    """Run `work(ask)` step by step: `ask(requests)` blocks until the scheduler has sent the answers.

    The random states of the blocking code start as `reseed(seed)` leaves them.  What `work` raises is raised here;
    closing the steps ends the thread.
    """
    search = _Search(work)
    dice = Dice(seed)
    try:
        with dice.ours():
            what, value = search.start()
        while what == "ask":
            answers = yield value
            with dice.ours():
                what, value = search.resume(answers)
    finally:
        search.cancel()
    if what == "died":
        raise value
    outcome: Outcome = value
    return outcome


class _Search:
    """A thread that is either waited for or waiting."""

    def __init__(self, work: Callable[[Ask], Outcome]) -> None:
        self._said: SimpleQueue[Said] = SimpleQueue()
        self._heard: SimpleQueue[Any] = SimpleQueue()
        self._cancelled = False
        self._thread = threading.Thread(target=self._body, args=(work,), name="audit-bridge", daemon=True)

    # The scheduler's side.

    def start(self) -> Said:
        self._thread.start()
        return self._listen()

    def resume(self, answers: list[Any]) -> Said:
        self._heard.put(answers)
        return self._listen()

    def cancel(self) -> None:
        """End the thread, wherever it is; nothing to do where it has ended by itself."""
        self._cancelled = True
        self._heard.put(None)
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)

    def _listen(self) -> Said:
        """What the thread says next, after doing for it what it wants done here."""
        what, value = self._said.get()
        while what == "call":
            try:
                self._heard.put(("came", value()))
            except Exception as error:
                self._heard.put(("raised", error))
            what, value = self._said.get()
        return what, value

    # The thread's side.

    def __call__(self, requests: list[Request]) -> list[Any]:
        answers: list[Any] = self._say("ask", requests)
        return answers

    def here(self, work: Callable[[], Any]) -> Any:
        how, value = self._say("call", work)
        if how == "raised":
            raise value
        return value

    def _say(self, what: Literal["ask", "call"], value: Any) -> Any:
        if self._cancelled:
            raise Cancelled
        self._said.put((what, value))
        heard = self._heard.get()
        if heard is None:
            raise Cancelled
        return heard

    def _body(self, work: Callable[[Ask], Outcome]) -> None:
        try:
            self._said.put(("done", work(self)))
        except BaseException as error:
            self._said.put(("died", error))


class Dice:
    """The global random states, as one search alone would have left them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: dict[str, Any] = {}

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Have the search's states in place, and put back everyone else's afterwards."""
        theirs = {name: get() for name, (_, get, _) in _streams().items()}
        for name, (fresh, _, put) in _streams().items():
            put(self._states[name] if name in self._states else fresh(self._seed))
        try:
            yield
        finally:
            for name, (_, get, put) in _streams().items():
                self._states[name] = get()
                if name in theirs:
                    put(theirs[name])


def reseed(seed: int) -> None:
    """Set the global random states as a bridged search with this seed finds them, to run the same search alone."""
    for fresh, _, put in _streams().values():
        put(fresh(seed))


Stream = tuple[Callable[[int], Any], Callable[[], Any], Callable[[Any], None]]


def _streams() -> dict[str, Stream]:
    """The global generators that exist in this process: how to seed, read and set each."""
    streams: dict[str, Stream] = {"random": (_python, random.getstate, random.setstate)}
    if numpy := sys.modules.get("numpy"):
        streams["numpy"] = (_numpy, lambda: numpy.random.get_state(legacy=False), numpy.random.set_state)
    if torch := sys.modules.get("torch"):
        streams["torch"] = (_torch, torch.random.get_rng_state, torch.random.set_rng_state)
    return streams


def _python(seed: int) -> Any:
    return random.Random(seed).getstate()


def _numpy(seed: int) -> Any:
    return sys.modules["numpy"].random.RandomState(seed % 2**32).get_state(legacy=False)


def _torch(seed: int) -> Any:
    return sys.modules["torch"].Generator().manual_seed(seed % 2**63).get_state()
