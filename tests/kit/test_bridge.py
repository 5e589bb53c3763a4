"""Law 5: blocking code run through the bridge gives what it gives alone, frees its threads, keeps its dice apart."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch

from audit import Answer, Classify, Example, Labels, Outcome, Request, Steps, Trial, probe
from audit.kit import bridge as room
from audit.kit.bridge import Ask, bridge, reseed
from audit.schedule import drive

ROUNDS, WIDTH = 6, 5


class Letters:
    """A subject whose answer depends on the text alone."""

    answers: frozenset[type[Request]] = frozenset({Classify})

    def run(self, batch: list[Request]) -> list[Answer]:
        return [self.one(request.text) for request in batch if isinstance(request, Classify)]

    @staticmethod
    def one(text: str) -> Labels:
        share = (sum(map(ord, text)) % 89) / 89
        return Labels((share, 1 - share), ("yes", "no"))


def climb(text: str, ask: Ask) -> Outcome:
    """A blocking hill climb that draws from all three global generators, as searches of other toolkits do."""
    drawn = []
    for _ in range(ROUNDS):
        tries = []
        for _ in range(WIDTH):
            at = np.random.randint(len(text))
            tries.append(text[:at] + random.choice("abcdefgh ") + text[at + 1 :])
        answers = ask([Classify(t) for t in tries])
        text = max(zip(tries, answers, strict=True), key=lambda pair: pair[1].probs[0])[0]
        drawn += [random.random(), float(np.random.standard_normal()), float(torch.rand(()))]
    return Outcome(True, {"sum": sum(drawn)}, {"after": text})


@probe(Classify)
def climbing(example: Example, rng: random.Random) -> Steps:
    return (yield from bridge(lambda ask: climb(example.text, ask), rng.getrandbits(64)))


@probe(Classify)
def spoiler(example: Example, rng: random.Random) -> Steps:
    """A bad neighbour: it seeds and draws from the global generators between the others' steps."""
    for turn in range(ROUNDS):
        random.seed(turn)
        np.random.seed(turn)
        torch.manual_seed(turn)
        yield [Classify(f"{example.id} {turn}")]
    return Outcome(True)


def alone(example: Example, seed: int) -> Outcome:
    """The same search without bridge, scheduler or neighbours."""
    model = Letters()
    reseed(random.Random(f"{seed}/{example.id}").getrandbits(64))
    return climb(example.text, model.run)  # type: ignore[arg-type]


def rows(count: int) -> list[Example]:
    return [Example(str(i), f"the quick brown fox {i}") for i in range(count)]


def together(live: int, count: int = 24) -> dict[str, Outcome | None]:
    trials = [Trial("s", "e", p, row, seed=3) for row in rows(count) for p in (climbing, spoiler)]
    records = drive(trials, {"subject": Letters()}, live=live)
    return {r.example: r.outcome for r in records if r.outcome is None or "sum" in r.outcome.values}


@pytest.mark.parametrize("live", [1, 7, 64])
def test_a_search_gives_what_it_gives_alone(live: int) -> None:
    assert together(live) == {row.id: alone(row, 3) for row in rows(24)}


@pytest.mark.parametrize("stream", ["random", "numpy", "torch"])
def test_without_the_swap_of_any_one_state_the_law_breaks(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    every = room._streams
    monkeypatch.setattr(room, "_streams", lambda: {n: s for n, s in every().items() if n != stream})
    got = together(16)
    monkeypatch.undo()
    assert got != {row.id: alone(row, 3) for row in rows(24)}


def test_the_global_states_stay_as_the_caller_left_them() -> None:
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    expected = random.random(), np.random.standard_normal(), torch.rand(()).item()
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    steps = climbing.run(rows(1)[0], random.Random(0))
    steps.send([Letters.one(r.text) for r in next(steps)])
    assert (random.random(), np.random.standard_normal(), torch.rand(()).item()) == expected
    steps.close()


def bridges() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "audit-bridge"]


def test_a_cancelled_search_frees_its_thread() -> None:
    steps = climbing.run(rows(1)[0], random.Random(0))
    next(steps)
    assert len(bridges()) == 1
    steps.close()
    assert bridges() == []


def test_a_run_that_is_abandoned_leaves_no_thread() -> None:
    records = drive([Trial("s", "e", climbing, row) for row in rows(20)], {"subject": Letters()}, live=8)
    next(records)
    records.close()
    assert bridges() == []


def test_steps_that_never_started_have_no_thread() -> None:
    climbing.run(rows(1)[0], random.Random(0)).close()
    assert bridges() == []


def test_code_that_swallows_everything_is_still_cancelled() -> None:
    def stubborn(ask: Ask) -> Outcome:
        for _ in range(1000):
            try:
                ask([Classify("x")])
            except BaseException:
                time.sleep(0)
        return Outcome(True)

    steps = bridge(stubborn, 0)
    next(steps)
    steps.close()
    assert bridges() == []


def test_what_the_search_raises_is_one_error_record() -> None:
    def broken(ask: Ask) -> Outcome:
        ask([Classify("x")])
        raise ZeroDivisionError("nothing to divide by")

    @probe(Classify)
    def breaking(example: Example, rng: random.Random) -> Steps:
        return (yield from bridge(broken, 0))

    trials = [Trial("s", p.name, p, row) for row in rows(4) for p in (breaking, climbing)]
    records: list[Any] = list(drive(trials, {"subject": Letters()}))
    errors = [r for r in records if r.error]
    assert len(records) == 8
    assert {r.entry for r in errors} == {"breaking"}
    assert all("nothing to divide by" in r.error for r in errors)
    assert bridges() == []


def test_heavy_work_is_done_in_the_schedulers_thread_with_the_searches_dice() -> None:
    def heavy(ask: Ask) -> Outcome:
        where = ask.here(lambda: threading.current_thread())
        drawn = ask.here(random.random)
        with pytest.raises(KeyError, match="lost"):
            ask.here(lambda: {}["lost"])
        ask([Classify("x")])
        return Outcome(
            where is not threading.current_thread(), {"mine": where is threading.main_thread(), "drawn": drawn}
        )

    steps = bridge(heavy, 3)
    next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.send([Letters.one("x")])
    assert stop.value.value == Outcome(True, {"mine": True, "drawn": random.Random(3).random()})


def test_a_failed_request_ends_the_search() -> None:
    class Silent(Letters):
        def run(self, batch: list[Request]) -> list[Answer]:
            raise OSError("the server is gone")

    [record] = drive([Trial("s", "e", climbing, rows(1)[0])], {"subject": Silent()})
    assert "the server is gone" in (record.error or "")
    assert bridges() == []


def test_a_search_that_asks_nothing_is_a_search() -> None:
    with pytest.raises(StopIteration) as stop:
        next(bridge(lambda ask: Outcome(None), 0))
    assert stop.value.value == Outcome(None)
