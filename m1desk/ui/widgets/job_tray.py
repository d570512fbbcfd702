"""The icon beside the clock: how the queue is, the window, the end; and what jobs have to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from m1desk.ui.widgets.document_words import count_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from m1desk.jobs.values import JobState
    from m1desk.ui.theme import Theme


class JobTray(QObject):
    """Is there while jobs run or wait, or the window is closed; nothing where there is no tray.

    Signals:
        open_wished: the window is to be shown.
        quit_wished: the app is to end.
    """

    open_wished = Signal()
    quit_wished = Signal()

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._wanted = False
        self._menu = QMenu()
        self._state = self._menu.addAction("")
        self._state.setEnabled(False)
        self._menu.addSeparator()
        self._menu.addAction("Open M1 Desk", self.open_wished.emit)
        self._menu.addAction("Quit", self.quit_wished.emit)
        self.icon = QSystemTrayIcon(self)
        self.icon.setContextMenu(self._menu)
        self.icon.activated.connect(self._on_activated)
        self.icon.messageClicked.connect(self.open_wished)
        theme.changed.connect(self._tint)
        self._tint()
        self.show_counts({})

    @staticmethod
    def is_available() -> bool:
        """Whether this desktop has a place for such icons."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    @property
    def text(self) -> str:
        """What is said about the queue."""
        return self._state.text()

    def show_counts(self, counts: Mapping[JobState, int]) -> None:
        """Say how many jobs run and wait."""
        text = queue_text(counts)
        self._state.setText(text)
        self.icon.setToolTip(f"M1 Desk: {text}")

    def show(self, *, shown: bool) -> None:
        """Show the icon where there is a place for it, or take it away."""
        shown = shown and self.is_available()
        if shown != self._wanted:
            self._wanted = shown
            self.icon.setVisible(shown)

    def tell(self, title: str, text: str, *, bad: bool) -> bool:
        """Tell something beside the clock; False where that can't be done."""
        if not self._wanted or not QSystemTrayIcon.supportsMessages():
            return False
        icon = QSystemTrayIcon.MessageIcon
        self.icon.showMessage(title, text, icon.Warning if bad else icon.Information)
        return True

    def close(self) -> None:
        """Take the icon away for good."""
        self.icon.hide()
        self._menu.deleteLater()

    def _on_activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason == QSystemTrayIcon.ActivationReason.Trigger:
            self.open_wished.emit()

    def _tint(self) -> None:
        self.icon.setIcon(self._theme.icon("jobs", self._theme.palette.accent))


def queue_text(counts: Mapping[JobState, int]) -> str:
    """Write how many jobs run and wait: "1 job running, 3 waiting"."""
    running, waiting = counts.get("running", 0), counts.get("waiting", 0)
    if running and waiting:
        return f"{count_text(running, 'job')} running, {waiting:,} waiting"
    if running:
        return f"{count_text(running, 'job')} running"
    return f"{count_text(waiting, 'job')} waiting" if waiting else "No jobs"
