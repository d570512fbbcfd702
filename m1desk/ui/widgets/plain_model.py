"""What every model of a table has: rows, and a name and a meaning for each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: stands above it.
        meaning: its tooltip there, or "".
        at_right: its name and its cells stand at the right, as numbers do.
    """

    name: str
    meaning: str = ""
    at_right: bool = False


class PlainTableModel(QAbstractTableModel):
    """Rows under named columns; those that are made of it say in `data` what stands in a cell."""

    rows: tuple[Any, ...]

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__()
        self.columns = columns
        self.rows = ()

    def rowCount(self, parent: Index | None = None) -> int:
        """As many as there are in `rows`; none below a cell."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        """As many as there are in `columns`; none below a cell."""
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:  # noqa: ANN401 - Qt's
        """Names of the columns; what they mean as tooltips."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(column.meaning) or None
        return _alignment(column) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """The side at which a cell stands, and nothing else."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(self.columns[index.column()])
        return None

    def show_others(self, rows: tuple[Any, ...], columns: tuple[Column, ...] | None = None) -> None:
        """Show other rows, under other columns if any are given; nothing stays selected."""
        self.beginResetModel()
        self.rows = rows
        self.columns = self.columns if columns is None else columns
        self.endResetModel()

    def show_changed(self, rows: tuple[Any, ...]) -> None:
        """Show as many rows as before, with other content; what is selected stays selected."""
        self.rows = rows
        self.tell_changed(0, len(self.columns) - 1)

    def tell_changed(self, first: int, last: int) -> None:
        """Have these columns, both included, painted anew in every row."""
        if self.rows:
            self.dataChanged.emit(self.index(0, first), self.index(len(self.rows) - 1, last))


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.at_right else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
