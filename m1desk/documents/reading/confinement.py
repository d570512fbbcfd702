"""What a reader process may not do: eat memory, hang, write, connect, start programs.

The limits of the operating system hold for everything in the process. The audit hook holds for
what goes through Python, which is all readers but PDFium, and PDFium, built without JavaScript
and XFA, has no code for networks or for writing files.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Final

from m1desk.documents.reading.formats.ocr import PROGRAM

_OWN_SPACE: Final = 768 << 20
"""Addresses (not memory) that Python and the libraries take before a file is opened."""
_GRACE_SECONDS: Final = 15.0
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN: Final = ("socket.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system",
                     "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown",
                     "os.truncate", "os.kill", "pty.",
                     "shutil.", "webbrowser.", "urllib.", "winreg.")  # fmt: skip


class Confinement:
    """Holds this process to its limits from `begin` on; it can't be undone."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._writable = ""

    def begin(self) -> None:
        """Set the limits."""
        sys.dont_write_bytecode = True
        if sys.platform != "win32":
            self._limit_resources()
        if sys.platform == "linux":
            _offer_to_the_memory_killer()
        sys.addaudithook(self._check)

    def allow(self, folder: str) -> None:
        """Let files be written in this folder, and in no other."""
        self._writable = os.path.join(folder, "")  # noqa: PTH118 - a str, for a quick comparison

    @staticmethod
    def wind(seconds: float) -> None:
        """End this process if it is not wound again in time, even if a library never returns.

        The owner, who notices earlier, need not be there any more.
        """
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_SECONDS)

    @staticmethod
    def unwind() -> None:
        """The work is done; waiting may take as long as it likes."""
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _limit_resources(self) -> None:
        import resource  # noqa: PLC0415 - not there on Windows

        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is the owner's
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if sys.platform == "linux":
            most = self._memory_bytes + _OWN_SPACE
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def _check(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            self._check_open(*arguments)
        elif event == "os.remove":
            self._check_path(arguments[0])
        elif event == "subprocess.Popen":
            program = Path(str(arguments[0])).stem
            if program != PROGRAM:
                raise PermissionError(f"A reader starts no programs ({program}).")
        elif event.startswith(_FORBIDDEN):
            raise PermissionError(f"A reader does no {event}.")

    def _check_open(self, path: object, mode: object, flags: object) -> None:
        writes = isinstance(flags, int) and bool(flags & _WRITING)
        writes |= isinstance(mode, str) and any(letter in mode for letter in "wax+")
        if writes and not isinstance(path, int) and path != os.devnull:
            self._check_path(path)

    def _check_path(self, path: object) -> None:
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if not self._writable or not name.startswith(self._writable) or ".." in name:
            raise PermissionError(f"A reader does not write to {name}.")


def _offer_to_the_memory_killer() -> None:
    """When the machine runs out of memory, this process goes, not the window or the engine."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        return
