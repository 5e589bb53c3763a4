"""Cut work into micro-batches by tokens, and halve them when memory runs out.  Knows no model and no request."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

import torch

from audit.models.source import first_line
from audit.types import Answer, Failed

MEMORY_SIGNS = (
    "out of memory",
    "CUDNN_STATUS_NOT_SUPPORTED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",
    "HIP out of memory",
)


class Batcher:
    """Runs work in micro-batches of at most `budget` padded tokens; `ceiling` falls for good when memory runs out."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.halvings = 0

    def run(self, lengths: Sequence[int], work: Callable[[list[int]], list[Answer]]) -> list[Answer]:
        """Answers in the order of `lengths`; `work` takes indices of rows of like length and answers each.

        A micro-batch that fails is halved until the one row that cannot be answered is alone: that one is `Failed`.
        """
        done: list[Answer | None] = [None] * len(lengths)
        todo = self.cut(lengths)[::-1]
        while todo:
            part = todo.pop()
            if len(part) > 1 and len(part) * max(lengths[i] for i in part) > self.budget:
                todo += [part[len(part) // 2 :], part[: len(part) // 2]]
                continue
            error: Exception | None = None
            try:
                answers = work(part)
            except Exception as raised:
                error = raised.with_traceback(None)
            # Outside the handler, so that no traceback holds the tensors that filled the memory.
            if error is None:
                for i, answer in zip(part, answers, strict=True):
                    done[i] = answer
                continue
            full = is_out_of_memory(error)
            if full:
                release()
            if len(part) == 1:
                done[part[0]] = Failed("out of memory on this text alone" if full else first_line(error))
                continue
            half = len(part) // 2
            todo += [part[half:], part[:half]]
            if full:
                self.halvings += 1
                self.budget = max(lengths[i] for i in part) * half or 1
        return [answer for answer in done if answer is not None]

    def cut(self, lengths: Sequence[int]) -> list[list[int]]:
        """Indices, longest rows first, in groups whose padded size fits the budget (one row always does)."""
        parts: list[list[int]] = []
        widest = 0
        for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            if parts and widest * (len(parts[-1]) + 1) <= self.budget:
                parts[-1].append(i)
            else:
                widest = max(lengths[i], 1)
                parts.append([i])
        return parts


def is_out_of_memory(error: BaseException) -> bool:
    """True for every way in which torch says that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in MEMORY_SIGNS)


def release() -> None:
    """Give back what a failed batch held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def padded(
    rows: Sequence[Sequence[int]], fill: int, device: torch.device, left: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Token ids (rows, longest) and their mask, None where no row is padded."""
    width = max(map(len, rows))
    if min(map(len, rows)) == width:
        return torch.tensor(rows, device=device), None
    if left:
        ids = torch.tensor([[fill] * (width - len(row)) + list(row) for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    else:
        ids = torch.tensor([list(row) + [fill] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids.to(device), mask.to(device)
