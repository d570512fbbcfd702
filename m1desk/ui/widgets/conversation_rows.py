"""The list of conversations: a title and a date in each row, renamed in place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QAbstractItemView, QLineEdit, QStyleOptionViewItem, QWidget

from m1desk.ui.widgets.painted_rows import PaintedRows, RowDelegate, RowsModel

if TYPE_CHECKING:
    from PySide6.QtCore import QAbstractItemModel, QRect

    from m1desk.chat import Conversation
    from m1desk.ui.theme import Theme

    Index = QModelIndex | QPersistentModelIndex

_DAY: Final = 86_400
_ROW: Final = 36
_DATE_ROLE: Final = Qt.ItemDataRole.UserRole + 1


def date_text(moment: float, now: float) -> str:
    """Write when something was, short: "14:05" today, a weekday this week, else a date."""
    then, today = time.localtime(moment), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    if 0 <= now - moment < 6 * _DAY:
        return time.strftime("%a", then)
    return time.strftime("%d %b" if then[0] == today[0] else "%Y", then)


class _Model(RowsModel):
    renamed = Signal(object, str)
    rows: tuple[Conversation, ...]

    def set_rows(self, rows: tuple[Conversation, ...]) -> None:
        if [row.id for row in rows] != [row.id for row in self.rows]:
            super().set_rows(rows)
        elif rows:
            self.rows = rows
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        row = self.rows[index.row()]
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole}:
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.title
        if role == _DATE_ROLE:
            return date_text(row.updated, time.time())
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: ANN401 - Qt's
        title = str(value).strip()
        if role == Qt.ItemDataRole.EditRole and title:
            self.renamed.emit(self.rows[index.row()].id, title)
        return False  # the new title comes back from the store

    def flags(self, index: Index) -> Qt.ItemFlag:
        return super().flags(index) | Qt.ItemFlag.ItemIsEditable


class ConversationRows(PaintedRows):
    """One row a conversation; Enter or a click opens, F2 renames, Delete asks to delete.

    Signals:
        open_wished, delete_wished: conversation id.
        renamed: conversation id and the new title.
        menu_wished: conversation id and where on the screen.
    """

    open_wished = Signal(object)
    delete_wished = Signal(object)
    renamed = Signal(object, str)
    menu_wished = Signal(object, QPoint)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, "Conversations", parent)
        self._rows = _Model()
        self._current: int | None = None
        self.setModel(self._rows)
        self.setItemDelegate(_Delegate(theme, _ROW, self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self._rows.renamed.connect(self.renamed)
        self.row_opened.connect(lambda number: self.open_wished.emit(self._id(number)))
        self.row_delete_wished.connect(lambda number: self.delete_wished.emit(self._id(number)))
        self.row_menu_wished.connect(
            lambda number, place: self.menu_wished.emit(self._id(number), place)
        )

    @property
    def is_empty(self) -> bool:
        """Whether there are no conversations."""
        return not self._rows.rows

    def set_conversations(self, conversations: tuple[Conversation, ...]) -> None:
        """Show these, in this order."""
        self._rows.set_rows(conversations)
        self.set_current(self._current)

    def set_current(self, conversation_id: int | None) -> None:
        """Select a conversation without opening it."""
        self._current = conversation_id
        ids = [row.id for row in self._rows.rows]
        if conversation_id in ids:
            self.setCurrentIndex(self._rows.index(ids.index(conversation_id)))
        else:
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())

    def start_renaming(self, conversation_id: object) -> None:
        """Open the field in which the title is changed."""
        ids = [row.id for row in self._rows.rows]
        if conversation_id in ids:
            index = self._rows.index(ids.index(conversation_id))
            self.setCurrentIndex(index)
            self.edit(index)

    def _id(self, number: int) -> int:
        return self._rows.rows[number].id


class _Delegate(RowDelegate):
    def paint_row(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, index: Index
    ) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        font = QFont(option.font)
        font.setPixelSize(metrics.font_caption)
        painter.setFont(font)
        date = str(index.data(_DATE_ROLE))
        width = painter.fontMetrics().horizontalAdvance(date)
        painter.setPen(QColor(colours.text_faint))
        right = box.adjusted(0, 0, -10, 0)
        painter.drawText(right, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, date)
        font.setPixelSize(metrics.font_small)
        painter.setFont(font)
        painter.setPen(QColor(colours.text))
        place = box.adjusted(10, 0, -width - 20, 0)
        title = painter.fontMetrics().elidedText(
            str(index.data()), Qt.TextElideMode.ElideRight, place.width()
        )
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, title)

    def createEditor(
        self, parent: QWidget, _option: QStyleOptionViewItem, _index: Index
    ) -> QWidget:
        editor = QLineEdit(parent)
        editor.setAccessibleName("Title of the conversation")
        return editor

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        if isinstance(editor, QLineEdit):
            model.setData(index, editor.text())

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, _index: Index
    ) -> None:
        editor.setGeometry(option.rect)
