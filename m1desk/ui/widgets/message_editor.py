"""The field in which a message of one's own is edited in place."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget


class MessageEditor(QWidget):
    """Text to change, with Send and Cancel; Enter sends, Esc cancels.

    Signals:
        sent: the new text.
        cancelled: nothing is to change.
    """

    sent = Signal(str)
    cancelled = Signal()

    def __init__(self, text: str) -> None:
        super().__init__()
        self._field = _Field(text)
        self._field.setAccessibleName("Edit message")
        self._field.setMinimumHeight(96)
        self._send = QPushButton("Send as new branch")
        self._send.setProperty("kind", "primary")
        self._send.clicked.connect(self._on_send)
        cancel = QPushButton("Cancel")
        cancel.clicked.connect(self.cancelled)
        self._field.sent.connect(self._on_send)
        self._field.cancelled.connect(self.cancelled)
        self._field.textChanged.connect(self._on_changed)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(cancel)
        row.addWidget(self._send)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._field)
        layout.addLayout(row)
        self.setFocusProxy(self._field)

    def _on_changed(self) -> None:
        self._send.setEnabled(bool(self._field.toPlainText().strip()))

    def _on_send(self) -> None:
        text = self._field.toPlainText().strip()
        if text:
            self.sent.emit(text)


class _Field(QPlainTextEdit):
    sent = Signal()
    cancelled = Signal()

    def event(self, event: QEvent) -> bool:
        """Keep Esc from the window, where it would stop an answer."""
        is_override = event.type() == QEvent.Type.ShortcutOverride
        if is_override and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        shift = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and not shift:
            self.sent.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)
