"""Micro-batches: every row once, never over the budget, halved when memory runs out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audit.models.batches import Batcher, is_out_of_memory, padded
from audit.types import Failed, Number


def ask(batcher, lengths, capacity=10**9):
    """Answer every row with its index, on a machine that holds `capacity` tokens; returns answers and batch sizes."""
    sizes = []

    def work(part):
        size = len(part) * max(lengths[i] for i in part)
        if size > capacity:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        sizes.append(size)
        return [Number(float(i)) for i in part]

    return batcher.run(lengths, work), sizes


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200), st.integers(50, 200))
def test_every_row_is_answered_in_place_within_budget_and_memory(lengths, budget, capacity):
    answers, sizes = ask(Batcher(budget), lengths, capacity)
    assert [answer.value for answer in answers] == list(range(len(lengths)))
    assert all(size <= max(budget, max(lengths)) and size <= capacity for size in sizes)


def test_what_did_not_fit_once_is_not_tried_again():
    batcher = Batcher(1000)
    ask(batcher, [10] * 400, capacity=100)
    assert batcher.budget <= 120
    once = batcher.halvings
    ask(batcher, [10] * 400, capacity=100)
    assert batcher.halvings <= once + 1


def test_a_text_that_alone_does_not_fit_fails_alone():
    answers, _ = ask(Batcher(1000), [10, 500, 10], capacity=100)
    assert [type(answer) for answer in answers] == [Number, Failed, Number]
    assert "memory" in answers[1].why


def test_a_row_that_the_model_refuses_fails_alone():
    def work(part):
        if 7 in part:
            raise IndexError("index out of range in self")
        return [Number(float(i)) for i in part]

    answers = Batcher(1000).run([5] * 20, work)
    assert [i for i, answer in enumerate(answers) if isinstance(answer, Failed)] == [7]
    assert "index out of range" in answers[7].why


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("x"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (RuntimeError("CUDA out of memory."), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_the_ways_to_say_that_memory_ran_out(error, full):
    assert is_out_of_memory(error) is full


def test_a_real_allocation_that_fails_is_seen():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)


def test_padding():
    ids, mask = padded([[1, 2], [3]], 9, torch.device("cpu"))
    assert (ids.tolist(), mask.tolist()) == ([[1, 2], [3, 9]], [[1, 1], [1, 0]])
    ids, mask = padded([[1, 2], [3]], 9, torch.device("cpu"), left=True)
    assert (ids.tolist(), mask.tolist()) == ([[1, 2], [9, 3]], [[1, 1], [0, 1]])
    assert padded([[1], [2]], 9, torch.device("cpu"))[1] is None
