"""Work on the GUI thread in small bites, so that the window never waits for all of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from PySide6.QtCore import QObject, QTimer

_BITE_SECONDS: Final = 0.004


class WorkQueue(QObject):
    """Goes on with an iterator between Qt's events, some milliseconds at a time.

    On a thread the same work would hold Python's lock while the window paints, and each call into
    Qt would have to wait for it.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: Iterator[None] = iter(())
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._on_timeout)

    @property
    def is_busy(self) -> bool:
        """Whether something is left to do."""
        return self._timer.isActive()

    def start(self, steps: Iterator[None]) -> None:
        """Do these from now on; what is left of the last is dropped."""
        self._steps = steps
        self._timer.start()

    def stop(self) -> None:
        """Drop what is left."""
        self._steps = iter(())
        self._timer.stop()

    def _on_timeout(self) -> None:
        end = time.perf_counter() + _BITE_SECONDS
        for _ in self._steps:
            if time.perf_counter() >= end:
                return
        self._timer.stop()
