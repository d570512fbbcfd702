"""The file systems that hold the app's folders, and the room that is left on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from m1desk.hardware.machine import Disk

_FILE_SIZE_LIMITS: Final = {
    "vfat": (4 << 30) - 1, "msdos": (4 << 30) - 1, "fat32": (4 << 30) - 1, "fat": (4 << 30) - 1,
    "ext3": 2 << 40,
}  # fmt: skip
"""The largest file (bytes) of file systems that a big model's file may not fit."""


class Mount(NamedTuple):
    """One mounted file system."""

    device: str
    mount_point: str
    file_system: str


def read_disks(
    folders: Iterable[Path], mounts: Sequence[Mount] | None = None
) -> tuple[tuple[Disk, ...], tuple[str, ...]]:
    """The disks of the folders, each once, and notes about folders that could not be examined.

    A folder that doesn't exist yet is judged by the nearest folder above it. `mounts` are the
    mounted file systems, the machine's own when left out.
    """
    mounts = _mounts() if mounts is None else mounts
    disks: dict[str, Disk] = {}
    notes: list[str] = []
    for folder in dict.fromkeys(folders):
        try:
            disk = _disk(folder, mounts)
        except OSError as error:
            notes.append(f"The disk of {folder} could not be examined: {error.strerror or error}")
            continue
        known = disks.get(disk.mount_point, disk)
        disks[disk.mount_point] = replace(known, folders=(*known.folders, str(folder)))
    return tuple(disks.values()), tuple(notes)


def _disk(folder: Path, mounts: Sequence[Mount]) -> Disk:
    place = folder.expanduser().resolve()
    while not place.exists() and place != place.parent:
        place = place.parent
    usage = psutil.disk_usage(str(place))
    mount = _mount_of(place, mounts)
    return Disk(
        mount_point=mount.mount_point,
        device=mount.device,
        file_system=mount.file_system,
        total_bytes=usage.total,
        free_bytes=usage.free,
        file_size_limit_bytes=_FILE_SIZE_LIMITS.get(mount.file_system.lower()),
    )


def _mount_of(place: Path, mounts: Sequence[Mount]) -> Mount:
    """The innermost mount above the place; of several at one point the last hides the others."""
    best = Mount("", place.anchor, "")
    for mount in mounts:
        inside = place.is_relative_to(mount.mount_point)
        if inside and len(mount.mount_point) >= len(best.mount_point):
            best = mount
    return best


def _mounts() -> list[Mount]:
    return [
        Mount(entry.device, entry.mountpoint, entry.fstype)
        for entry in psutil.disk_partitions(all=True)
    ]
