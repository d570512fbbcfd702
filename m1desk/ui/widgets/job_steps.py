"""The steps of a job and its log: what was done, what failed and why, and when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QHeaderView,
    QPlainTextEdit,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import code_font
from m1desk.ui.units import seconds_text
from m1desk.ui.viewmodels.jobs_words import STEP_KINDS, STEP_STATES
from m1desk.ui.widgets.plain_model import Column, PlainTableModel
from m1desk.ui.widgets.plain_table import make_plain
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.jobs.values import JobLogLine, JobStep
    from m1desk.ui.theme import Theme

    Index = QModelIndex | QPersistentModelIndex

NUMBER, WHAT, STATE, TRIES, TOOK = range(5)
_COLUMNS: Final = (
    Column("Step", at_right=True),
    Column("What"),
    Column("State"),
    Column("Tries", at_right=True),
    Column("Took", at_right=True),
)
_WIDTHS: Final = {NUMBER: 48, STATE: 92, TRIES: 48, TOOK: 84}
_ROW: Final = 28


class JobStepsModel(PlainTableModel):
    """Writes steps as text."""

    rows: tuple[JobStep, ...]

    def __init__(self, theme: Theme) -> None:
        super().__init__(_COLUMNS)
        self._theme = theme

    def show_steps(self, steps: tuple[JobStep, ...]) -> None:
        """Show these steps; as many as before keep their places, where the reader stays."""
        if len(steps) == len(self.rows):
            self.show_changed(steps)
        else:
            self.show_others(steps)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """Text, icon, colour and tooltip of a cell."""
        step, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(step, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(_tooltip(step))
        _, icon, tone = STEP_STATES[step.state]
        if role == Qt.ItemDataRole.DecorationRole and column == STATE:
            return self._theme.icon(icon, getattr(self._theme.palette, tone))
        if role == Qt.ItemDataRole.ForegroundRole and column != WHAT:
            palette = self._theme.palette
            return QColor(getattr(palette, tone) if column == STATE else palette.text_muted)
        return super().data(index, role)


class JobSteps(QWidget):
    """Shows the steps above the log."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._lines: tuple[JobLogLine, ...] = ()
        self.model = JobStepsModel(theme)
        self.table = _Table(theme, self.model)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setProperty("bare", True)
        self.log.setUndoRedoEnabled(False)
        self.log.setAccessibleName("Log of the job")
        self.log.setPlaceholderText("Nothing was logged yet.")
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.table)
        split.addWidget(self.log)
        split.setHandleWidth(1)
        split.setChildrenCollapsible(False)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(split)
        self._set_font()
        theme.changed.connect(self._set_font)

    def show_steps(self, steps: tuple[JobStep, ...], lines: tuple[JobLogLine, ...]) -> None:
        """Show what there is now; a reader of the log's end follows it."""
        self.model.show_steps(steps)
        if lines == self._lines:
            return
        bar = self.log.verticalScrollBar()
        place, at_end = bar.value(), bar.value() >= bar.maximum() - 4
        known = len(self._lines)
        if known and lines[:known] == self._lines:
            self.log.appendPlainText(_log_text(lines[known:]))
        else:  # another job, or one whose first lines were dropped
            self.log.setPlainText(_log_text(lines))
        self._lines = lines
        bar.setValue(bar.maximum() if at_end else place)

    def _set_font(self) -> None:
        self.log.setFont(code_font(self._theme.metrics.font_caption))


class _Table(QTableView):
    def __init__(self, theme: Theme, model: JobStepsModel) -> None:
        super().__init__()
        self.setModel(model)
        make_plain(self, theme, "Steps of the job", _ROW)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionsClickable(False)
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)
        theme.changed.connect(self.viewport().update)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.viewport().width() - sum(_WIDTHS.values())
        self.horizontalHeader().resizeSection(WHAT, max(120, room))


def _text(step: JobStep, column: int) -> str:
    if column == WHAT:
        return " · ".join(
            part for part in (STEP_KINDS[step.kind], step.question, step.document) if part
        )
    if column == TOOK:
        known = step.started is not None and step.ended is not None
        return seconds_text(step.ended - step.started) if known else ""  # type: ignore[operator]
    return {
        NUMBER: f"{step.number:,}",
        STATE: STEP_STATES[step.state][0],
        TRIES: f"{step.attempts}" if step.attempts else "",
    }[column]


def _tooltip(step: JobStep) -> str:
    if step.problem is None:
        return _text(step, WHAT)
    problem = step.problem
    return "\n".join(part for part in (problem.what, problem.why, problem.todo) if part)


def _log_text(lines: tuple[JobLogLine, ...]) -> str:
    return "\n".join(
        f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(one.at))}  {one.text}" for one in lines
    )
