"""How far a run is, on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 10.0  # seconds between plain lines


@contextmanager
def progress(total: int, already: int) -> Iterator[Callable[[int], None]]:
    """A function that is told how many of `total` trials are done; shows rate and time left."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task("trials", total=total, completed=already, rate="")
            pace = Pace(total, already)
            yield lambda done: bar.update(task, completed=done, rate=pace.rate(done))
        return
    pace = Pace(total, already)
    print(f"{already} of {total} trials are done already" if already else f"{total} trials", file=sys.stderr)
    yield pace.tell


class Pace:
    """Trials a second, and seconds left at that rate."""

    def __init__(self, total: int, already: int) -> None:
        self._total, self._already = total, already
        self._begun = self._told = time.monotonic()

    def rate(self, done: int) -> str:
        """`12.3/s`, or "" before anything is known."""
        spent = time.monotonic() - self._begun
        return f"{(done - self._already) / spent:.1f}/s" if spent > 0 and done > self._already else ""

    def tell(self, done: int) -> None:
        """Print a line when it is time for one."""
        now = time.monotonic()
        if now - self._told < EVERY and done < self._total:
            return
        if done == self._already:
            return
        self._told = now
        left = (now - self._begun) / (done - self._already) * (self._total - done)
        print(f"{done}/{self._total} trials, {self.rate(done)}, about {left:.0f} s left", file=sys.stderr, flush=True)
