"""The last net: an exception nobody caught is logged and shown, never only printed."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_log = logging.getLogger(__name__)


class ErrorHook(QObject):
    """Takes over `sys.excepthook` and `threading.excepthook` until `remove`.

    Exceptions in Qt slots reach only `sys.excepthook`; those of threads come through
    `threading.excepthook` and are handed to the GUI thread.

    Signals:
        caught: one line that says what happened (str), and the whole account (str).
    """

    caught = Signal(str, str)
    _crossed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._crossed.connect(self.caught, Qt.ConnectionType.QueuedConnection)
        self._before: Callable[..., object] = sys.excepthook
        self._before_threads = threading.excepthook
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception

    def remove(self) -> None:
        """Put back what was there before."""
        sys.excepthook = self._before
        threading.excepthook = self._before_threads

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        _log.critical("nobody caught this", exc_info=(kind, error, trace))
        account = "".join(traceback.format_exception(kind, error, trace))
        self._crossed.emit(_one_line(error), account)

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            self._on_exception(args.exc_type, args.exc_value, args.exc_traceback)


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {text[0]}" if text else name
