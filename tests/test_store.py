"""Law 2: kill -9 at any moment, run again: every planned trial has one record, equal to an undisturbed run's."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from conftest import Sums, trials

from audit import UsageError
from audit.schedule import drive
from audit.store import Store, create, read_json, write_json


def measure(store: Store, count: int = 20) -> int:
    todo = store.pending(trials(count))
    return sum(1 for _ in store.append(drive(todo, {"subject": Sums()})))


def test_append_resume_and_read_back(tmp_path):
    store = Store(tmp_path)
    for _, _ in zip(range(5), store.append(drive(trials(20), {"subject": Sums()}, live=2)), strict=False):
        pass
    had = list(Store(tmp_path))
    assert 5 <= len(had) < 20
    assert measure(Store(tmp_path)) == 20 - len(had)
    fresh = {r.trial: r.outcome for r in drive(trials(20), {"subject": Sums()})}
    assert {r.trial: r.outcome for r in Store(tmp_path)} == fresh
    assert measure(Store(tmp_path)) == 0


@pytest.mark.parametrize("torn", [b"{", b'{"trial": "abc", "out', b"\xe4\xbd"])
def test_a_torn_tail_is_dropped(tmp_path, torn):
    store = Store(tmp_path)
    measure(store)
    whole = store.path.read_bytes()
    store.path.write_bytes(whole + torn)
    assert len(list(Store(tmp_path))) == 20
    assert measure(Store(tmp_path), 21) == 1
    assert store.path.read_bytes().startswith(whole)
    assert len(list(Store(tmp_path))) == 21


def test_a_file_of_one_torn_line_is_emptied(tmp_path):
    store = Store(tmp_path)
    store.path.write_bytes(b"x" * 200_000)
    assert measure(store) == 20
    assert len(list(store)) == 20


def test_a_corrupt_line_is_named_and_nothing_is_lost(tmp_path):
    store = Store(tmp_path)
    measure(store)
    lines = store.path.read_bytes().splitlines(keepends=True)
    lines[6] = b'{"trial": 3}\n'
    store.path.write_bytes(b"".join(lines))
    with pytest.raises(UsageError, match=r"records.jsonl:7: not a record"):
        list(store)
    assert store.path.read_bytes() == b"".join(lines)


def test_two_writers_are_refused(tmp_path):
    store = Store(tmp_path)
    writing = store.append(drive(trials(5), {"subject": Sums()}, live=1))
    next(writing)
    with pytest.raises(UsageError, match="being written by another run"):
        next(Store(tmp_path).append(iter([])), None)
    writing.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="writing as another user needs root")
def test_an_unwritable_folder_is_named(tmp_path):
    tmp_path.joinpath("file").write_text("")
    with pytest.raises(UsageError, match="Choose another folder with --out"):
        create(tmp_path / "file" / "run")


def test_json_files_are_replaced_whole(tmp_path):
    write_json(tmp_path / "run.json", {"a": "\ud800", "b": "中"})
    assert read_json(tmp_path / "run.json") == {"a": "?", "b": "中"}
    with pytest.raises(UsageError, match="is not a run folder"):
        read_json(tmp_path / "none" / "run.json")
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(UsageError, match="one JSON object"):
        read_json(tmp_path / "run.json")


def test_kill_minus_nine(tmp_path):
    home = Path(__file__).parents[1]
    code = textwrap.dedent(f"""
        import sys, time
        sys.path[:0] = [{str(home)!r}, {str(home / "tests")!r}]
        from pathlib import Path
        from conftest import Sums, trials
        from audit.schedule import drive
        from audit.store import Store

        class Slow(Sums):
            def run(self, batch):
                time.sleep(0.004)
                return super().run(batch)

        store = Store(Path({str(tmp_path)!r}))
        print("ready", flush=True)
        for _ in store.append(drive(store.pending(trials(300)), {{"subject": Slow()}}, live=8)):
            pass
    """)
    kills, rng = 0, random.Random(3)
    for _ in range(40):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                process.wait(rng.uniform(0.02, 0.3))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
    else:
        pytest.fail("it never came to an end")
    time.sleep(0.01)
    got = list(Store(tmp_path))
    fresh = {r.trial: r.outcome for r in drive(trials(300), {"subject": Sums()})}
    assert kills >= 1
    assert len(got) == 300 == len({r.trial for r in got})
    assert {r.trial: r.outcome for r in got} == fresh
