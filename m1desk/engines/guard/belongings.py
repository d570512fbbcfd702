"""What a run leaves behind outside its processes: shared memory, a folder, a container."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.engines.guard.containers import remove_container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where Linux keeps it; elsewhere it is absent
_PROC: Final = Path("/proc")
_SCRATCH_NAME: Final = re.compile(r"m1desk-run-[0-9a-f]{16}")
_LOOKS: Final = 8  # a segment is mapped some milliseconds after it is made


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A piece of shared memory, not to be mistaken for a later one of the same name."""

    name: str
    inode: int


@dataclass(frozen=True, slots=True)
class Belongings:
    """What must go when the run's last process has gone.

    Attributes:
        segments: shared memory that processes of the run, and of no other, brought forth.
        scratch: a folder of the run's own, with sockets and temporary files.
        container: the program that runs a container with the name of that folder; "" for none.
    """

    segments: frozenset[Segment] = field(default_factory=frozenset)
    scratch: Path | None = None
    container: str = ""


class SegmentWatch:
    """Notes which new segments are a run's: those that its processes map.

    Only what was not there before is looked after, and each segment only for a while: reading
    what processes map takes milliseconds.
    """

    def __init__(self) -> None:
        self.found: frozenset[Segment] = frozenset()
        self._not_ours = set(_all_segments())
        self._looks: Counter[Segment] = Counter()

    def look(self, pids: Callable[[], Iterable[int]]) -> bool:
        """Look at new segments; whether one of them is mapped by a process of `pids`."""
        unknown = set(_all_segments()) - self._not_ours - self.found
        if not unknown:
            return False
        self._looks.update(unknown)
        self._not_ours |= {segment for segment in unknown if self._looks[segment] >= _LOOKS}
        return self.note(pids())

    def note(self, pids: Iterable[int]) -> bool:
        """Take what `pids` map now, but for what was there before; whether it is more."""
        before = self.found
        self.found = before | (segments_of(pids) - self._not_ours)
        return self.found != before


def is_scratch(path: Path) -> bool:
    """Whether a path can be a run's own folder; nothing else is ever removed."""
    return path.is_absolute() and _SCRATCH_NAME.fullmatch(path.name) is not None


def remove_belongings(belongings: Belongings) -> bool:
    """Remove what is left of them; what somebody else uses, or has replaced, is left alone.

    Whether the container, if there is one, is gone: otherwise nothing was removed.
    """
    scratch = belongings.scratch
    if scratch is not None and is_scratch(scratch):
        if belongings.container and not remove_container(belongings.container, scratch.name):
            return False
        shutil.rmtree(scratch, ignore_errors=True)
    present = {one for one in belongings.segments if _is_there(one)}
    if present:
        for one in present - segments_of(_all_pids()):
            (SHARED_MEMORY / one.name).unlink(missing_ok=True)
    return True


def segments_of(pids: Iterable[int]) -> frozenset[Segment]:
    """The segments that processes map; those of other users' processes can't be seen.

    They are known by their inodes: a semaphore is made under another name than it gets.
    """
    present = _all_segments()
    if not present:
        return frozenset()
    device = _device_of(SHARED_MEMORY)
    mapped = {inode for pid in pids for inode in _mapped_by(pid, device)}
    return frozenset(segment for segment in present if segment.inode in mapped)


def _device_of(path: Path) -> str:
    """As /proc/PID/maps has it: in a container, /dev/shm is another one with the same inodes."""
    device = path.stat().st_dev
    return f"{os.major(device):02x}:{os.minor(device):02x}"


def _mapped_by(pid: int, device: str) -> set[int]:
    """Inodes of what a process maps of the shared memory, also of names that are gone."""
    try:
        text = (_PROC / str(pid) / "maps").read_text(errors="replace")
    except OSError:  # it has ended, or is another user's
        return set()
    lines = (line.split(maxsplit=5) for line in text.splitlines() if f" {SHARED_MEMORY}/" in line)
    return {int(fields[4]) for fields in lines if len(fields) > 5 and fields[3] == device}


def _all_segments() -> list[Segment]:
    try:
        with os.scandir(SHARED_MEMORY) as entries:
            return [Segment(entry.name, entry.inode()) for entry in entries]
    except OSError:  # no such folder: this system has none
        return []


def _is_there(segment: Segment) -> bool:
    try:
        state = (SHARED_MEMORY / segment.name).lstat()
    except (OSError, ValueError):
        return False
    return state.st_ino == segment.inode and state.st_uid == os.getuid()


def _all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir(_PROC) if entry.isdecimal()]  # noqa: PTH208 - names suffice
