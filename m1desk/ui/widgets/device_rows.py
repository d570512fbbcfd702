"""The table of accelerators: one row each, two lines high, updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QHeaderView, QStyleOptionViewItem, QTableView, QWidget

from m1desk.ui.theme import text_font
from m1desk.ui.widgets.device_curves import device_colour
from m1desk.ui.widgets.plain_model import Column, PlainTableModel
from m1desk.ui.widgets.plain_table import PlainDelegate, make_plain

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.devices import Cell, DeviceRow

    Index = QModelIndex | QPersistentModelIndex

DEVICE, MEMORY, LOAD, POWER, TEMPERATURE, PCIE, LINKS, ENGINE = range(8)
_FIELDS: Final = (
    "device", "memory", "load", "power", "temperature", "pcie", "links", "engine",
)  # fmt: skip
_COLUMNS: Final = (
    Column("Device", "The dot has the colour of its curves below"),
    Column("Memory", "In use by all programs, and how much there is"),
    Column("Load", "Share of the time in which it computes"),
    Column("Power", "Now, and what it is limited to"),
    Column("Temp.", "Temperature of its chip"),
    Column("PCIe", "Its link to the machine: generation and lanes now, and at most"),
    Column("Links", "How it reaches the other accelerators"),
    Column("Engine", "What the installed engine calls it, if it can use it"),
)
_LEAST_TEXTS: Final = {
    MEMORY: "88.8 of 88.8 GiB", LOAD: "100 %", POWER: "of 888 W", TEMPERATURE: "88 °C",
    PCIE: "of gen 8 x16", ENGINE: "CUDA88",
}  # fmt: skip
"""Texts that their columns always have room for, so that they do not grow with each figure."""

_LEAST_NAME: Final = 110
_LEAST_LINKS: Final = 120
_PADDING: Final = 8
_SLACK: Final = 4
_BAR: Final = 5
_DOT: Final = 8
_UPPER: Final = Qt.AlignmentFlag.AlignTop
_CENTRE: Final = Qt.AlignmentFlag.AlignVCenter
_LOWER: Final = Qt.AlignmentFlag.AlignBottom
_MIDDLE: Final = Qt.TextElideMode.ElideMiddle
CELL_ROLE: Final = Qt.ItemDataRole.UserRole


class DeviceRowsModel(PlainTableModel):
    """The rows of a `DeviceBoard`."""

    rows: tuple[DeviceRow, ...]

    def __init__(self) -> None:
        super().__init__(_COLUMNS)

    def show_rows(self, rows: tuple[DeviceRow, ...]) -> None:
        """Show others; what is selected stays so while they are those of the same devices."""
        if [row.id for row in rows] != [row.id for row in self.rows]:
            self.show_others(rows)
        elif rows != self.rows:
            self.show_changed(rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """The cell to paint; for tooltips and screen readers, all of it as text."""
        column = index.column()
        cell: Cell = getattr(self.rows[index.row()], _FIELDS[column])
        if role == CELL_ROLE:
            return cell
        if role == Qt.ItemDataRole.DisplayRole:
            return cell.text
        words = f"{cell.text}, {cell.more}" if cell.more else cell.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_COLUMNS[column].name}: {words}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{words}\n{cell.detail}" if cell.detail else words
        return super().data(index, role)


class _DeviceDelegate(PlainDelegate):
    """Paints a cell's two lines; the second one may be a bar."""

    def __init__(self, theme: Theme, view: QTableView) -> None:
        super().__init__(theme, view)
        self._small = text_font(theme.metrics.font_caption)
        theme.changed.connect(self._on_theme_changed)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint the ground, a dot of the device's colour before its name, and the lines."""
        blank = QStyleOptionViewItem(option)
        self.initStyleOption(blank, index)
        painter.save()
        painter.fillRect(option.rect, blank.backgroundBrush)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = option.rect.adjusted(_PADDING, 0, -_PADDING, 0)
        if index.column() == DEVICE:
            area = self._paint_dot(painter, area, device_colour(index.row()))
        self._paint_lines(painter, option, area, index)
        painter.restore()

    def _paint_dot(self, painter: QPainter, area: QRect, colour: str) -> QRect:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(getattr(self._theme.palette, colour)))
        painter.drawEllipse(QRectF(area.left(), area.center().y() - _DOT / 2, _DOT, _DOT))
        return area.adjusted(_DOT + _PADDING, 0, 0, 0)

    def _paint_lines(
        self, painter: QPainter, option: QStyleOptionViewItem, area: QRect, index: Index
    ) -> None:
        palette, cell = self._theme.palette, index.data(CELL_ROLE)
        # Of names the end tells cards and slices of cards apart.
        elide = _MIDDLE if index.column() == DEVICE else Qt.TextElideMode.ElideRight
        has_second = bool(cell.more) or cell.fraction is not None
        upper = QRect(area)
        if has_second:
            upper.setBottom(area.center().y() + 1)
        lower = area.adjusted(0, upper.height(), 0, 0)
        painter.setFont(option.font)
        painter.setPen(QColor(getattr(palette, cell.tone or "text")))
        _draw(painter, upper, cell.text, _LOWER if has_second else _CENTRE, elide)
        if cell.fraction is not None:
            self._paint_bar(painter, lower, cell.fraction)
        elif cell.more:
            painter.setFont(self._small)
            painter.setPen(QColor(palette.text_faint))
            _draw(painter, lower, cell.more, _UPPER, elide)

    def _paint_bar(self, painter: QPainter, area: QRect, fraction: float) -> None:
        bar = QRectF(area.left(), area.top() + 4, area.width(), _BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.palette.pressed))
        painter.drawRoundedRect(bar, _BAR / 2, _BAR / 2)
        bar.setWidth(max(_BAR, bar.width() * fraction) if fraction > 0 else 0)
        painter.setBrush(QColor(self._theme.palette.accent))
        painter.drawRoundedRect(bar, _BAR / 2, _BAR / 2)

    def _on_theme_changed(self) -> None:
        self._small = text_font(self._theme.metrics.font_caption)


class DeviceRows(QTableView):
    """As high as its rows; leaves out links and engine where there is no room for them."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._model = DeviceRowsModel()
        self._widths: dict[int, int] = {}
        self.setModel(self._model)
        make_plain(self, theme, "Accelerators", row_height(self))
        self.setItemDelegate(_DeviceDelegate(theme, self))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.horizontalHeader().setMinimumSectionSize(24)
        theme.changed.connect(self._on_theme_changed)

    @property
    def rows(self) -> tuple[DeviceRow, ...]:
        """What is shown."""
        return self._model.rows

    def show_rows(self, rows: tuple[DeviceRow, ...]) -> None:
        """Show others."""
        are_same = [row.id for row in rows] == [row.id for row in self.rows]
        self._model.show_rows(rows)
        if not are_same:
            self._fit()
        elif self._widen():
            self._share_width()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width out again."""
        super().resizeEvent(event)
        self._share_width()

    def _fit(self) -> None:
        """Measure everything anew."""
        height = row_height(self)
        self.verticalHeader().setDefaultSectionSize(height)
        header = self.horizontalHeader().sizeHint().height()
        self.setFixedHeight(header + height * len(self.rows) + 2 * self.frameWidth())
        self._widths.clear()
        self._widen()
        self._share_width()

    def _widen(self) -> bool:
        """Widen the columns whose texts need it, and say whether there are any.

        None becomes narrower again: columns that follow their figures would jump about.
        """
        before = dict(self._widths)
        advance = self.fontMetrics().horizontalAdvance
        for column, least in _LEAST_TEXTS.items():
            cells = [getattr(row, _FIELDS[column]) for row in self.rows]
            texts = (least, *(text for cell in cells for text in (cell.text, cell.more)))
            width = max(map(advance, texts)) + 2 * _PADDING + _SLACK
            self._widths[column] = max(width, before.get(column, 0))
        return self._widths != before

    def _share_width(self) -> None:
        """Give each column what it needs; the rest is the names' and the links'."""
        room = self.viewport().width() - sum(self._widths.values()) - _LEAST_NAME
        has_links = len(self.rows) > 1 and room >= _LEAST_LINKS
        has_engine = has_links or (len(self.rows) == 1 and room >= 0)
        room += _LEAST_NAME + (0 if has_engine else self._widths.get(ENGINE, 0))
        self.setColumnHidden(LINKS, not has_links)
        self.setColumnHidden(ENGINE, not has_engine)
        header = self.horizontalHeader()
        for column, width in self._widths.items():
            header.resizeSection(column, width)
        links = max(_LEAST_LINKS, room // 2) if has_links else 0
        header.resizeSection(LINKS, links)
        header.resizeSection(DEVICE, max(_LEAST_NAME, room - links))

    def _on_theme_changed(self) -> None:
        self._fit()
        self.viewport().update()


def row_height(widget: QWidget) -> int:
    """Two lines of the widget's font, and air (pixels)."""
    return 2 * widget.fontMetrics().height() + 10


def _draw(
    painter: QPainter, area: QRect, text: str, edge: Qt.AlignmentFlag, elide: Qt.TextElideMode
) -> None:
    """Draw as much of the text as there is room for, at an edge of the area."""
    shown = painter.fontMetrics().elidedText(text, elide, area.width())
    painter.drawText(area, Qt.AlignmentFlag.AlignLeft | edge, shown)
