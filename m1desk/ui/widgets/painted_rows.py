"""Lists whose rows are painted: the model, the view and the ground that all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QContextMenuEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

if TYPE_CHECKING:
    from PySide6.QtCore import QRect
    from PySide6.QtGui import QKeyEvent

    from m1desk.ui.theme import Theme

    Index = QModelIndex | QPersistentModelIndex

_LEAST_WIDTH = 120


class RowsModel(QAbstractListModel):
    """Values as rows; a subclass says what is told of each.

    Attributes:
        rows: what is shown.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Any, ...] = ()

    def set_rows(self, rows: tuple[Any, ...]) -> None:
        """Show others."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """One for each value."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)


class PaintedRows(QListView):
    """Rows of one height; Enter or a click opens, Delete asks to delete.

    Signals:
        row_opened: number (int) of the row.
        row_delete_wished: number (int) of the row, still to be confirmed.
        row_menu_wished: number (int) of the row, and where on the screen.
    """

    row_opened = Signal(int)
    row_delete_wished = Signal(int)
    row_menu_wished = Signal(int, QPoint)

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.clicked.connect(lambda index: self.row_opened.emit(index.row()))
        theme.changed.connect(self.viewport().update)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open with Enter, ask to delete with Delete."""
        index = self.currentIndex()
        if index.isValid() and event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.row_opened.emit(index.row())
        elif index.isValid() and event.key() == Qt.Key.Key_Delete:
            self.row_delete_wished.emit(index.row())
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of the row under the mouse, or of the selected one by keyboard."""
        by_keyboard = event.reason() == QContextMenuEvent.Reason.Keyboard
        index = self.currentIndex() if by_keyboard else self.indexAt(event.pos())
        if index.isValid():
            place = event.globalPos()
            if by_keyboard:
                place = self.viewport().mapToGlobal(self.visualRect(index).bottomLeft())
            self.row_menu_wished.emit(index.row(), place)


class RowDelegate(QStyledItemDelegate):
    """Paints the ground of a row; a subclass paints in `paint_row` what stands on it."""

    def __init__(self, theme: Theme, height: int, parent: QWidget, *, gap: int = 1) -> None:
        super().__init__(parent)
        self._theme = theme
        self._height = height
        self._gap = gap

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """The same height for every row."""
        return QSize(_LEAST_WIDTH, self._height)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Show by the ground whether the row is selected, or under the mouse."""
        colours, radius = self._theme.palette, self._theme.metrics.radius_s
        box = option.rect.adjusted(0, self._gap, 0, -self._gap)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent_soft if selected else colours.hover))
            painter.drawRoundedRect(box, radius, radius)
        self.paint_row(painter, option, box, index)
        painter.restore()

    def paint_row(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, index: Index
    ) -> None:
        """Paint a row's content into `box`; the painter's state is put back afterwards."""
        raise NotImplementedError
