"""A lock on a file that the system itself releases when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_LOCKED_BYTE: Final = 1 << 30
"""Windows locks a range against reading too, so it is one far behind the holder's number."""

_RETRY_SECONDS: Final = 0.1


class _Locking(Protocol):
    """How a platform locks an open file for one process."""

    def lock(self, descriptor: int) -> bool:
        """Take the lock without waiting; False when another holds it."""

    def unlock(self, descriptor: int) -> None:
        """Give the lock back."""


if sys.platform == "win32":

    class _WindowsLocking:
        def lock(self, descriptor: int) -> bool:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError:
                return False
            return True

        def unlock(self, descriptor: int) -> None:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def _platform_locking() -> _Locking:
        return _WindowsLocking()

else:

    class _PosixLocking:
        def lock(self, descriptor: int) -> bool:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        def unlock(self, descriptor: int) -> None:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _platform_locking() -> _Locking:
        return _PosixLocking()


class FileLock:
    """Held by one process at a time; its number stands in the file while it holds it.

    Two locks on one path exclude each other inside one process too. The file stays when the lock
    is released, and only `remove` may remove it. As a context manager it releases at the end, and
    takes nothing at the beginning, because that may fail.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._locking = _platform_locking()
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, wait_seconds: float = 0.0) -> bool:
        """Take the lock, trying for `wait_seconds`; False when another holds it.

        True at once when it is held already. Raises StorageError when the file can't be opened
        or locked.
        """
        until = time.monotonic() + wait_seconds
        while not self._acquire_once():
            if time.monotonic() >= until:
                return False
            time.sleep(_RETRY_SECONDS)
        return True

    def release(self) -> None:
        """Give the lock back; harmless when it isn't held."""
        if self._descriptor is None:
            return
        self._locking.unlock(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None

    def remove(self) -> None:
        """Give the lock back and remove its file, if it is held."""
        if self._descriptor is None:
            return
        removed = _removed(self.path)
        self.release()
        if not removed:  # Windows removes no open file; it refuses too if another holds it now
            _removed(self.path)

    def holder_pid(self) -> int | None:
        """Process that took the lock last, None if it can't be told."""
        try:
            return int(self.path.read_bytes()[:20])
        except (OSError, ValueError):
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _acquire_once(self) -> bool:
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            taken = self._locking.lock(descriptor) and self._is_ours(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(error) from error
        if not taken:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._sign(descriptor)
        return True

    def _is_ours(self, descriptor: int) -> bool:
        """Whether the locked file still has our name: its last holder may have removed it."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def _sign(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # on a full disk only the number is missing
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{os.getpid():<20}\n".encode())

    def _unusable(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self.path} can't be locked.",
            f"The system says: {error.strerror or error}.",
            "Check the permissions of the file and of its folder.",
        )


def _removed(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
