"""Renders the window into a picture once it shows what it should."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

_PERIOD_MS: Final = 50
_SETTLE_MS: Final = 400
"""For layouts, images and graphs that are painted a moment after their data came."""


class ScreenshotTaker(QObject):
    """Asks `is_ready` until it says yes or `limit_seconds` are over, then saves the picture.

    `on_done` gets None, or the StorageError that prevented saving.
    """

    def __init__(
        self,
        window: QWidget,
        path: Path,
        is_ready: Callable[[], bool],
        on_done: Callable[[StorageError | None], None],
        limit_seconds: float = 120.0,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._path = path
        self._is_ready = is_ready
        self._on_done = on_done
        self._due = time.monotonic() + limit_seconds
        self._timer = QTimer(self)
        self._timer.setInterval(_PERIOD_MS)
        self._timer.timeout.connect(self._on_timeout)
        self._timer.start()

    def _on_timeout(self) -> None:
        if self._is_ready() or time.monotonic() > self._due:
            self._timer.stop()
            QTimer.singleShot(_SETTLE_MS, self, self._take)

    def _take(self) -> None:
        self._on_done(save_picture(self._window, self._path))


def save_picture(window: QWidget, path: Path) -> StorageError | None:
    """Save what the window looks like as PNG; return what prevented it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return StorageError(f"The picture {path} can't be written.", str(error))
    if window.grab().save(str(path), "PNG"):
        return None
    return StorageError(
        f"The picture {path} can't be written.",
        "Its folder may be missing or closed to you.",
        "Choose another place.",
    )
