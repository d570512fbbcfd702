"""Painted rows of things that have an id and a name, which is changed in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QLineEdit, QStyleOptionViewItem, QWidget

from m1desk.ui.widgets.painted_rows import PaintedRows, RowDelegate, RowsModel
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtCore import QAbstractItemModel

    from m1desk.ui.theme import Theme

    Index = QModelIndex | QPersistentModelIndex

MORE_ROLE = Qt.ItemDataRole.UserRole + 1
"""What is painted beside or below the name."""


class NamedRowsModel(RowsModel):
    """Each row has an attribute `id`, a name, and a little more to be painted.

    Signals:
        renamed: id of a row, and the name (str) that it is to have.
    """

    renamed = Signal(object, str)

    def __init__(self, name_of: Callable[[Any], str], more_of: Callable[[Any], str]) -> None:
        super().__init__()
        self._name_of = name_of
        self._more_of = more_of

    @property
    def ids(self) -> list[object]:
        """Ids of the rows, in their order."""
        return [row.id for row in self.rows]

    def set_rows(self, rows: tuple[Any, ...]) -> None:
        """Show others; the same ones in the same order stay where they are."""
        if [row.id for row in rows] != self.ids:
            super().set_rows(rows)
        elif rows:
            self.rows = rows
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """The name, what more there is, and both for tooltips and screen readers."""
        row = self.rows[index.row()]
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole}:
            return self._name_of(row)
        if role == MORE_ROLE:
            return self._more_of(row)
        if role in {Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole}:
            text = f"{self._name_of(row)}\n{self._more_of(row)}"
            return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: ANN401 - Qt's
        """Ask for another name; it comes back from the database."""
        row, name = self.rows[index.row()], str(value).strip()
        if role == Qt.ItemDataRole.EditRole and name and name != self._name_of(row):
            self.renamed.emit(row.id, name)
        return False

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Every name can be changed."""
        return super().flags(index) | Qt.ItemFlag.ItemIsEditable


class NamedRows(PaintedRows):
    """Enter or a click opens, F2 renames, Delete asks to delete.

    Signals:
        open_wished, delete_wished: id of a row.
        renamed: id of a row, and the name (str) that it is to have.
        menu_wished: id of a row, and where on the screen.
    """

    open_wished = Signal(object)
    delete_wished = Signal(object)
    renamed = Signal(object, str)
    menu_wished = Signal(object, QPoint)

    def __init__(
        self, theme: Theme, name: str, rows: NamedRowsModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(theme, name, parent)
        self._rows = rows
        self._current: object = None
        self.setModel(rows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        rows.renamed.connect(self.renamed)
        self.row_opened.connect(lambda number: self.open_wished.emit(rows.ids[number]))
        self.row_delete_wished.connect(lambda number: self.delete_wished.emit(rows.ids[number]))
        self.row_menu_wished.connect(
            lambda number, place: self.menu_wished.emit(rows.ids[number], place)
        )

    @property
    def is_empty(self) -> bool:
        """Whether there are no rows."""
        return not self._rows.rows

    def set_rows(self, rows: tuple[Any, ...]) -> None:
        """Show these, in this order."""
        self._rows.set_rows(rows)
        self.set_current(self._current)

    def set_current(self, row_id: object) -> None:
        """Select a row without opening it."""
        self._current = row_id
        if row_id in self._rows.ids:
            self.setCurrentIndex(self._index_of(row_id))
        else:
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())

    def start_renaming(self, row_id: object) -> None:
        """Open the field in which the name is changed."""
        if row_id in self._rows.ids:
            self.setCurrentIndex(self._index_of(row_id))
            self.edit(self._index_of(row_id))

    def _index_of(self, row_id: object) -> QModelIndex:
        return self._rows.index(self._rows.ids.index(row_id))


class NameDelegate(RowDelegate):
    """Has a field for the name; a subclass paints."""

    def __init__(
        self, theme: Theme, height: int, parent: QWidget, *, field_name: str, inset: int = 0
    ) -> None:
        """Prepare.

        Args:
            theme: for the colours.
            height: of a row (pixels).
            parent: the view.
            field_name: what the field is called for screen readers.
            inset: room (pixels) above and below the field.
        """
        super().__init__(theme, height, parent)
        self._field_name = field_name
        self._inset = inset

    def createEditor(
        self, parent: QWidget, _option: QStyleOptionViewItem, _index: Index
    ) -> QWidget:
        """Make the field."""
        editor = QLineEdit(parent)
        editor.setAccessibleName(self._field_name)
        return editor

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        """Take what was written."""
        if isinstance(editor, QLineEdit):
            model.setData(index, editor.text())

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, _index: Index
    ) -> None:
        """Put the field over the row."""
        editor.setGeometry(option.rect.adjusted(0, self._inset, 0, -self._inset))
