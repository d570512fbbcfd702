"""The panel of all sets of documents: new, search, and the list with its menu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QContextMenuEvent, QFont, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.widgets.document_words import count_text

if TYPE_CHECKING:
    from m1desk.documents import DocumentSet
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_sets import DocumentSetsViewModel

    Index = QModelIndex | QPersistentModelIndex

_ROW: Final = 50
_FIGURES: Final = Qt.ItemDataRole.UserRole + 1


def figures_text(one: DocumentSet) -> str:
    """Write how much is in a set: "3 files · 12 pages"."""
    if not one.files:
        return "Empty"
    return f"{count_text(one.files, 'file')} · {count_text(one.pages, 'page')}"


class DocumentSetList(QFrame):
    """Shows the view model's sets.

    Signals:
        new_wished: a new, empty set.
        open_wished: id (int) of a set.
        delete_wished: id (int) of a set, still to be confirmed.
    """

    new_wished = Signal()
    open_wished = Signal(object)
    delete_wished = Signal(object)

    def __init__(
        self, theme: Theme, sets: DocumentSetsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._sets = sets
        self.setProperty("panel", True)
        self.field = QLineEdit()
        self.rows = _Rows(theme)
        self._new = QPushButton("New set")
        self._nothing = QLabel()
        self._lay_out()
        self._connect()
        self._tint()

    def set_current(self, set_id: int | None) -> None:
        """Mark the set that is open."""
        self.rows.set_current(set_id)

    def start_renaming(self, set_id: int) -> None:
        """Open the field in which the name is changed."""
        self.rows.start_renaming(set_id)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self.field.setPlaceholderText("Search sets")
        self.field.setAccessibleName("Search sets of documents by name")
        self.field.setClearButtonEnabled(True)
        self._new.setToolTip("Make an empty set of documents")
        self._nothing.setProperty("tone", "faint")
        self._nothing.setTextFormat(Qt.TextFormat.PlainText)
        self._nothing.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_m, metrics.space_m, metrics.space_m, 0)
        layout.setSpacing(metrics.space_s)
        for widget in (self._new, self.field, self._nothing):
            layout.addWidget(widget)
        layout.addWidget(self.rows, 1)

    def _connect(self) -> None:
        self._theme.changed.connect(self._tint)
        self._new.clicked.connect(self.new_wished)
        self.field.textChanged.connect(self._sets.search)
        self.field.returnPressed.connect(self._open_first)
        self.rows.open_wished.connect(self.open_wished)
        self.rows.delete_wished.connect(self.delete_wished)
        self.rows.renamed.connect(self._sets.rename)
        self.rows.menu_wished.connect(self._on_menu)
        self._sets.changed.connect(self._on_changed)

    def _on_changed(self, sets: tuple[DocumentSet, ...]) -> None:
        if self.field.text().strip() != self._sets.words:
            self.field.setText(self._sets.words)
        self.rows.set_sets(sets)
        words = self._sets.words
        self._nothing.setText(f"Nothing found for “{words}”." if words else "No documents yet.")
        self._nothing.setVisible(not sets)

    def _open_first(self) -> None:
        if self._sets.shown:
            self.open_wished.emit(self._sets.shown[0].id)

    def _on_menu(self, set_id: int, place: QPoint) -> None:
        menu = QMenu(self)
        menu.addAction("Rename", lambda: self.rows.start_renaming(set_id))
        menu.addSeparator()
        menu.addAction("Delete…", lambda: self.delete_wished.emit(set_id))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def _tint(self) -> None:
        self._new.setIcon(self._theme.icon("plus", self._theme.palette.text))


class _Model(QAbstractListModel):
    renamed = Signal(object, str)

    def __init__(self) -> None:
        super().__init__()
        self.sets: tuple[DocumentSet, ...] = ()

    def set_sets(self, sets: tuple[DocumentSet, ...]) -> None:
        if [one.id for one in sets] == [one.id for one in self.sets]:
            self.sets = sets
            if sets:
                self.dataChanged.emit(self.index(0), self.index(len(sets) - 1))
            return
        self.beginResetModel()
        self.sets = sets
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.sets)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        one = self.sets[index.row()]
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole}:
            return one.name
        if role == _FIGURES:
            return figures_text(one)
        if role in {Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole}:
            return f"{one.name}\n{figures_text(one)}"
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: ANN401 - Qt's
        name = str(value).strip()
        if role == Qt.ItemDataRole.EditRole and name and name != self.sets[index.row()].name:
            self.renamed.emit(self.sets[index.row()].id, name)
        return False  # the new name comes back from the database

    def flags(self, index: Index) -> Qt.ItemFlag:
        return super().flags(index) | Qt.ItemFlag.ItemIsEditable


class _Rows(QListView):
    """One row a set; Enter or a click opens, F2 renames, Delete asks to delete."""

    open_wished = Signal(object)
    delete_wished = Signal(object)
    renamed = Signal(object, str)
    menu_wished = Signal(object, QPoint)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._model = _Model()
        self._current: int | None = None
        self.setModel(self._model)
        self.setItemDelegate(_Delegate(theme, self))
        self.setAccessibleName("Sets of documents")
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._model.renamed.connect(self.renamed)
        self.clicked.connect(lambda index: self.open_wished.emit(self._id(index)))
        theme.changed.connect(self.viewport().update)

    def set_sets(self, sets: tuple[DocumentSet, ...]) -> None:
        self._model.set_sets(sets)
        self.set_current(self._current)

    def set_current(self, set_id: int | None) -> None:
        self._current = set_id
        ids = [one.id for one in self._model.sets]
        if set_id in ids:
            self.setCurrentIndex(self._model.index(ids.index(set_id)))
        else:
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())

    def start_renaming(self, set_id: int) -> None:
        ids = [one.id for one in self._model.sets]
        if set_id in ids:
            index = self._model.index(ids.index(set_id))
            self.setCurrentIndex(index)
            self.edit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index = self.currentIndex()
        if index.isValid() and event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.open_wished.emit(self._id(index))
        elif index.isValid() and event.key() == Qt.Key.Key_Delete:
            self.delete_wished.emit(self._id(index))
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        by_keyboard = event.reason() == QContextMenuEvent.Reason.Keyboard
        index = self.currentIndex() if by_keyboard else self.indexAt(event.pos())
        if index.isValid():
            place = event.globalPos()
            if by_keyboard:
                place = self.viewport().mapToGlobal(self.visualRect(index).bottomLeft())
            self.menu_wished.emit(self._id(index), place)

    def _id(self, index: QModelIndex) -> int:
        return self._model.sets[index.row()].id


class _Delegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        box = option.rect.adjusted(0, 1, 0, -1)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent_soft if selected else colours.hover))
            painter.drawRoundedRect(box, metrics.radius_s, metrics.radius_s)
        font = QFont(option.font)
        half = box.height() // 2
        top = box.adjusted(10, 5, -10, -half + 2)
        bottom = box.adjusted(10, half, -10, -4)
        lines = (
            (top, str(index.data()), metrics.font_small, colours.text),
            (bottom, str(index.data(_FIGURES)), metrics.font_caption, colours.text_faint),
        )
        for place, text, size, colour in lines:
            font.setPixelSize(size)
            painter.setFont(font)
            painter.setPen(QColor(colour))
            _draw(painter, place, text)
        painter.restore()

    def createEditor(
        self, parent: QWidget, _option: QStyleOptionViewItem, _index: Index
    ) -> QWidget:
        editor = QLineEdit(parent)
        editor.setAccessibleName("Name of the set")
        return editor

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, _index: Index
    ) -> None:
        editor.setGeometry(option.rect.adjusted(0, 8, 0, -8))


def _draw(painter: QPainter, place: QRect, text: str) -> None:
    elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, place.width())
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, elided)
