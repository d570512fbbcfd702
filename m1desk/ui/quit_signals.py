"""SIGINT and SIGTERM close the window as the user would: Qt's loop alone never sees them."""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSocketNotifier, Signal

if TYPE_CHECKING:
    from types import FrameType


class QuitSignals(QObject):
    """Wakes Qt's loop when the system asks this process to end; `remove` undoes it.

    Signals:
        asked: to end.
    """

    asked = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._heard, self._told = socket.socketpair()
        self._heard.setblocking(False)
        self._told.setblocking(False)
        self._before_fd = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, _take) for number in (signal.SIGINT, signal.SIGTERM)
        }
        self._notifier = QSocketNotifier(self._heard.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_activated)

    def remove(self) -> None:
        """Put back what was there before."""
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._before_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._heard.close()
        self._told.close()

    def _on_activated(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._heard.recv(64)
        self.asked.emit()


def _take(_number: int, _frame: FrameType | None) -> None:
    """Do nothing here: the byte on the socket is the message."""
