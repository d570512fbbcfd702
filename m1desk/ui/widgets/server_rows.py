"""The list of servers: a name and an address in each row, and which one answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter

from m1desk.ui.widgets.painted_rows import PaintedRows, RowDelegate, RowsModel
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from PySide6.QtWidgets import QStyleOptionViewItem, QWidget

    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.servers import KnownServer

    Index = QModelIndex | QPersistentModelIndex

_ROW: Final = 52
_DOT: Final = 8
_ADDRESS_ROLE: Final = Qt.ItemDataRole.UserRole + 1
_IN_USE_ROLE: Final = Qt.ItemDataRole.UserRole + 2


class _Model(RowsModel):
    rows: tuple[KnownServer, ...]
    in_use = ""

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        profile = self.rows[index.row()].profile
        is_used = profile.name == self.in_use
        if role == Qt.ItemDataRole.DisplayRole:
            return profile.name
        if role == _ADDRESS_ROLE:
            return profile.base_url
        if role == _IN_USE_ROLE:
            return is_used
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(f"{profile.name}\n{profile.base_url}")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{profile.name}, {profile.base_url}{', in use' if is_used else ''}"
        return None


class ServerRows(PaintedRows):
    """One row a server; Enter or a click shows it, Delete asks to remove it.

    Signals:
        open_wished, delete_wished: name (str) of a server.
        menu_wished: likewise, and where on the screen.
    """

    open_wished = Signal(str)
    delete_wished = Signal(str)
    menu_wished = Signal(str, QPoint)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, "Servers", parent)
        self._rows = _Model()
        self.setModel(self._rows)
        self.setItemDelegate(_Delegate(theme, _ROW, self))
        self.row_opened.connect(lambda number: self.open_wished.emit(self._name(number)))
        self.row_delete_wished.connect(lambda number: self.delete_wished.emit(self._name(number)))
        self.row_menu_wished.connect(
            lambda number, place: self.menu_wished.emit(self._name(number), place)
        )

    @property
    def names(self) -> list[str]:
        """The names of the servers that are listed."""
        return [row.profile.name for row in self._rows.rows]

    def show_servers(self, servers: tuple[KnownServer, ...], selected: str, in_use: str) -> None:
        """Show these, one of them selected, one of them marked as the one that answers."""
        self._rows.in_use = in_use
        if servers != self._rows.rows:
            self._rows.set_rows(servers)
        if selected in self.names:
            self.setCurrentIndex(self._rows.index(self.names.index(selected)))
        self.viewport().update()

    def _name(self, number: int) -> str:
        return self._rows.rows[number].profile.name


class _Delegate(RowDelegate):
    def paint_row(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, index: Index
    ) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        inner = box.adjusted(10, 7, -10, -7)
        font = QFont(option.font)
        font.setPixelSize(metrics.font_small)
        painter.setFont(font)
        name = QRect(inner)
        if index.data(_IN_USE_ROLE):
            name.setRight(inner.right() - _DOT - 6)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.success))
            painter.drawEllipse(inner.right() - _DOT, inner.top() + 4, _DOT, _DOT)
        _draw(painter, name, str(index.data()), colours.text, Qt.TextElideMode.ElideRight)
        font.setPixelSize(metrics.font_caption)
        painter.setFont(font)
        address = inner.adjusted(0, inner.height() // 2 + 1, 0, 0)
        text = str(index.data(_ADDRESS_ROLE))
        _draw(painter, address, text, colours.text_faint, Qt.TextElideMode.ElideMiddle)


def _draw(painter: QPainter, box: QRect, text: str, colour: str, mode: Qt.TextElideMode) -> None:
    painter.setPen(QColor(colour))
    shown = painter.fontMetrics().elidedText(text, mode, box.width())
    painter.drawText(box, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft, shown)
