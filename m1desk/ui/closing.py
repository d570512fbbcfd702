"""Closing the window: ask while work runs, then end everything without freezing anything."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QMessageBox

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.main_window import MainWindow

_log = logging.getLogger(__name__)

_LIMIT_MS: Final = 10_000
"""How long answers and the engine may take to end; the guard ends what is left."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Working on with the window closed.

    Attributes:
        is_possible: whether there is work that needs no window.
        is_chosen: whether the person wants that without being asked.
        go_on: closes the window and keeps the rest.
    """

    is_possible: Callable[[], bool]
    is_chosen: Callable[[], bool]
    go_on: Callable[[], None]


class Closing(QObject):
    """Decides what becomes of a wish to close `window`.

    `work` says in words what is running, "" for nothing. `stay` is how the app works on without its
    window. `save` keeps what should come back. `wind_up` makes the coroutine that ends turns and
    the engine. `finish` is called last, once.
    """

    def __init__(
        self,
        window: MainWindow,
        bridge: Bridge,
        *,
        work: Callable[[], str],
        must_ask: Callable[[], bool],
        stay: Stay | None = None,
        save: Callable[[], None],
        wind_up: Callable[[], Coroutine[Any, Any, object]],
        finish: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._window = window
        self._bridge = bridge
        self._work = work
        self._must_ask = must_ask
        self._stay = stay
        self._save = save
        self._wind_up = wind_up
        self._finish = finish
        self._closing = False
        self._finished = False
        self._box: QMessageBox | None = None
        self._limit = QTimer(self)
        self._limit.setSingleShot(True)
        self._limit.timeout.connect(self._on_too_slow)
        window.close_wished.connect(self._on_close_wished)

    @property
    def question(self) -> QMessageBox | None:
        """The question that is being asked now."""
        return self._box

    def close_now(self) -> None:
        """Close without asking: the session ends, or the job is done."""
        if self._closing:
            return
        self._closing = True
        self._window.allow_close()
        if self._box is not None:
            self._box.close()
        self._save()
        self._window.hide()
        self._limit.start(_LIMIT_MS)
        self._bridge.submit(self._wind_up(), on_done=self._on_wound_up, on_error=self._on_error)

    def _on_close_wished(self) -> None:
        work = self._work()
        can_stay = self._stay is not None and self._stay.is_possible()
        if self._stay is not None and can_stay and self._stay.is_chosen():
            self._save()
            self._stay.go_on()
        elif work and self._must_ask():
            self._ask(work)
        else:
            self.close_now()

    def _ask(self, work: str) -> None:
        if self._closing:
            return
        if self._box is not None:
            self._box.activateWindow()
            return
        box = QMessageBox(self._window)
        box.setWindowTitle("Quit M1 Desk")
        box.setIcon(QMessageBox.Icon.Question)
        box.setText(work)
        box.setInformativeText("What has been done so far is kept.")
        stop = box.addButton("Stop and quit", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        if self._stay is not None and self._stay.is_possible():
            go_on = box.addButton("Close the window, keep working", box.ButtonRole.DestructiveRole)
            go_on.clicked.connect(lambda _=False: self._on_stay())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.buttonClicked.connect(lambda button: self.close_now() if button is stop else None)
        box.finished.connect(self._on_answered)
        self._box = box
        box.open()

    def _on_stay(self) -> None:
        self._save()
        if self._stay is not None:
            self._stay.go_on()

    def _on_answered(self) -> None:
        self._box = None

    def _on_wound_up(self, _result: object) -> None:
        self._end()

    def _on_error(self, error: Exception) -> None:
        _log.error("closing did not go well", exc_info=error)
        self._end()

    def _on_too_slow(self) -> None:
        _log.warning("closing took longer than %d ms", _LIMIT_MS)
        self._end()

    def _end(self) -> None:
        if not self._finished:
            self._finished = True
            self._limit.stop()
            self._window.close()
            self._finish()
