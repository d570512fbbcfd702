"""How many threads to compute with: what the machine has, and what of it this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

_MANY_CORES = 32
"""From here on, less than half of the cores may already draw all that the memory gives."""


def default_threads(root: Path = Path("/")) -> int:
    """The number to take unmeasured: one for each physical core that may be used.

    A second thread on a core computes no faster, and threads without a core of their own make
    all others wait at every step.
    """
    usable = usable_processors(root)
    return max(1, min(psutil.cpu_count(logical=False) or usable, usable))


def thread_candidates(root: Path = Path("/")) -> list[int]:
    """The numbers worth measuring, the default one first."""
    default = default_threads(root)
    others = {usable_processors(root), max(1, default // 2)}
    if default >= _MANY_CORES:
        others.add(default // 4)
    return [default, *sorted(others - {default}, reverse=True)]


def usable_processors(root: Path = Path("/")) -> int:
    """Logical processors that the affinity and the quotas of control groups leave this process."""
    count = psutil.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = min(count, len(os.sched_getaffinity(0)))
    quota = min(_quotas(root), default=None)
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def _quotas(root: Path) -> Iterator[float]:
    """Processors' worth of time that the groups of this process allow (Linux, v2 and v1)."""
    for folder in _group_folders(root):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        # "max" and -1 mean no limit, and neither is made of digits alone
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _group_folders(root: Path) -> Iterator[Path]:
    """The groups of this process and those above them; inside a container the top ones count."""
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = mount / controllers if controllers else mount
        own = PurePosixPath(path.lstrip("/"))
        for group in (own, *own.parents):
            yield base / group


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
