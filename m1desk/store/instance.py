"""One window per home: the lock that its holder keeps, and the name that later starts call."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

from m1desk.store.file_lock import FileLock

if TYPE_CHECKING:
    from m1desk.store.folders import Folders


class InstanceLock(FileLock):
    """Held by the one window of a home; the file stays, the lock goes with the process."""

    def __init__(self, folders: Folders) -> None:
        super().__init__(folders.data / "window.lock")

    @property
    def name(self) -> str:
        """A short name of this home, for the local socket that brings the window to the front."""
        user = os.getuid() if sys.platform != "win32" else os.environ.get("USERNAME", "")
        digest = hashlib.sha256(f"{user}:{self.path}".encode()).hexdigest()
        return f"m1desk-{digest[:16]}"
