"""A read-only text of many megabytes that appears bit by bit and never holds the window up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QTextEdit, QWidget

from m1desk.ui.theme import text_font
from m1desk.ui.widgets.viewer_slices import TextSlices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from m1desk.ui.theme import Theme

_MOST_MARKS: Final = 300


class ViewerText(QPlainTextEdit):
    """Shows a text; all positions are in characters of it.

    Signals:
        scrolled: the first character in sight has changed.
        loaded: all of the text is there.
    """

    scrolled = Signal()
    loaded = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._slices = TextSlices("")
        self._passage: tuple[int, int] | None = None
        self._wished: tuple[int, bool] | None = None  # to be gone to once it is there
        self._found: tuple[tuple[int, int], ...] = ()
        self._current: tuple[int, int] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._take_slice)
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setProperty("bare", True)
        self.setTabChangesFocus(True)
        self.setAccessibleName("Text of the documents")
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.verticalScrollBar().valueChanged.connect(self.scrolled)
        theme.changed.connect(self._on_theme_changed)
        self._on_theme_changed()

    # -- what is shown -----------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The whole text, shown already or not."""
        return self._slices.text

    @property
    def is_loaded(self) -> bool:
        """Whether all of the text is there."""
        return self._slices.is_complete

    @property
    def passage(self) -> tuple[int, int] | None:
        """The passage that is marked."""
        return self._passage

    def set_text(self, text: str) -> None:
        """Show another text from its beginning."""
        self._slices = TextSlices(text)
        self._passage = self._current = self._wished = None
        self._found = ()
        self.clear()
        self._timer.start()
        self._take_slice()

    def first_in_sight(self) -> int:
        """The first character that can be seen."""
        cursor = self.cursorForPosition(QPoint(2, 2))
        return self._slices.to_text(cursor.position())

    def last_in_sight(self) -> int:
        """The last character that can be seen."""
        corner = self.viewport().rect().bottomRight()
        return self._slices.to_text(self.cursorForPosition(corner).position())

    def show_passage(self, start: int, end: int) -> None:
        """Mark a passage and bring it into sight."""
        self._passage = (start, end)
        self.go_to(start)
        self._mark()

    def go_to(self, position: int, *, to_top: bool = False) -> None:
        """Bring a character into sight, as soon as it is there: to the middle, or to the top."""
        if position >= self._slices.done and not self.is_loaded:
            self._wished = (position, to_top)
            return
        self._wished = None
        cursor = QTextCursor(self.document())
        cursor.setPosition(self._shown(position))
        self.setTextCursor(cursor)
        self.centerCursor()
        if to_top:  # Qt counts a line that was never in sight as one: so from the middle up
            lines = self.cursorRect().top() // self.fontMetrics().lineSpacing()
            self.verticalScrollBar().setValue(self.verticalScrollBar().value() + lines)
        self.scrolled.emit()

    def set_found(
        self, found: Iterable[tuple[int, int]], current: tuple[int, int] | None = None
    ) -> None:
        """Mark what a search found in sight, and the hit one is at."""
        self._found = tuple(found)[:_MOST_MARKS]
        self._current = current
        self._mark()

    # -- inside ------------------------------------------------------------------------------------

    def _shown(self, position: int) -> int:
        return min(self._slices.to_shown(position), self.document().characterCount() - 1)

    def _take_slice(self) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(self._slices.take())
        if self._wished is not None and self._wished[0] < self._slices.done:
            self.go_to(self._wished[0], to_top=self._wished[1])
            self._mark()
        if self._slices.is_complete:
            self._timer.stop()
            self.loaded.emit()

    def _mark(self) -> None:
        colours = self._theme.palette
        marks = [self._selection(a, b, colours.mark) for a, b in self._found]
        if self._passage is not None:
            marks.append(self._selection(*self._passage, colours.mark))
        if self._current is not None:
            marks.append(self._selection(*self._current, colours.selection))
        self.setExtraSelections([one for one in marks if one is not None])

    def _selection(self, start: int, end: int, colour: str) -> QTextEdit.ExtraSelection | None:
        if start >= self._slices.done:
            return None
        cursor = QTextCursor(self.document())
        cursor.setPosition(self._shown(start))
        cursor.setPosition(self._shown(end), QTextCursor.MoveMode.KeepAnchor)
        form = QTextCharFormat()
        form.setBackground(QColor(colour))
        selection = QTextEdit.ExtraSelection()
        selection.cursor = cursor
        selection.format = form
        return selection

    def _on_theme_changed(self) -> None:
        self.setFont(text_font(self._theme.metrics.font_small))
        self._mark()
