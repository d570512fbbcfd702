"""The list of conversations: a title and a date in each row, renamed in place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QContextMenuEvent, QFont, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

if TYPE_CHECKING:
    from PySide6.QtCore import QAbstractItemModel
    from PySide6.QtGui import QKeyEvent

    from m1desk.chat import Conversation
    from m1desk.ui.theme import Theme

    Index = QModelIndex | QPersistentModelIndex

_DAY: Final = 86_400
_DATE_ROLE: Final = Qt.ItemDataRole.UserRole + 1


def date_text(moment: float, now: float) -> str:
    """Write when something was, short: "14:05" today, a weekday this week, else a date."""
    then, today = time.localtime(moment), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    if 0 <= now - moment < 6 * _DAY:
        return time.strftime("%a", then)
    return time.strftime("%d %b" if then[0] == today[0] else "%Y", then)


class _Model(QAbstractListModel):
    renamed = Signal(object, str)

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Conversation, ...] = ()

    def set_rows(self, rows: tuple[Conversation, ...]) -> None:
        if [row.id for row in rows] == [row.id for row in self.rows]:
            self.rows = rows
            if rows:
                self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

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


class ConversationRows(QListView):
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
        super().__init__(parent)
        self._rows = _Model()
        self._current: int | None = None
        self.setModel(self._rows)
        self.setItemDelegate(_Delegate(theme, self))
        self.setAccessibleName("Conversations")
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._rows.renamed.connect(self.renamed)
        self.clicked.connect(self._open)
        theme.changed.connect(self.viewport().update)

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

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open with Enter, ask to delete with Delete."""
        index = self.currentIndex()
        if index.isValid() and event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self._open(index)
        elif index.isValid() and event.key() == Qt.Key.Key_Delete:
            self.delete_wished.emit(self._rows.rows[index.row()].id)
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
            self.menu_wished.emit(self._rows.rows[index.row()].id, place)

    def _open(self, index: QModelIndex) -> None:
        self.open_wished.emit(self._rows.rows[index.row()].id)


class _Delegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, 36)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        box = option.rect.adjusted(0, 1, 0, -1)
        state = option.state
        selected = bool(state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent_soft if selected else colours.hover))
            painter.drawRoundedRect(box, metrics.radius_s, metrics.radius_s)
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
        painter.restore()

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
