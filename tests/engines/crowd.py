"""Counting processes from outside: by a mark in their environment, known to the test alone."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MARK = "M1DESK_TEST_MARK"
HERE = Path(__file__).resolve().parent


def standin(behaviour: str) -> tuple[str, ...]:
    """The command line of a misbehaving engine."""
    return (sys.executable, "-S", str(HERE / "standin_engine.py"), behaviour)


class Crowd:
    """All processes with one mark."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex

    def living(self) -> list[psutil.Process]:
        """Those that live; a zombie is dead."""
        return [process for process in psutil.process_iter() if self._has_mark(process)]

    def count(self) -> int:
        return len(self.living())

    def wait_for(self, count: int, seconds: float) -> int:
        """Wait until `count` live; gives back how many did when last looked at.

        A process that is being replaced by another program has no environment for a moment.
        """
        deadline = time.monotonic() + seconds
        while (living := self.count()) != count and time.monotonic() < deadline:
            time.sleep(0.02)
        return living

    def _has_mark(self, process: psutil.Process) -> bool:
        try:
            marked = process.environ().get(MARK) == self.mark
            return marked and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False


@contextmanager
def crowd() -> Iterator[Crowd]:
    """A crowd that is ended with the test, whatever the test found."""
    one = Crowd()
    try:
        yield one
    finally:
        for process in one.living():
            process.kill()
