"""A checksum computed while the file is still being written, a little behind the writer."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BITE: Final = 4 * 1024 * 1024


class FollowingHash:
    """SHA-256 of a growing file, on a thread of its own.

    It reads what was just written, from the system's cache, so that little is left to do when the
    last byte arrives. hashlib lets other threads work meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._changed = threading.Condition()
        self._digest = hashlib.sha256()
        self._available = 0
        self._generation = 0
        self._closed = False
        self._error: OSError | None = None
        self.hashed_bytes = 0
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    @staticmethod
    def of_file(
        path: Path,
        algorithm: str,
        prefix: bytes = b"",
        on_bytes: Callable[[int], None] | None = None,
    ) -> str:
        """Checksum of `prefix` and a whole file, in hexadecimal.

        `on_bytes` is told how many bytes of the file each step read.
        """
        digest = hashlib.new(algorithm, prefix, usedforsecurity=False)
        with path.open("rb", buffering=0) as file:
            while bite := file.read(_BITE):
                digest.update(bite)
                if on_bytes is not None:
                    on_bytes(len(bite))
        return digest.hexdigest()

    def advance(self, size: int) -> None:
        """Tell that the file has `size` bytes now."""
        with self._changed:
            self._available = size
            self._changed.notify_all()

    def restart(self) -> None:
        """Begin again at the start of the file, which is being written anew."""
        with self._changed:
            self._generation += 1
            self._available = 0
            self._digest = hashlib.sha256()
            self.hashed_bytes = 0

    def finish(self) -> str:
        """Wait for the checksum of all bytes there are, in hexadecimal; raises OSError."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._error is not None or self.hashed_bytes >= self._available
            )
            if self._error is not None:
                raise self._error
            return self._digest.hexdigest()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._file.close()

    def _follow(self) -> None:
        try:
            while self._bite():
                pass
        except OSError as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _bite(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._available > self.hashed_bytes)
            if self._closed:
                return False
            generation, place = self._generation, self.hashed_bytes
            count = min(self._available - place, _BITE)
            digest = self._digest
        self._file.seek(place)
        data = self._file.read(count)
        digest.update(data)
        with self._changed:
            if generation == self._generation:
                self.hashed_bytes = place + len(data)
                self._changed.notify_all()
        return True
