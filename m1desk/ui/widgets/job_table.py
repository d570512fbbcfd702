"""The results of a job as a table: a row a document or a question, in each cell a short answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QGuiApplication, QKeySequence, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from m1desk.jobs.results import ResultTable
from m1desk.ui.widgets.plain_model import Column, PlainTableModel
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent, QResizeEvent

    from m1desk.jobs.results import CellStatus, ResultCell, ResultRow
    from m1desk.ui.theme import Theme

    Index = QModelIndex | QPersistentModelIndex

STATUS: Final[dict[CellStatus, tuple[str, str, str]]] = {
    "verified": ("All quotes verified", "check", "success"),
    "approximate": ("A quote is only like the text", "approximate", "warning"),
    "not_found": ("A quote is not in the documents", "close", "danger"),
    "no_quote": ("No quote: not checked", "info", "text_faint"),
    "failed": ("No answer", "alert", "danger"),
    "missing": ("Not asked yet", "clock", "text_faint"),
}
"""Words, an icon, and the name of a colour of the palette for what bears a cell out."""

NO_TABLE: Final = ResultTable("Question", (), ())
_ROW: Final = 44
_TITLE_WIDTH: Final = 190
_LEAST_COLUMN: Final = 164
_MOST_COLUMN: Final = 420
_ICON: Final = 14
_TITLE: Final = 0
_MOST_SHOWN: Final = 300
"""Characters of an answer that are laid out for two lines."""


class JobTableModel(PlainTableModel):
    """Writes a ResultTable; the first column holds the rows' titles."""

    rows: tuple[ResultRow, ...]

    def __init__(self) -> None:
        super().__init__(_columns(NO_TABLE))
        self.table = NO_TABLE

    def show_table(self, table: ResultTable) -> None:
        """Show another table; one of the same shape keeps the selection."""
        self.table = table
        columns, titles = _columns(table), [row.title for row in table.rows]
        if columns == self.columns and titles == [row.title for row in self.rows]:
            self.show_changed(table.rows)
        else:
            self.show_others(table.rows, columns)

    def cell(self, index: Index) -> ResultCell | None:
        """The cell at a place, None for a title."""
        if not index.isValid() or index.column() == _TITLE:
            return None
        return self.rows[index.row()].cells[index.column() - 1]

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """Text and tooltip of a cell."""
        row, cell = self.rows[index.row()], self.cell(index)
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title if cell is None else _cell_text(cell)
        if role in {Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole}:
            text = _words(row) if cell is None else _tooltip(cell)
            return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        return super().data(index, role)


class JobTable(QTableView):
    """Shows results as a table; the current cell is told, and Ctrl+C copies it.

    Signals:
        chosen: the ResultCell that is the current one, None for none.
    """

    chosen = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = JobTableModel()
        self.setModel(self._model)
        self.setItemDelegate(_Delegate(theme, self._model, self))
        self.setAccessibleName("Results")
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setMouseTracking(True)
        vertical, header = self.verticalHeader(), self.horizontalHeader()
        vertical.hide()
        vertical.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        vertical.setDefaultSectionSize(_ROW)
        header.setHighlightSections(False)
        header.viewport().setAutoFillBackground(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setMinimumSectionSize(64)
        self.selectionModel().currentChanged.connect(self._on_current)
        self._model.modelReset.connect(self._fit_columns)
        theme.changed.connect(self.viewport().update)

    @property
    def table(self) -> ResultTable:
        """What is shown."""
        return self._model.table

    @property
    def cell(self) -> ResultCell | None:
        """The current cell."""
        return self._model.cell(self.currentIndex())

    def show_table(self, table: ResultTable) -> None:
        """Show results; the current cell is told anew when it has changed."""
        before = self.cell
        self._model.show_table(table)
        if self.cell != before:
            self.chosen.emit(self.cell)

    def forget(self) -> None:
        """Show nothing, and have no current cell."""
        self._model.show_table(NO_TABLE)
        self.chosen.emit(None)

    def choose(self, row: int, column: int) -> None:
        """Make a cell the current one; the first column of answers is 0."""
        self.setCurrentIndex(self._model.index(row, column + 1))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy the current cell."""
        if event.matches(QKeySequence.StandardKey.Copy) and self.cell is not None:
            QGuiApplication.clipboard().setText(self.cell.text)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the room among the columns."""
        super().resizeEvent(event)
        self._fit_columns()

    def _fit_columns(self) -> None:
        header, count = self.horizontalHeader(), len(self._model.table.columns)
        if not count:
            return
        title = min(_TITLE_WIDTH, max(110, self.viewport().width() // 3))
        header.resizeSection(_TITLE, title)
        room = (self.viewport().width() - title) // count
        most = _MOST_COLUMN if count > 1 else max(_MOST_COLUMN, room)
        for column in range(1, count + 1):
            header.resizeSection(column, min(most, max(_LEAST_COLUMN, room)))

    def _on_current(self, current: QModelIndex) -> None:
        self.chosen.emit(self._model.cell(current))


class _Delegate(QStyledItemDelegate):
    """Paints a mark, and two lines of the answer at most."""

    def __init__(self, theme: Theme, model: JobTableModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._model = model

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(_LEAST_COLUMN, _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        painter.save()
        state = option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, QColor(colours.accent_soft))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(option.rect, QColor(colours.hover))
        painter.setPen(QColor(colours.border))
        painter.drawLine(option.rect.bottomLeft(), option.rect.bottomRight())
        place = option.rect.adjusted(8, 3, -8, -4)
        cell = self._model.cell(index)
        tone = colours.text
        if cell is not None:
            _, icon, name = STATUS[cell.status]
            mark = QRect(place.left(), place.top() + 3, _ICON, _ICON)
            self._theme.icon(icon, getattr(colours, name)).paint(painter, mark)
            place = place.adjusted(_ICON + 6, 0, 0, 0)
            tone = colours.text if cell.answer is not None else colours.text_faint
        font = QFont(option.font)
        font.setPixelSize(metrics.font_small)
        font.setWeight(font.Weight.DemiBold if cell is None else font.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(tone))
        _draw_lines(painter, place, str(index.data())[:_MOST_SHOWN])
        painter.restore()


def _draw_lines(painter: QPainter, place: QRect, text: str) -> None:
    """Draw one line, or two where the text needs them; what does not fit is left out."""
    metrics = painter.fontMetrics()
    flags = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
    height = metrics.lineSpacing()
    first, rest = _first_line(painter, text, place.width())
    if rest:
        painter.drawText(place, flags, first)
        second = metrics.elidedText(rest, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(place.adjusted(0, height, 0, 0), flags, second)
        return
    shown = metrics.elidedText(first, Qt.TextElideMode.ElideMiddle, place.width())
    painter.drawText(place, flags, shown)


def _first_line(painter: QPainter, text: str, width: int) -> tuple[str, str]:
    """Break a text at the last blank that fits; one without such a blank is not broken."""
    metrics = painter.fontMetrics()
    if metrics.horizontalAdvance(text) <= width:
        return text, ""
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if metrics.horizontalAdvance(longer) > width:
            break
        line = longer
    return (line, text[len(line) :].strip()) if line else (text, "")


def _columns(table: ResultTable) -> tuple[Column, ...]:
    """What the titles are, and the names of the columns; the questions as what they mean."""
    asked = table.rows[0].cells if table.is_by_document and table.rows else ()
    meanings = [cell.question_text for cell in asked] or [""] * len(table.columns)
    named = (Column(name, text) for name, text in zip(table.columns, meanings, strict=True))
    return Column(table.head), *named


def _cell_text(cell: ResultCell) -> str:
    if cell.answer is None:
        return "Not asked yet" if cell.problem is None else cell.problem.what
    return cell.short or "–"


def _words(row: ResultRow) -> str:
    return "\n".join(part for part in (row.title, row.text) if part)


def _tooltip(cell: ResultCell) -> str:
    lines = [cell.text or _cell_text(cell), f"{STATUS[cell.status][0]}. {cell.pages}".strip()]
    return "\n\n".join(line for line in lines if line)
