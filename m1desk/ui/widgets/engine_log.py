"""The engine's log: its last lines, searchable, to be copied or saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut, QTextDocument
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from m1desk.errors import StorageError
from m1desk.ui.theme import code_font
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QHideEvent, QShowEvent

    from m1desk.ui.theme import Theme

_PERIOD_MS: Final = 1000
_WIDEST_LINE: Final = 2000
"""Characters; one line of megabytes would freeze the text field."""


class EngineLog(QFrame):
    """Follows the log while it is seen, and stays where the reader scrolled to.

    Signals:
        failed: a StorageError: the log could not be saved.
    """

    failed = Signal(object)

    def __init__(
        self, theme: Theme, lines: Callable[[], tuple[str, ...]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._lines = lines
        self._shown: tuple[str, ...] = ()
        self.setProperty("card", True)
        self._text = QPlainTextEdit()
        self._text.setReadOnly(True)
        self._text.setProperty("bare", True)
        self._text.setUndoRedoEnabled(False)
        self._text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._text.setAccessibleName("Engine log")
        self._text.setPlaceholderText("The engine has written nothing yet.")
        self._search = QLineEdit()
        self._search.setPlaceholderText("Search the log")
        self._search.setAccessibleName("Search the log")
        self._search.setClearButtonEnabled(True)
        self._search.setMaximumWidth(240)
        self._found = Label(tone="caption")
        self._timer = QTimer(self)
        self._timer.setInterval(_PERIOD_MS)
        self._lay_out()
        self._connect()
        self._on_theme_changed()

    @property
    def shown_text(self) -> str:
        """What can be read now."""
        return self._text.toPlainText()

    def refresh(self) -> None:
        """Show what was written since; cheap when nothing was."""
        lines = self._lines()
        if lines == self._shown:
            return
        bar = self._text.verticalScrollBar()
        place, at_end = bar.value(), bar.value() >= bar.maximum() - 4
        known = len(self._shown)
        if known and lines[:known] == self._shown:
            self._text.appendPlainText("\n".join(line[:_WIDEST_LINE] for line in lines[known:]))
        else:  # the engine keeps its last lines only, so the first ones have gone
            self._text.setPlainText("\n".join(line[:_WIDEST_LINE] for line in lines))
        self._shown = lines
        bar.setValue(bar.maximum() if at_end else place)

    def save_to(self, path: Path) -> None:
        """Write the whole log into a file; raises StorageError."""
        try:
            path.write_text("\n".join(self._lines()) + "\n", encoding="utf-8")
        except OSError as error:
            raise StorageError(
                "The log could not be saved.",
                f"{path}: {error.strerror or error}.",
                "Choose another place.",
            ) from error

    def showEvent(self, event: QShowEvent) -> None:
        """Follow the log from now on."""
        super().showEvent(event)
        self.refresh()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop following: nobody reads."""
        super().hideEvent(event)
        self._timer.stop()

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        title = Label("Engine log", tone="strong")
        self._copy = IconButton(self._theme, "copy", "Copy the whole log")
        self._save = IconButton(self._theme, "download", "Save the log to a file")
        head = QHBoxLayout()
        head.setSpacing(metrics.space_s)
        head.addWidget(title)
        head.addStretch(1)
        for widget in (self._found, self._search, self._copy, self._save):
            head.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_m, metrics.space_m
        )
        layout.setSpacing(metrics.space_s)
        layout.addLayout(head)
        layout.addWidget(self._text, 1)

    def _connect(self) -> None:
        self._timer.timeout.connect(self.refresh)
        self._copy.clicked.connect(self._on_copy)
        self._save.clicked.connect(self._on_save)
        self._search.textChanged.connect(self._on_search_changed)
        self._search.returnPressed.connect(self._find_next)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self._search.setFocus)
        self._theme.changed.connect(self._on_theme_changed)

    def _on_search_changed(self, wanted: str) -> None:
        count = self.shown_text.lower().count(wanted.lower()) if wanted else 0
        self._found.setText(f"{count:,} found" if wanted else "")
        cursor = self._text.textCursor()
        cursor.setPosition(cursor.selectionStart())
        self._text.setTextCursor(cursor)
        if count:
            self._find_next()

    def _find_next(self) -> None:
        """Go up from the newest lines, around the end."""
        wanted = self._search.text()
        backward = QTextDocument.FindFlag.FindBackward
        if wanted and not self._text.find(wanted, backward):
            self._text.moveCursor(self._text.textCursor().MoveOperation.End)
            self._text.find(wanted, backward)

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(self._lines()))

    def _on_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the engine's log", "engine.log", "Text (*.log *.txt)"
        )
        if not name:
            return
        try:
            self.save_to(Path(name))
        except StorageError as error:
            self.failed.emit(error)

    def _on_theme_changed(self) -> None:
        self._text.setFont(code_font(self._theme.metrics.font_caption))
