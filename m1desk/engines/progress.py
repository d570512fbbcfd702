"""Whether an engine that is not ready yet still does something, however long it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import psutil

_IDLE_SHARE: Final = 0.05  # of one core: below it a process only ticks
_IO_BYTES: Final = 64 * 1024
_MEMORY_BYTES: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an engine is waited for (seconds).

    Attributes:
        silence_seconds: how long nothing at all may happen before a start counts as stuck. A
            cold model on a slow disk may take an hour: what is measured is silence, not time.
        sample_seconds: between two looks at it.
        grace_seconds: between a request to end and SIGKILL.
        kill_seconds: what its processes may take to be gone after SIGKILL.
        heeds_while_starting: whether a request to end is worth making before it is ready.
    """

    silence_seconds: float = 120.0
    sample_seconds: float = 1.0
    grace_seconds: float = 3.0
    kill_seconds: float = 3.0
    heeds_while_starting: bool = True


@dataclass(frozen=True, slots=True)
class Effort:
    """What a process tree has done up to a moment.

    Attributes:
        heard: bytes it wrote to its pipes.
        cpu_seconds: processor time, of those that live.
        io_bytes: read and written, as far as the system tells.
        memory_bytes: resident now.
    """

    at: float
    heard: int
    cpu_seconds: float
    io_bytes: int
    memory_bytes: int

    def shows_work_since(self, earlier: Effort) -> bool:
        """Tell whether something happened between `earlier` and this moment."""
        elapsed = max(0.0, self.at - earlier.at)
        return (
            self.heard != earlier.heard
            or self.cpu_seconds - earlier.cpu_seconds > elapsed * _IDLE_SHARE
            or abs(self.io_bytes - earlier.io_bytes) >= _IO_BYTES
            or abs(self.memory_bytes - earlier.memory_bytes) >= _MEMORY_BYTES
        )


class ProgressWatch:
    """Remembers when an engine last did something."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._last: Effort | None = None

    def is_stuck(self, now: Effort) -> bool:
        """Compare with the last moment of work; the first call only remembers."""
        if self._last is None or now.shows_work_since(self._last):
            self._last = now
            return False
        return now.at - self._last.at >= self._patience.silence_seconds


def measure_effort(pid: int | None, heard: int) -> Effort:
    """Look at process `pid` and everything below it; zeros where it can't be seen."""
    cpu, io, memory = 0.0, 0, 0
    for process in _family(pid):
        try:
            times = process.cpu_times()
            cpu += times.user + times.system
            memory += process.memory_info().rss
            io += _io_bytes(process)
        except psutil.Error:
            continue
    return Effort(time.monotonic(), heard, cpu, io, memory)


def _family(pid: int | None) -> list[psutil.Process]:
    if pid is None:
        return []
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _io_bytes(process: psutil.Process) -> int:
    if not hasattr(process, "io_counters"):  # macOS
        return 0
    try:
        counters = process.io_counters()
    except psutil.Error:
        return 0
    # bytes of files mapped into memory show up in the first, of read() calls in the second
    characters = getattr(counters, "read_chars", 0) + getattr(counters, "write_chars", 0)
    return int(counters.read_bytes + counters.write_bytes + characters)
