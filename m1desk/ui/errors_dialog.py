"""The dialog for what should not happen: an unexpected error, its account, and where the log is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import code_font
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.errors import M1DeskError


class UnexpectedErrorDialog(QDialog):
    """Says that something went wrong inside the app; the work below it goes on.

    Further errors while it is open are added to the same dialog.
    """

    def __init__(self, log_folder: Path | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count = 0
        self._log_folder = log_folder
        self.setWindowTitle("Unexpected error")
        self.setModal(False)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._what = Label(tone="title", wraps=True)
        self._account = QPlainTextEdit()
        self._account.setReadOnly(True)
        self._account.setFont(code_font(12))
        self._account.setAccessibleName("Technical account of the error")
        self._lay_out()
        self.resize(680, 420)

    def add(self, what: str, account: str) -> None:
        """Show one more error: a line that says what happened, and the whole account."""
        self._count += 1
        more = f" ({self._count} times)" if self._count > 1 else ""
        self._what.setText(f"Something went wrong inside M1 Desk{more}.")
        if self._count <= 20:  # a fault in a timer would fill the memory
            self._account.appendPlainText(f"{what}\n\n{account}\n")

    def _lay_out(self) -> None:
        why = Label(
            "This is a fault of the app, not of yours. What you were doing may not have been "
            "finished; your conversations are saved. The account below is in the log too.",
            tone="muted",
            wraps=True,
        )
        buttons = QDialogButtonBox()
        copy = QPushButton("Copy account")
        copy.clicked.connect(self._on_copy)
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        if self._log_folder is not None:
            logs = QPushButton("Open log folder")
            logs.clicked.connect(self._on_open_logs)
            buttons.addButton(logs, QDialogButtonBox.ButtonRole.ActionRole)
        close = buttons.addButton(QDialogButtonBox.StandardButton.Close)
        close.setProperty("kind", "primary")
        close.setDefault(True)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(12)
        layout.addWidget(self._what)
        layout.addWidget(why)
        layout.addWidget(self._account, 1)
        layout.addWidget(buttons)

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._account.toPlainText())

    def _on_open_logs(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._log_folder)))


class FatalErrorDialog(QDialog):
    """Says why the app can't start: what, why, and what to do."""

    def __init__(self, error: M1DeskError, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("M1 Desk can't start")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(12)
        for text, tone in ((error.what, "title"), (error.why, "muted"), (error.todo, "body")):
            if not text:
                continue
            label = Paragraph(text, tone=tone)
            layout.addWidget(label)
        self._buttons = QDialogButtonBox()
        self._buttons.addButton(QDialogButtonBox.StandardButton.Close)
        self._buttons.rejected.connect(self.reject)
        self._buttons.accepted.connect(self.accept)
        layout.addStretch(1)
        layout.addWidget(self._buttons)
        self.setMinimumWidth(480)

    def offer(self, label: str) -> None:
        """Add a button that accepts the dialog instead of closing it."""
        self._buttons.addButton(QPushButton(label), QDialogButtonBox.ButtonRole.AcceptRole)
