"""One window per home: a lock that the system itself releases when its holder dies."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, Final, Protocol, Self

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from types import TracebackType

    from m1desk.store.folders import Folders

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_LOCKED_BYTE: Final = 1 << 30
"""Windows locks a range against reading too, so it is one far behind the holder's number."""


class FileLocking(Protocol):
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

    def _platform_locking() -> FileLocking:
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

    def _platform_locking() -> FileLocking:
        return _PosixLocking()


class InstanceLock:
    """Held by the one window of a home; the file stays, the lock goes with the process."""

    def __init__(self, folders: Folders) -> None:
        self.path = folders.data / "window.lock"
        self._locking = _platform_locking()
        self._descriptor: int | None = None

    @property
    def name(self) -> str:
        """A short name of this home, for the local socket that brings the window to the front."""
        user = os.getuid() if sys.platform != "win32" else os.environ.get("USERNAME", "")
        digest = hashlib.sha256(f"{user}:{self.path}".encode()).hexdigest()
        return f"m1desk-{digest[:16]}"

    def acquire(self) -> bool:
        """Take the lock; False when another window holds it. Raises StorageError."""
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            taken = self._locking.lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(error) from error
        if not taken:
            os.close(descriptor)
            return False
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{os.getpid():<20}\n".encode())
        self._descriptor = descriptor
        return True

    def holder_pid(self) -> int | None:
        """Process that took the lock last, None if it can't be told."""
        try:
            return int(self.path.read_bytes()[:20])
        except (OSError, ValueError):
            return None

    def release(self) -> None:
        """Give the lock back; harmless when it isn't held."""
        if self._descriptor is None:
            return
        self._locking.unlock(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _unusable(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self.path} can't be locked.",
            f"The system says: {error.strerror or error}.",
            "Check the permissions of the file and of its folder.",
        )
