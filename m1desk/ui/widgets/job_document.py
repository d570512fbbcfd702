"""The results of a job to be read from the first answer to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QPushButton, QScrollArea, QVBoxLayout, QWidget

from m1desk.ui.widgets.job_answer import JobAnswerView
from m1desk.ui.widgets.markdown_style import MarkdownStyle

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.jobs.results import ResultCell, ResultTable
    from m1desk.ui.theme import Theme
    from m1desk.ui.widgets.markdown_highlight import Highlighter

PAGE: Final = 12
"""Answers shown at first, and more at a time."""
_IDLE_MS: Final = 15


class JobDocument(QScrollArea):
    """Shows answers one below the other; they are made one by one while the window is idle.

    Signals:
        citation_chosen: a JobAnswer, and number (int, from 1) of one of its citations.
        link_clicked: an address in an answer.
    """

    citation_chosen = Signal(object, int)
    link_clicked = Signal(str)

    def __init__(
        self, theme: Theme, highlighter: Highlighter, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._look = MarkdownStyle(theme.palette, theme.metrics)
        self._highlighter = highlighter
        self._cells: tuple[ResultCell, ...] = ()
        self._views: list[JobAnswerView] = []
        self._wanted = PAGE
        self._more = QPushButton("Show more answers")
        self._more.setProperty("kind", "ghost")
        self._more.clicked.connect(self._on_more)
        self._column = QWidget()
        self._layout = QVBoxLayout(self._column)
        self._layout.setSpacing(theme.metrics.space_xl)
        self._layout.addWidget(self._more, alignment=Qt.AlignmentFlag.AlignHCenter)
        self._layout.addStretch(1)
        self._idle = QTimer(self)
        self._idle.setInterval(_IDLE_MS)
        self._idle.timeout.connect(self._make_next)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Answers")
        self.setWidget(self._column)
        theme.changed.connect(self._on_theme_changed)
        self._show_state()

    @property
    def answers(self) -> tuple[JobAnswerView, ...]:
        """The answers that are shown now, in order."""
        return tuple(self._views)

    def show_table(self, table: ResultTable, *, begin: bool = False) -> None:
        """Show all cells; what has not changed is left as it is, unless it is to `begin` anew."""
        self._cells = table.cells
        if begin:
            self._wanted = PAGE
            self.verticalScrollBar().setValue(0)
        keep = 0
        for view, cell in zip(self._views, self._cells, strict=False):
            if begin or view.cell != cell:
                break
            keep += 1
        for view in self._views[keep:]:
            self._drop(view)
        del self._views[keep:]
        self._idle.start()
        self._make_next()

    def _make_next(self) -> None:
        place = len(self._views)
        if place >= min(self._wanted, len(self._cells)):
            self._idle.stop()
            self._show_state()
            return
        view = JobAnswerView(self._cells[place], self._theme, self._look, self._highlighter)
        view.citation_chosen.connect(self.citation_chosen)
        view.link_clicked.connect(self.link_clicked)
        self._layout.insertWidget(place, view)
        self._views.append(view)

    def _drop(self, view: JobAnswerView) -> None:
        self._highlighter.forget(view.view.document())
        self._layout.removeWidget(view)
        view.hide()
        view.deleteLater()

    def _on_more(self) -> None:
        self._wanted += PAGE
        self._more.hide()
        self._idle.start()

    def _show_state(self) -> None:
        self._more.setVisible(len(self._cells) > len(self._views))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the column readable and in the middle."""
        super().resizeEvent(event)
        metrics = self._theme.metrics
        side = max(metrics.space_l, (self.viewport().width() - metrics.text_column) // 2)
        self._layout.setContentsMargins(side, metrics.space_m, side, metrics.space_l)

    def _on_theme_changed(self) -> None:
        self._look = MarkdownStyle(self._theme.palette, self._theme.metrics)
        for view in self._views:
            view.set_look(self._look)
