"""What guards on Linux and on macOS have in common: sessions and signals."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

assert sys.platform != "win32"  # noqa: S101 - tells the type checker which platform this is for

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.engines.guard.platforms import Engine


class Posix:
    """Sessions and signals; a base for the variants, not one of them."""

    def become_guard(self) -> None:
        """Own a session, so that a terminal's Ctrl+C or hang-up reaches the owner alone."""
        with contextlib.suppress(PermissionError):  # it leads one already
            os.setsid()

    def watch(self, engine: Engine, on_child: Callable[[], None]) -> None:
        """Listen for SIGCHLD."""
        del engine  # the signal comes for every child alike
        signal.signal(signal.SIGCHLD, lambda _number, _frame: on_child())
        on_child()  # it may have ended before the handler was there

    def terminate(self, engine: Engine) -> None:
        """Send SIGTERM."""
        if engine.poll() is None:
            engine.terminate()

    def kill(self, pid: int) -> None:
        """Send SIGKILL."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
