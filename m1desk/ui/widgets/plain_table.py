"""What every table of rows has: rows selected whole, no grid, colours kept in the selected row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QBrush, QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme

    Index = QModelIndex | QPersistentModelIndex


class PlainDelegate(QStyledItemDelegate):
    """Leaves verdicts and icons their colours in the selected row."""

    def __init__(self, theme: Theme, view: QTableView) -> None:
        super().__init__(view)
        self._theme = theme

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Show the selection by the ground alone."""
        super().initStyleOption(option, index)
        off = QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_HasFocus
        if option.state & QStyle.StateFlag.State_Selected:
            option.backgroundBrush = QBrush(QColor(self._theme.palette.accent_soft))
        option.state &= ~off


def make_plain(table: QTableView, theme: Theme, name: str, row_height: int) -> None:
    """Give a table of single rows its look and its keys; `name` is told to screen readers."""
    table.setItemDelegate(PlainDelegate(theme, table))
    table.setAccessibleName(name)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setIconSize(QSize(theme.metrics.icon, theme.metrics.icon))
    table.verticalHeader().hide()
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    table.verticalHeader().setDefaultSectionSize(row_height)
    table.horizontalHeader().setHighlightSections(False)
    table.horizontalHeader().viewport().setAutoFillBackground(False)
