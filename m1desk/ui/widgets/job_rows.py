"""The rows of the queue: what a job is, how it is, how far it is; painted, and read as seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    Qt,
    Signal,
    SignalInstance,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QAbstractItemView, QStyleOptionViewItem, QWidget

from m1desk.ui.viewmodels.jobs_words import STATES, fraction_of, row_details
from m1desk.ui.widgets.conversation_rows import date_text
from m1desk.ui.widgets.painted_rows import PaintedRows, RowDelegate
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QDropEvent, QKeyEvent, QResizeEvent

    from m1desk.jobs.values import JobSummary
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_queue import JobQueueViewModel

    Index = QModelIndex | QPersistentModelIndex

ROW: Final = 56
_SIDE: Final = 10
_ICON: Final = 16
_BAR: Final = 3
_JOB: Final = Qt.ItemDataRole.UserRole
_MIME: Final = "application/x-m1desk-job"
_PRIORITIES: Final = {1: "↑", -1: "↓"}


class JobRowsModel(QAbstractListModel):
    """As many rows as the queue has; those that are not read yet are empty."""

    def __init__(self, queue: JobQueueViewModel) -> None:
        super().__init__()
        self._queue = queue
        self._count = queue.count
        queue.changed.connect(self._on_changed)
        queue.row_changed.connect(self._on_row_changed)

    def rowCount(self, parent: Index | None = None) -> int:
        """One for each job that is shown."""
        return 0 if parent is not None and parent.isValid() else self._count

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """The job for the painter; texts for tooltips and screen readers."""
        job = self._queue.row(index.row())
        if role == _JOB:
            return job
        if job is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return job.title
        if role in {Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole}:
            text = f"{job.title}\n{row_details(job, self._queue.step_of(job.id))}"
            return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Waiting jobs can be dragged, and others put before them."""
        flags = super().flags(index)
        job = self._queue.row(index.row()) if index.isValid() else None
        if job is not None and job.state == "waiting":
            flags |= Qt.ItemFlag.ItemIsDragEnabled | Qt.ItemFlag.ItemIsDropEnabled
        return flags

    def supportedDropActions(self) -> Qt.DropAction:
        """Rows are moved."""
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        """A form of our own: nothing of a job can be dropped elsewhere."""
        return [_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """The job's id."""
        data = QMimeData()
        job = self._queue.row(indexes[0].row()) if indexes else None
        data.setData(_MIME, str(job.id if job else 0).encode())
        return data

    def _on_changed(self) -> None:
        """Take on another number of rows at the end: what the others hold is read when painted."""
        count = self._queue.count
        if count > self._count:
            self.beginInsertRows(QModelIndex(), self._count, count - 1)
            self._count = count
            self.endInsertRows()
        elif count < self._count:
            self.beginRemoveRows(QModelIndex(), count, self._count - 1)
            self._count = count
            self.endRemoveRows()
        if count:
            self.dataChanged.emit(self.index(0), self.index(count - 1))

    def _on_row_changed(self, number: int) -> None:
        if number < self._count:
            self.dataChanged.emit(self.index(number), self.index(number))


class JobRows(PaintedRows):
    """The arrow keys and clicks open, Ctrl+Up and Ctrl+Down move, Delete asks to delete.

    Signals:
        open_wished: the JobSummary that is to be shown.
        step_wished: a JobSummary, and whether (bool) it is to go up.
        delete_wished: a JobSummary, still to be confirmed.
        moved: id (int) of a job, and of the one (int) it is to stand before.
        menu_wished: a JobSummary, and where on the screen.
    """

    open_wished = Signal(object)
    step_wished = Signal(object, bool)
    delete_wished = Signal(object)
    moved = Signal(object, object)
    menu_wished = Signal(object, QPoint)

    def __init__(
        self, theme: Theme, queue: JobQueueViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(theme, "Jobs", parent)
        self._queue = queue
        self._current: int | None = None
        self._placing = False
        self._model = JobRowsModel(queue)
        self.setModel(self._model)
        self.setItemDelegate(_Delegate(theme, queue, self))
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.verticalScrollBar().valueChanged.connect(self._tell_in_sight)
        self.selectionModel().currentChanged.connect(self._on_current)
        self.row_opened.connect(lambda number: self._pass_on(number, self.open_wished))
        self.row_delete_wished.connect(lambda number: self._pass_on(number, self.delete_wished))
        self.row_menu_wished.connect(self._on_menu)
        queue.changed.connect(self._place_current)

    def set_current(self, job_id: int | None) -> None:
        """Mark the job that is shown."""
        self._current = job_id
        self._place_current()

    # -- Qt ----------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Other rows can be seen."""
        super().resizeEvent(event)
        self._tell_in_sight()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move a job by keyboard, besides what all such lists do."""
        job = self._at(self.currentIndex())
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if job is not None and control and event.key() in {Qt.Key.Key_Up, Qt.Key.Key_Down}:
            self.step_wished.emit(job, event.key() == Qt.Key.Key_Up)
        else:
            super().keyPressEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Put a waiting job before the one it was dropped on; rows come back from the database."""
        moved = bytes(event.mimeData().data(_MIME).data()).decode()
        target = self._at(self.indexAt(event.position().toPoint()))
        if event.source() is self and moved.isdecimal() and target is not None:
            self.moved.emit(int(moved), target.id)
        event.setDropAction(Qt.DropAction.IgnoreAction)
        event.accept()

    # -- inside ------------------------------------------------------------------------------------

    def _at(self, index: QModelIndex) -> JobSummary | None:
        return self._queue.row(index.row()) if index.isValid() else None

    def _pass_on(self, number: int, signal: SignalInstance) -> None:
        job = self._queue.row(number)
        if job is not None:
            signal.emit(job)

    def _on_menu(self, number: int, place: QPoint) -> None:
        job = self._queue.row(number)
        if job is not None:
            self.menu_wished.emit(job, place)

    def _tell_in_sight(self) -> None:
        # Not indexAt, which asks the model for its rows once for every row.
        first = self.verticalScrollBar().value() // ROW
        self._queue.set_in_sight(first, first + self.viewport().height() // ROW + 1)

    def _on_current(self, current: QModelIndex) -> None:
        job = self._at(current)
        if job is not None and not self._placing and job.id != self._current:
            self._current = job.id
            self.open_wished.emit(job)

    def _place_current(self) -> None:
        """Keep the mark on the job, wherever its row is now."""
        number = self._queue.row_of(self._current) if self._current is not None else None
        self._placing = True
        if number is None or number >= self._model.rowCount():
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())
        elif self.currentIndex().row() != number:
            place = self.verticalScrollBar().value()
            self.setCurrentIndex(self._model.index(number))
            self.verticalScrollBar().setValue(place)
        self._placing = False


class _Delegate(RowDelegate):
    """Paints a title and a date, then how the job is, and a bar while it runs."""

    def __init__(self, theme: Theme, queue: JobQueueViewModel, parent: QWidget) -> None:
        super().__init__(theme, ROW, parent)
        self._queue = queue

    def paint_row(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, index: Index
    ) -> None:
        job = self._queue.row(index.row())
        if job is not None:
            painter.setFont(option.font)
            self._paint_job(painter, box.adjusted(_SIDE, 7, -_SIDE, -7), job)

    def _paint_job(self, painter: QPainter, box: QRect, job: JobSummary) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        _, icon, tone = STATES[job.state]
        colour = getattr(colours, tone)
        step = self._queue.step_of(job.id)
        half = box.height() // 2
        place = QRect(box.left(), box.top() + (half - _ICON) // 2, _ICON, _ICON)
        self._theme.icon(icon, colour).paint(painter, place)
        text = box.adjusted(_ICON + 8, 0, 0, 0)
        top = QRect(text.left(), text.top(), text.width(), half)
        bottom = QRect(text.left(), text.top() + half, text.width(), half)
        _set_size(painter, metrics.font_caption)
        painter.setPen(QColor(colours.text_faint))
        date = f"{_PRIORITIES.get(_sign(job), '')} {date_text(_when(job), time.time())}".strip()
        right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(top, right, date)
        width = painter.fontMetrics().horizontalAdvance(date) + 12
        is_plain = job.state in {"waiting", "cancelled", "done"}
        painter.setPen(QColor(colours.text_muted if is_plain else colour))
        _draw(painter, bottom, row_details(job, step))
        _set_size(painter, metrics.font_small)
        painter.setPen(QColor(colours.text))
        _draw(painter, top.adjusted(0, 0, -width, 0), job.title)
        if job.state == "running":
            self._paint_bar(painter, box, fraction_of(job.progress, step) or 0.0)

    def _paint_bar(self, painter: QPainter, box: QRect, fraction: float) -> None:
        colours = self._theme.palette
        left = box.left() + _ICON + 8
        bar = QRectF(left, box.bottom() + 2, box.right() - left, _BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.pressed))
        painter.drawRoundedRect(bar, _BAR / 2, _BAR / 2)
        bar.setWidth(max(_BAR, bar.width() * fraction))
        painter.setBrush(QColor(colours.accent))
        painter.drawRoundedRect(bar, _BAR / 2, _BAR / 2)


def _when(job: JobSummary) -> float:
    """The moment that says most of a job: its end, else its start, else when it was added."""
    return job.ended or job.started or job.created


def _sign(job: JobSummary) -> int:
    """Whether a waiting job goes before (1) or after (-1) the usual ones."""
    return (job.priority > 0) - (job.priority < 0) if job.state == "waiting" else 0


def _set_size(painter: QPainter, pixels: int) -> None:
    font = painter.font()
    font.setPixelSize(pixels)
    painter.setFont(font)


def _draw(painter: QPainter, place: QRect, text: str) -> None:
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, shown)
