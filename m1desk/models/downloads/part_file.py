"""The beginning of a file on disk: what is written stays, and is known after kill and reboot."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psutil

from m1desk.models.downloads.following_hash import FollowingHash
from m1desk.models.downloads.values import NOTES_ENDING, part_path, remove_quietly

if TYPE_CHECKING:
    from types import TracebackType

_SPACE_EVERY: Final = 64 * 1024 * 1024
_SYNC_SECONDS: Final = 15.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class DiskFullError(OSError):
    """The disk has less free than must stay free."""


class TooLongError(OSError):
    """The server sends more than the file is long."""


class PartFile:
    """What a file's content is written to until it is whole; a binary file to huggingface_hub.

    After a kill, all that was written is in the system's cache and counts. After a crash of the
    system only what was synced surely is on the disk: beside the part lies a note of how much
    that was, and in which run of the system.
    """

    def __init__(self, target: Path, size: int, etag: str, reserve_bytes: int) -> None:
        self.path = part_path(target)
        self._notes = target.with_name(target.name + NOTES_ENDING)
        self._size = size
        self._etag = etag
        self._reserve = reserve_bytes
        self._until_space_check = 0
        kept, synced = self._kept_bytes()
        self._file = self.path.open("r+b" if self.path.exists() else "w+b", buffering=0)
        self._file.truncate(kept)
        self._file.seek(kept)
        self.position = kept
        self._write_notes(synced)
        self._hash = FollowingHash(self.path)
        self._hash.advance(kept)
        self._stop = threading.Event()
        self._syncer = threading.Thread(target=self._sync_often, daemon=True)
        self._syncer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._syncer.join()
        self._hash.close()
        self._file.close()

    @property
    def hashed_bytes(self) -> int:
        """How far the checksum is."""
        return self._hash.hashed_bytes

    def write(self, data: bytes, /) -> int:
        """Append; raises OSError when the disk is full, DiskFullError before it is."""
        view = memoryview(data)
        if self.position + len(view) > self._size:
            raise TooLongError(f"more than {self._size} bytes")
        self._check_space(len(view))
        while view:
            written = self._file.write(view) or 0
            view = view[written:]
            self.position += written
        self._hash.advance(self.position)
        return len(data)

    def tell(self) -> int:
        """Bytes written."""
        return self.position

    def seek(self, offset: int, /) -> int:
        """Go back to `offset`, where `truncate` will cut."""
        self.position = self._file.seek(offset)
        return self.position

    def truncate(self) -> int:
        """Cut what follows: a server that can't resume begins anew."""
        self._hash.restart()
        cut = self._file.truncate(self.position)
        self._write_notes(0)
        self._hash.advance(self.position)
        return cut

    def checksum(self, algorithm_prefix: bytes | None) -> str:
        """Bring everything to the disk and give the SHA-256; with a prefix, git's SHA-1."""
        if algorithm_prefix is None:
            found = self._hash.finish()
        else:
            found = FollowingHash.of_file(self.path, "sha1", algorithm_prefix)
        os.fsync(self._file.fileno())
        return found

    def forget(self) -> None:
        """Make what is there worthless, so that the next try begins anew."""
        self._file.truncate(0)
        for path in (self.path, self._notes):
            remove_quietly(path)

    def _check_space(self, count: int) -> None:
        self._until_space_check -= count
        if self._until_space_check > 0:
            return
        self._until_space_check = _SPACE_EVERY
        free = shutil.disk_usage(self.path.parent).free
        if free < self._reserve + count:
            raise DiskFullError(f"{free} bytes free")

    def _kept_bytes(self) -> tuple[int, int]:
        """How much of what an earlier process left can be trusted, and how much is synced."""
        try:
            there = self.path.stat().st_size
            notes = json.loads(self._notes.read_bytes())
            same = notes["etag"] == self._etag and notes["size"] == self._size
            synced = min(there, int(notes["synced"]))
            kept = there if notes["boot"] == boot_id() else synced
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0
        return (kept, synced) if same and kept <= self._size else (0, 0)

    def _sync_often(self) -> None:
        while not self._stop.wait(_SYNC_SECONDS):
            position = self.position
            with contextlib.suppress(OSError):  # writing itself will tell what is wrong
                os.fsync(self._file.fileno())
                self._write_notes(position)

    def _write_notes(self, synced: int) -> None:
        notes = {"etag": self._etag, "size": self._size, "synced": synced, "boot": boot_id()}
        fresh = self._notes.with_name(self._notes.name + ".new")
        fresh.write_text(json.dumps(notes))
        fresh.replace(self._notes)


def boot_id() -> str:
    """What tells this run of the system from the one before a reboot."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        # Not exact where the clock is set: rounded to ten minutes, an error costs bytes only.
        return f"{psutil.boot_time() // 600:.0f}"
