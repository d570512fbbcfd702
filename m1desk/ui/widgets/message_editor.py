"""The field in which a message of one's own is edited in place."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.widgets.sending_field import SendingField


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
        self._field = SendingField(text)
        self._field.setAccessibleName("Edit message")
        self._field.setMinimumHeight(96)
        self._send = QPushButton("Send as new branch")
        self._send.setProperty("kind", "primary")
        self._send.clicked.connect(self._on_send)
        cancel = QPushButton("Cancel")
        cancel.clicked.connect(self.cancelled)
        self._field.submitted.connect(self._on_send)
        self._field.escaped.connect(self.cancelled)
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
