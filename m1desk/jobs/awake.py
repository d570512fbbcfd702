"""Keeps the machine from falling asleep while jobs run."""

from __future__ import annotations

import logging
import threading
from typing import Final

_log = logging.getLogger(__name__)

_END_SECONDS: Final = 10.0


class Awake:
    """Holds the machine awake between `hold` and `let_go`; both may be called again and again.

    The library wants to enter and leave on one thread and may wait for the system's answers, so
    it has a thread of its own. A machine without a way to be kept awake, such as a server without
    a desktop, works all the same.
    """

    def __init__(self) -> None:
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self) -> None:
        """Keep the machine awake from now on."""
        if self._thread is None:
            self._end = threading.Event()
            self._thread = threading.Thread(target=_keep, args=(self._end,), name="awake")
            self._thread.daemon = True  # a system that does not answer must not keep us from ending
            self._thread.start()

    def let_go(self) -> None:
        """Let the machine sleep when it wants to."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._end.set()
            thread.join(_END_SECONDS)


def _keep(end: threading.Event) -> None:
    from wakepy import keep  # noqa: PLC0415 - slow to import, and only this thread needs it

    with keep.running(on_fail="pass") as mode:
        if mode.active:
            _log.info("the machine is kept awake")
        else:
            _log.info("the machine can't be kept awake: %s", mode.result.get_failure_text())
        end.wait()
