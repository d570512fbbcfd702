"""The machine's RAM: total, available, what a container allows, and how fast it is read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from m1desk.hardware.cgroup import group_memory
from m1desk.hardware.machine import Cpu, Ram
from m1desk.hardware.sources import Sources

_BUFFER_BYTES: Final = 1 << 30
_SHARE_OF_AVAILABLE: Final = 8
_PASSES: Final = 6
_SECONDS: Final = 1.0
_MAX_THREADS: Final = 64
_KEY: Final = "ram-bandwidth"


class Measurements(Protocol):
    """What is used of the store's `Measurements`: figures remembered between starts."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """What was put under the key, or None."""

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Remembers the value."""


def read_ram(sources: Sources) -> Ram:
    """The RAM as it is now, a control group's limit considered."""
    ram = sources.read_ram()
    group = group_memory(sources.root) if sources.platform == "linux" else None
    if group is None or group.limit_bytes >= ram.total_bytes:
        return ram
    return replace(
        ram,
        limit_bytes=group.limit_bytes,
        available_bytes=max(0, min(ram.available_bytes, group.available_bytes)),
    )


def measure_read_bandwidth(threads: int, available_bytes: int) -> float:
    """Bytes per second that `threads` threads together read from RAM; takes about a second.

    Each sums integers of a buffer of its own; together the buffers exceed every cache. The best of
    some passes counts, since anything else on the machine only slows it down.

    Args:
        threads: how many read at once; one a usable core.
        available_bytes: free RAM; an eighth of it at most is used.

    Raises:
        MemoryError: not even that could be had.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow to import, and only

    import numpy as np  # noqa: PLC0415 - needed by those who measure

    threads = max(1, min(threads, _MAX_THREADS))
    total = min(_BUFFER_BYTES, available_bytes // _SHARE_OF_AVAILABLE)
    count = max(1 << 20, total // threads // 8)
    with ThreadPoolExecutor(threads, thread_name_prefix="ram-bandwidth") as pool:
        # Written by the reading threads, so that each buffer lies in memory near its core.
        buffers = list(pool.map(lambda _index: np.ones(count, dtype=np.int64), range(threads)))
        best, until = float("inf"), time.perf_counter() + _SECONDS
        for _ in range(_PASSES):
            start = time.perf_counter()
            for _sum in pool.map(np.add.reduce, buffers):
                pass
            best = min(best, time.perf_counter() - start)
            if time.perf_counter() > until:
                break
    return threads * count * 8 / best


def remembered_bandwidth(cpu: Cpu, ram: Ram, measurements: Measurements | None) -> float | None:
    """What was measured on a machine like this one before (bytes per second), if anything."""
    found = measurements.get(_key(cpu, ram)) if measurements else None
    value = found.get("bytes_per_second") if found else None
    return float(value) if isinstance(value, int | float) and value > 0 else None


def remember_bandwidth(
    cpu: Cpu, ram: Ram, measurements: Measurements, bytes_per_second: float
) -> None:
    """Keeps a figure for the next start."""
    measurements.put(_key(cpu, ram), {"bytes_per_second": bytes_per_second})


def _key(cpu: Cpu, ram: Ram) -> str:
    """Changes with the processor, the cores given to us, and the RAM (GiB; it varies a little)."""
    return f"{_KEY}:{cpu.model}:{cpu.usable_cores}:{round(ram.total_bytes / (1 << 30))}"
