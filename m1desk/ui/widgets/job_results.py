"""What a job brought: as a table or to be read, with each answer in full, and the way out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.job_answer import JobAnswerView
from m1desk.ui.widgets.job_document import JobDocument
from m1desk.ui.widgets.job_table import NO_TABLE, JobTable
from m1desk.ui.widgets.markdown_highlight import Highlighter
from m1desk.ui.widgets.markdown_style import MarkdownStyle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from m1desk.jobs.results import CellStatus, ResultCell
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_open import OpenJob

_COUNTED: Final[tuple[tuple[CellStatus, str], ...]] = (
    ("verified", "verified"),
    ("approximate", "approximate"),
    ("not_found", "not found"),
    ("no_quote", "unquoted"),
    ("failed", "failed"),
    ("missing", "to come"),
)
_TABLE, _TEXT = range(2)
_LEAST_ANSWER: Final = 120


class JobResultsView(QWidget):
    """Shows the results of the open job.

    Signals:
        citation_chosen: a JobAnswer, and number (int, from 1) of one of its citations.
        link_clicked: an address in an answer.
        export_wished: the results are to be written to a file.
        compare_wished: they are to be put beside those of another job.
    """

    citation_chosen = Signal(object, int)
    link_clicked = Signal(str)
    export_wished = Signal()
    compare_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._look = MarkdownStyle(theme.palette, theme.metrics)
        self.highlighter = Highlighter(self)
        self._job_id: int | None = None
        self._shown = NO_TABLE
        self._is_new_text = False
        self._answer: JobAnswerView | None = None
        self.table = JobTable(theme)
        self.document = JobDocument(theme, self.highlighter)
        self.export = QPushButton("Export…")
        self.compare = QPushButton("Compare…")
        self._figures = ElidedLabel(tone="muted")
        self._forms = QButtonGroup(self)
        self._stack = QStackedWidget()
        self._area = QScrollArea()
        self._lay_out()
        self._connect()

    @property
    def figures(self) -> str:
        """What is said about the answers together."""
        return self._figures.whole_text

    @property
    def answer(self) -> JobAnswerView | None:
        """The answer below the table."""
        return self._answer

    @property
    def shows_table(self) -> bool:
        """Whether the results are shown as a table."""
        return self._stack.currentIndex() == _TABLE

    def show_job(self, shown: OpenJob) -> None:
        """Show what a job brought so far."""
        summary = shown.job.summary
        is_other, self._job_id = summary.id != self._job_id, summary.id
        self._shown = shown.table
        if is_other:
            self.table.forget()
            self._is_new_text = True
            self.show_form(table=shown.table.is_by_document or len(shown.table.columns) > 1)
        self._figures.set_text(figures_text(shown.counts))
        self._show_current()
        has_answers = bool(shown.results.answers)
        for button, what in ((self.export, "Write the results"), (self.compare, "Compare them")):
            button.setEnabled(has_answers)
            button.setToolTip("" if has_answers else "There are no results yet")
            button.setAccessibleDescription(what)

    def show_form(self, *, table: bool) -> None:
        """Show the results as a table, or to be read."""
        self._stack.setCurrentIndex(_TABLE if table else _TEXT)
        self._forms.button(_TABLE if table else _TEXT).setChecked(True)
        self._show_current()

    # -- inside ------------------------------------------------------------------------------------

    def _show_current(self) -> None:
        """Fill the form that is seen; the other one is filled when it is."""
        if self.shows_table:
            self.table.show_table(self._shown)
        else:
            self.document.show_table(self._shown, begin=self._is_new_text)
            self._is_new_text = False

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        bar = QHBoxLayout()
        bar.setSpacing(metrics.space_s)
        for number, text in ((_TABLE, "Table"), (_TEXT, "Text")):
            button = QPushButton(text)
            button.setProperty("kind", "ghost")
            button.setCheckable(True)
            button.setToolTip(
                f"Show the results as a {text.lower()}"
                if number == _TABLE
                else "Show the answers one below the other"
            )
            self._forms.addButton(button, number)
            bar.addWidget(button)
        bar.addWidget(self._figures, 1)
        bar.addWidget(self.compare)
        bar.addWidget(self.export)
        self._area.setMinimumHeight(_LEAST_ANSWER)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.hide()
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.table)
        split.addWidget(self._area)
        split.setHandleWidth(1)
        split.setChildrenCollapsible(False)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setSizes([300, 200])
        self._stack.addWidget(split)
        self._stack.addWidget(self.document)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(metrics.space_s)
        layout.addLayout(bar)
        layout.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self._forms.idClicked.connect(lambda number: self.show_form(table=number == _TABLE))
        self.table.chosen.connect(self._on_chosen)
        self.document.citation_chosen.connect(self.citation_chosen)
        self.document.link_clicked.connect(self.link_clicked)
        self.export.clicked.connect(self.export_wished)
        self.compare.clicked.connect(self.compare_wished)
        self._theme.changed.connect(self._on_theme_changed)

    def _on_chosen(self, cell: ResultCell | None) -> None:
        """Show an answer in full below the table."""
        if self._answer is not None:
            self.highlighter.forget(self._answer.view.document())
            self._area.takeWidget().deleteLater()
            self._answer = None
        self._area.setVisible(cell is not None)
        if cell is None:
            return
        self._answer = JobAnswerView(cell, self._theme, self._look, self.highlighter)
        self._answer.citation_chosen.connect(self.citation_chosen)
        self._answer.link_clicked.connect(self.link_clicked)
        box, space = QWidget(), self._theme.metrics.space_s
        column = QVBoxLayout(box)
        column.setContentsMargins(0, space, space, space)
        column.addWidget(self._answer)
        column.addStretch(1)
        self._area.setWidget(box)

    def _on_theme_changed(self) -> None:
        self._look = MarkdownStyle(self._theme.palette, self._theme.metrics)
        if self._answer is not None:
            self._answer.set_look(self._look)


def figures_text(counts: Mapping[CellStatus, int]) -> str:
    """Write how many answers there are, and what bears them out."""
    parts = [f"{counts[status]:,} {words}" for status, words in _COUNTED if counts.get(status)]
    return " · ".join(parts)
