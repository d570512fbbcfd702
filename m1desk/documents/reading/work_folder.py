"""The folder that a reading unpacks to; those of owners that were killed are swept."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from m1desk.errors import StorageError
from m1desk.store import FileLock

_PREFIX: Final = "m1desk-reading-"
_LOCK_NAME: Final = "owner.lock"
_BEGINNING_SECONDS: Final = 60.0
"""A younger folder without a lock may have an owner who is just about to take it."""


class WorkFolder:
    """A folder for temporary files that only this process may sweep while it lives.

    Attributes:
        path: readable by this user alone.
    """

    def __init__(self) -> None:
        """Make it; raises StorageError."""
        try:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        except OSError as error:
            raise StorageError(
                "There is no place for temporary files, so nothing can be read.",
                f"The system says: {error.strerror or error}.",
                f"Free some space, or check the permissions of {tempfile.gettempdir()}.",
            ) from error
        self._lock = FileLock(self.path / _LOCK_NAME)
        self._lock.acquire()

    def remove(self) -> None:
        """Remove it with all that is in it; blocks while the disk works."""
        self._lock.release()  # first: Windows removes no open file
        shutil.rmtree(self.path, ignore_errors=True)


def sweep_work_folders() -> int:
    """Remove what killed processes of this user left; blocks, and returns how many there were.

    The lock in a folder tells whether its owner lives, so that neither a reused process number
    nor a container's own numbers can mislead.
    """
    found = Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")
    return sum(_sweep(folder) for folder in found if _is_abandoned(folder))


def _is_abandoned(folder: Path) -> bool:
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not _is_this_users(status):
            return False
        lock = FileLock(folder / _LOCK_NAME)
        if not lock.path.exists() and time.time() - status.st_mtime < _BEGINNING_SECONDS:
            return False
        with lock:
            return lock.acquire()
    except (OSError, StorageError):
        return False


def _is_this_users(status: os.stat_result) -> bool:
    return sys.platform == "win32" or status.st_uid == os.getuid()


def _sweep(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
