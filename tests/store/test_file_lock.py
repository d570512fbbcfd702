"""A lock on a file: one holder at a time, and none after its death."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from m1desk.errors import StorageError
from m1desk.store import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from m1desk.store import FileLock

print(FileLock(Path(sys.argv[1])).acquire(), flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process_holds(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "True\n"
            yield holder
        finally:
            holder.kill()


def test_one_lock_holds_off_another_until_released(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert first.acquire()
    assert first.acquire()
    assert first.is_held
    assert not second.acquire()
    assert not second.is_held
    first.release()
    first.release()
    with second:
        assert second.acquire()
    assert first.acquire()
    first.release()


def test_a_holder_that_is_killed_holds_no_more(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "a.lock")
    with another_process_holds(lock.path) as holder:
        assert not lock.acquire()
        assert lock.holder_pid() == holder.pid
    assert lock.acquire()
    lock.release()


def test_waiting_takes_the_lock_when_it_becomes_free(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert first.acquire()
    assert not second.acquire(wait_seconds=0.15)
    later = threading.Timer(0.3, first.release)
    later.start()
    assert second.acquire(wait_seconds=30)
    later.join()
    second.release()


def test_a_lock_that_is_removed_leaves_nothing_and_shuts_nobody_out(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert first.acquire()
    second.remove()  # not its to remove
    assert first.path.exists()
    first.remove()
    assert not first.path.exists()
    assert second.acquire()
    assert not first.acquire()
    second.release()


def test_no_two_hold_it_while_its_file_comes_and_goes(tmp_path: Path) -> None:
    inside, most, rounds = 0, 0, 300

    def take_and_remove() -> None:
        nonlocal inside, most
        taken = 0
        while taken < rounds:
            lock = FileLock(tmp_path / "a.lock")
            if lock.acquire():
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)  # let the others try
                inside -= 1
                lock.remove()
                taken += 1

    threads = [threading.Thread(target=take_and_remove) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_file_that_can_not_be_opened_is_named(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "a.lock")
    lock.path.mkdir()
    with pytest.raises(StorageError, match=r"a\.lock can't be locked"):
        lock.acquire()
    assert lock.holder_pid() is None
