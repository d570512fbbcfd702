"""A field of several lines that sends with Enter, and keeps Esc for itself."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QPlainTextEdit


class SendingField(QPlainTextEdit):
    """Enter sends, Shift+Enter breaks the line.

    Signals:
        submitted: Enter was pressed.
        escaped: Esc was pressed.
    """

    submitted = Signal()
    escaped = Signal()

    def event(self, event: QEvent) -> bool:
        """Keep Esc from the window's shortcut, which would stop an answer."""
        is_override = event.type() == QEvent.Type.ShortcutOverride
        if is_override and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Tell of Enter and Esc; everything else edits."""
        shift = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and not shift:
            self.submitted.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.escaped.emit()
        else:
            super().keyPressEvent(event)
