"""Laws 1, 3 and 4: how probes are driven never changes what they find."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from conftest import Sums, trials, wander

from audit import Classify, Example, Failed, LogProb, NotRun, Number, Outcome, Tokens, probe
from audit.schedule import drive, pack


def outcomes(records):
    return {r.trial: (r.outcome, r.error, r.asked, r.truncated, r.unknown) for r in records}


@pytest.mark.parametrize("live", [1, 3, 64, 1000])
@pytest.mark.parametrize("budget", [1, 200, 1 << 20])
@pytest.mark.parametrize("memory", [0, 10, 1 << 16])
def test_same_outcomes_whatever_the_batches(live, budget, memory):
    alone = outcomes(drive(trials(60), {"subject": Sums()}, live=1))
    shuffled = trials(60)
    random.Random(live).shuffle(shuffled)
    pooled = outcomes(drive(shuffled, {"subject": Sums()}, live=live, budget=budget, memory=memory))
    assert pooled == alone
    assert len(alone) == 60


def test_pooling_fills_batches():
    wide, narrow = Sums(), Sums()
    list(drive(trials(200), {"subject": wide}, live=64))
    list(drive(trials(200), {"subject": narrow}, live=1))
    assert sum(wide.batches) / len(wide.batches) > 5 * sum(narrow.batches) / len(narrow.batches)


def test_equal_requests_are_asked_once():
    @probe(Classify)
    def same(example, rng):
        """Ask what everybody asks."""
        first = yield [Classify("one text"), Classify("one text"), Classify(example.text)]
        again = yield [Classify("one text")]
        return Outcome(first[0] == first[1] == again[0])

    model = Sums()
    records = list(drive(trials(50, same), {"subject": model}, live=7))
    assert all(r.outcome.passed for r in records)
    assert len(model.asked) == len(set(model.asked)) == 51
    assert {r.asked for r in records} == {4}


def test_the_rng_is_the_same_for_every_probe_of_an_example():
    @probe(Classify)
    def draws(example, rng, salt=0):
        """Ask nothing, draw once."""
        yield []
        return Outcome(None, {"draw": rng.random()})

    both = [*trials(3, draws, salt=1), *trials(3, draws, salt=2)]
    values = [r.outcome.values["draw"] for r in drive(both, {"subject": Sums()})]
    assert len(set(values)) == 3
    reseeded = [replace(t, seed=8) for t in trials(3, draws)]
    assert set(values).isdisjoint(r.outcome.values["draw"] for r in drive(reseeded, {"subject": Sums()}))


def test_a_probe_that_raises_is_one_error_record():
    @probe(Classify)
    def broken(example, rng):
        """Raise on every other text."""
        yield [Classify(example.text)]
        if int(example.id) % 2:
            raise ZeroDivisionError("boom")
        return Outcome(True)

    records = list(drive(trials(10, broken), {"subject": Sums()}))
    assert sum(r.error is not None and "boom" in r.error and "broken" in r.error for r in records) == 5
    assert sum(r.outcome is not None for r in records) == 5


@pytest.mark.parametrize(
    ("yields", "says"), [("text", "must yield a list"), (["text"], "must yield a list"), (None, "must yield a list")]
)
def test_a_probe_that_yields_nonsense_is_told(yields, says):
    @probe(Classify)
    def nonsense(example, rng):
        """Yield what is no list of requests."""
        yield yields

    [record] = drive(trials(1, nonsense), {"subject": Sums()})
    assert says in record.error


def test_a_probe_that_returns_no_outcome_is_told():
    @probe(Classify)
    def silent(example, rng):
        """Forget to return."""
        yield [Classify(example.text)]

    [record] = drive(trials(1, silent), {"subject": Sums()})
    assert "must return an Outcome" in record.error


@pytest.mark.parametrize("cell", [float("nan"), float("inf"), [1], {"a": 1}])
def test_values_that_cannot_be_stored_are_an_error_record(cell):
    @probe(Classify)
    def odd(example, rng):
        """Return an odd value."""
        yield [Classify(example.text)]
        return Outcome(True, {"odd": cell})

    [record] = drive(trials(1, odd), {"subject": Sums()})
    assert "gave odd=" in record.error


def test_a_probe_may_say_not_run():
    @probe(Classify)
    def shy(example, rng):
        """Refuse."""
        raise NotRun("no word list")
        yield

    [record] = drive(trials(1, shy), {"subject": Sums()})
    assert record.error == "NotRun: no word list"


class Picky(Sums):
    """Raises on a batch that holds a forbidden text."""

    def run(self, batch):
        if any(request.text.endswith("7") for request in batch):
            raise RuntimeError("cannot read a seven")
        return super().run(batch)


def test_one_bad_request_does_not_spoil_its_batch():
    @probe(Classify)
    def ask(example, rng):
        """Ask once."""
        [answer] = yield [Classify(example.text)]
        return Outcome(answer.top == "positive")

    records = list(drive(trials(20, ask), {"subject": Picky()}))
    failed = {r.example for r in records if r.error}
    assert failed == {"7", "17"}
    assert all("cannot read a seven" in r.error for r in records if r.error)


def test_a_failed_answer_is_thrown_into_the_probe_which_may_handle_it():
    class Refusing(Sums):
        def one(self, request):
            return Failed("non-finite logits") if request.text.endswith("1") else super().one(request)

    @probe(Classify)
    def ask(example, rng):
        """Ask, and try something else when that fails."""
        try:
            yield [Classify(example.text)]
        except Exception:
            yield [Classify(example.text + "!")]
            return Outcome(None, {"second": 1})
        return Outcome(True)

    records = {r.example: r for r in drive(trials(3, ask), {"subject": Refusing()})}
    assert records["1"].outcome.values == {"second": 1}
    assert records["0"].outcome.passed


def test_a_request_left_out_on_purpose_is_no_error_and_no_measurement():
    class Strict(Sums):
        def one(self, request):
            return (
                Failed("900 tokens are more than 512", skip=True)
                if request.text.endswith("1")
                else super().one(request)
            )

    @probe(Classify)
    def ask(example, rng):
        """Ask."""
        yield [Classify(example.text)]
        return Outcome(True, {"n": 1})

    records = {r.example: r for r in drive(trials(3, ask), {"subject": Strict()})}
    assert records["1"].error is None
    assert records["1"].outcome == Outcome(None, {}, {"note": "900 tokens are more than 512"})
    assert records["0"].outcome.values == {"n": 1}


def test_a_missing_role_names_the_option():
    @probe(Classify)
    def ask(example, rng):
        """Ask a helper."""
        yield [Classify(example.text, role="judge")]
        return Outcome(True)

    [record] = drive(trials(1, ask), {"subject": Sums()})
    assert "--helper judge=MODEL" in record.error


def test_stopping_early_closes_every_live_probe():
    closed = []

    @probe(Classify)
    def watched(example, rng):
        """Note when it is closed."""
        try:
            yield [Classify(example.text)]
            yield [Classify(example.text + " again")]
            return Outcome(True)
        finally:
            closed.append(example.id)

    running = drive([*trials(3, watched), *trials(1, wander)], {"subject": Sums()}, live=4)
    next(running)
    running.close()
    assert sorted(closed) == ["0", "1", "2"]


def test_what_the_tokenizer_lost_is_counted():
    class Lossy(Sums):
        def one(self, request):
            answer = super().one(request)
            return replace(
                answer, dropped=3 if "long" in request.text else 0, unknown=0.5 if "?" in request.text else 0.25
            )

    @probe(Classify)
    def ask(example, rng):
        """Ask two texts."""
        yield [Classify(example.text + "?"), Classify(example.text + " long")]
        return Outcome(True)

    [record] = drive(trials(1, ask), {"subject": Lossy()})
    assert (record.truncated, record.unknown) == (1, 0.25)


def test_pack_keeps_to_the_budget_and_takes_the_oldest():
    wanted = [Classify("x" * (i * 37 % 50 + 1)) for i in range(49)]
    batch = pack(wanted, 100)
    assert wanted[0] in batch
    assert sum(r.cost + 1 for r in batch) <= 101
    assert len(batch) > 1
    assert pack([Classify("x" * 500), Classify("y")], 100) == [Classify("x" * 500)]


def test_a_prefix_beside_its_equal_takes_no_room():
    long, other = "x" * 90, "y" * 90
    wanted = [LogProb(prefix, str(n)) for n in range(4) for prefix in (long, other)]
    assert set(pack(wanted, 120)) == {LogProb(long, str(n)) for n in range(4)}


def test_probes_that_count_before_they_ask_ask_together():
    batches = []

    class Reader:
        def run(self, batch):
            batches.append(batch)
            return [Number(1.0) for _ in batch]

    @probe(LogProb, Tokens)
    def asks(example, rng):
        """Count, one example longer than the other, and ask."""
        for turn in range(int(example.id) + 1):
            yield [Tokens(f"{example.id} {turn}")]
        yield [LogProb("one long text", example.id)]
        return Outcome(True)

    assert len(list(drive(trials(4, asks), {"subject": Reader()}))) == 4
    assert [len(batch) for batch in batches if isinstance(batch[0], LogProb)] == [4]


def test_texts_share_nothing_with_labels():
    assert Example("1", "a", fields={"x": []}) == Example("1", "a", fields={"x": []})
    hash(Example("1", "a", fields={"x": []}))
