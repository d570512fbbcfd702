"""The answers of two jobs side by side: which say the same, which do not, and each in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QScrollArea,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.widgets.calm_fields import choice
from m1desk.ui.widgets.dialog_size import open_within_window
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.job_answer import JobAnswerView
from m1desk.ui.widgets.label import Paragraph
from m1desk.ui.widgets.markdown_highlight import Highlighter
from m1desk.ui.widgets.markdown_style import MarkdownStyle
from m1desk.ui.widgets.open_link import ask_to_open
from m1desk.ui.widgets.plain_model import Column, PlainTableModel
from m1desk.ui.widgets.plain_table import make_plain
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from m1desk.jobs.results import ComparedCell, Comparison, Outcome, ResultCell
    from m1desk.jobs.values import JobSummary
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_compare import JobCompareViewModel
    from m1desk.ui.viewmodels.jobs_open import OpenJob

    Index = QModelIndex | QPersistentModelIndex

WHERE, LEFT, RIGHT, OUTCOME = range(4)
OUTCOMES: Final[dict[Outcome, tuple[str, str, str]]] = {
    "equal": ("The same", "check", "success"),
    "different": ("Different", "approximate", "warning"),
    "left_missing": ("Only right", "info", "text_faint"),
    "right_missing": ("Only left", "info", "text_faint"),
    "both_missing": ("Neither", "info", "text_faint"),
}
_ROW: Final = 30
_OUTCOME_WIDTH: Final = 116
_SIZE: Final = (960, 680)
_NO_OTHER: Final = (
    "There is no other job with these questions and with results. Run the job once more with "
    "another model: “New job like this…” in its menu."
)


class ComparisonModel(PlainTableModel):
    """Writes a comparison as text."""

    rows: tuple[ComparedCell, ...]

    def __init__(self, theme: Theme) -> None:
        super().__init__(_columns("", ""))
        self._theme = theme

    def show_comparison(self, comparison: Comparison) -> None:
        """Show another comparison."""
        self.show_others(comparison.cells, _columns(comparison.left, comparison.right))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """Text, icon, colour and tooltip of a cell."""
        cell, column = self.rows[index.row()], index.column()
        word, icon, tone = OUTCOMES[cell.outcome]
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole}:
            where = " · ".join(part for part in (cell.left.document, cell.left.question) if part)
            text = (where, cell.left.short or "–", cell.right.short or "–", word)[column]
            return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        if column == OUTCOME and role == Qt.ItemDataRole.DecorationRole:
            return self._theme.icon(icon, getattr(self._theme.palette, tone))
        if column == OUTCOME and role == Qt.ItemDataRole.ForegroundRole:
            return QColor(getattr(self._theme.palette, tone))
        return super().data(index, role)


def _columns(left: str, right: str) -> tuple[Column, ...]:
    """The columns, the two jobs' by their titles."""
    return Column("Question"), Column(left), Column(right), Column("Compared")


class JobCompareDialog(QDialog):
    """Chooses a second job with the same questions, and shows both."""

    def __init__(
        self, theme: Theme, model: JobCompareViewModel, left: OpenJob, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._compare = model
        self._left = left
        self._highlighter = Highlighter(self)
        self.setWindowTitle("Compare results")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.other = choice("The other job", ())
        self.model = ComparisonModel(theme)
        self.table = QTableView()
        self._figures = ElidedLabel(tone="muted")
        self._nothing = Paragraph(_NO_OTHER, tone="muted")
        self._answers = (_AnswerPane(theme), _AnswerPane(theme))
        self._lay_out()
        self.other.currentIndexChanged.connect(self._on_other)
        self.table.selectionModel().currentRowChanged.connect(self._on_row)
        model.found.connect(self._on_found)
        model.compared.connect(self._on_compared)
        model.find(left.job)

    @property
    def figures(self) -> str:
        """How many answers are the same, and how many are not."""
        return self._figures.whole_text

    @property
    def nothing_text(self) -> str:
        """Why there is nothing to compare with, or ""."""
        return "" if self._nothing.isHidden() else self._nothing.text()

    def done(self, result: int) -> None:
        """Stop what works in the background."""
        self._highlighter.stop()
        super().done(result)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        head.setSpacing(metrics.space_s)
        title = ElidedLabel(f"“{self._left.job.summary.title}” and", tone="strong")
        head.addWidget(title)
        head.addWidget(self.other)
        head.addWidget(self._figures, 1)
        self._nothing.hide()
        self.other.hide()
        self._set_up_table()
        panes = QSplitter(Qt.Orientation.Horizontal)
        for pane in self._answers:
            panes.addWidget(pane)
        panes.setHandleWidth(1)
        panes.setChildrenCollapsible(False)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.table)
        split.addWidget(panes)
        split.setHandleWidth(1)
        split.setChildrenCollapsible(False)
        split.setSizes([340, 260])
        layout = QVBoxLayout(self)
        space = metrics.space_l
        layout.setContentsMargins(space, space, space, space)
        layout.setSpacing(metrics.space_m)
        layout.addLayout(head)
        layout.addWidget(self._nothing)
        layout.addWidget(split, 1)
        open_within_window(self, *_SIZE)

    def _set_up_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        make_plain(table, self._theme, "Answers of both jobs", _ROW)
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(OUTCOME, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(OUTCOME, _OUTCOME_WIDTH)

    def _on_found(self, jobs: tuple[JobSummary, ...]) -> None:
        self._nothing.setVisible(not jobs)
        self.other.setVisible(bool(jobs))
        for one in jobs:
            self.other.addItem(f"{one.title} ({one.id})", one.id)

    def _on_other(self) -> None:
        self._compare.compare(self._left.results, self.other.currentData())

    def _on_compared(self, comparison: Comparison) -> None:
        self.model.show_comparison(comparison)
        parts = [
            f"{comparison.count(outcome):,} {words[0].lower()}"
            for outcome, words in OUTCOMES.items()
            if comparison.count(outcome)
        ]
        self._figures.set_text(" · ".join(parts))
        if comparison.cells:
            self.table.selectRow(0)

    def _on_row(self, current: QModelIndex) -> None:
        cell = self.model.rows[current.row()] if current.isValid() else None
        sides = (None, None) if cell is None else (cell.left, cell.right)
        for pane, side in zip(self._answers, sides, strict=True):
            pane.show_cell(side, self._highlighter)


class _AnswerPane(QScrollArea):
    """One of the two answers in full."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_cell(self, cell: ResultCell | None, highlighter: Highlighter) -> None:
        box, space = QWidget(), self._theme.metrics.space_s
        column = QVBoxLayout(box)
        column.setContentsMargins(space, space, space, space)
        if cell is not None:
            look = MarkdownStyle(self._theme.palette, self._theme.metrics)
            answer = JobAnswerView(cell, self._theme, look, highlighter)
            answer.link_clicked.connect(lambda address: ask_to_open(self, address))
            column.addWidget(answer)
        column.addStretch(1)
        self.setWidget(box)
