"""What control groups (containers, slices) allow this process: memory and processor time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from m1desk.hardware.sysfs import read_number, read_text


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """The tightest limit above this process (bytes), and what is left below any of them."""

    limit_bytes: int
    available_bytes: int


def group_memory(root: Path) -> GroupMemory | None:
    """The memory limit of cgroup v2 or v1, None when nothing limits this process.

    Page cache that the kernel would give back (`inactive_file`) counts as available. A v1 group
    without a limit shows a number near 2**63; the caller compares with the machine's total.
    """
    limits = [*_v2_memory(root), *_v1_memory(root)]
    if not limits:
        return None
    return GroupMemory(
        min(limit for limit, _used in limits), min(limit - used for limit, used in limits)
    )


def group_cpus(root: Path) -> float | None:
    """Processors' worth of time that this process may use, None when nothing limits it."""
    quotas = [*_v2_cpus(root), *_v1_cpus(root)]
    return min(quotas, default=None)


def _v2_memory(root: Path) -> Iterator[tuple[int, int]]:
    for folder in _folders(root, ""):
        limit = read_number(folder / "memory.max")  # "max" is no number
        if limit is not None:
            used = read_number(folder / "memory.current") or 0
            yield limit, max(0, used - _reclaimable(folder, "inactive_file"))


def _v1_memory(root: Path) -> Iterator[tuple[int, int]]:
    for folder in _folders(root, "memory"):
        limit = read_number(folder / "memory.limit_in_bytes")
        if limit is not None:
            used = read_number(folder / "memory.usage_in_bytes") or 0
            yield limit, max(0, used - _reclaimable(folder, "total_inactive_file"))


def _v2_cpus(root: Path) -> Iterator[float]:
    for folder in _folders(root, ""):
        quota, _, period = read_text(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            yield int(quota) / int(period)


def _v1_cpus(root: Path) -> Iterator[float]:
    for folder in _folders(root, "cpu"):
        quota = read_number(folder / "cpu.cfs_quota_us")  # -1: no limit
        period = read_number(folder / "cpu.cfs_period_us")
        if quota and quota > 0 and period:
            yield quota / period


def _reclaimable(folder: Path, key: str) -> int:
    for line in read_text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """This process's group of the controller ("" for v2) and the groups above it."""
    path = _group_path(root, controller)
    mount = _mount(root, controller)
    if path is None or mount is None:
        return
    mount_point, mounted = mount
    # In a container the mount may begin at the very group that the path names from the host's root.
    inner = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath()
    folder = root / mount_point.relative_to("/")
    yield folder
    for part in inner.parts:
        folder /= part
        if part != "/" and folder.is_dir():
            yield folder


def _group_path(root: Path, controller: str) -> PurePosixPath | None:
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _hierarchy, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return PurePosixPath(path)
    return None


def _mount(root: Path, controller: str) -> tuple[PurePosixPath, PurePosixPath] | None:
    """Where the controller's tree is mounted, and which of its groups is the mount's root."""
    wanted = "cgroup" if controller else "cgroup2"
    for line in read_text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) > 4 and kind[0] == wanted:
            if controller and controller not in kind[-1].split(","):
                continue
            return PurePosixPath(fields[4]), PurePosixPath(fields[3])
    return None
