"""How much memory there is, and whether the kernel has been ending processes for lack of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_VMSTAT: Final = Path("/proc/vmstat")
_OWN_CGROUP: Final = Path("/proc/self/cgroup")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_GIB: Final = 1024**3
_LOW_FRACTION: Final = 0.03
_LOW_BYTES: Final = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """Main memory at one moment (bytes).

    Attributes:
        oom_kills: how many processes the kernel has ended for lack of memory since the boot, as
            far as it says; 0 where it does not.
    """

    available: int
    total: int
    oom_kills: int = 0

    @property
    def is_low(self) -> bool:
        """Whether so little is left that the system is about to act."""
        return self.available < max(_LOW_BYTES, int(self.total * _LOW_FRACTION))


def take_memory_snapshot() -> MemorySnapshot:
    """Look at the memory now."""
    memory = psutil.virtual_memory()
    return MemorySnapshot(memory.available, memory.total, _oom_kills())


def readable_bytes(count: int) -> str:
    """Write a size as people read it: "4.2 GiB", "310 MiB"."""
    if count >= _GIB:
        return f"{count / _GIB:.1f} GiB"
    return f"{count / 1024**2:.0f} MiB"


def _oom_kills() -> int:
    """Sum the machine's counter and our control group's; a container may show either alone."""
    return _counter(_VMSTAT) + sum(_counter(path) for path in _memory_events())


def _memory_events() -> list[Path]:
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return []
    own = [line.partition("::")[2].lstrip("/") for line in lines if line.startswith("0::")]
    return [_CGROUPS / path / "memory.events" for path in own]


def _counter(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
