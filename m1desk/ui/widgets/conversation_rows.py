"""The list of conversations: a title and a date in each row, renamed in place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QStyleOptionViewItem, QWidget

from m1desk.ui.widgets.named_rows import MORE_ROLE, NameDelegate, NamedRows, NamedRowsModel

if TYPE_CHECKING:
    from PySide6.QtCore import QRect

    from m1desk.chat import Conversation
    from m1desk.ui.theme import Theme

    Index = QModelIndex | QPersistentModelIndex

_DAY: Final = 86_400
_ROW: Final = 36


def date_text(moment: float, now: float) -> str:
    """Write when something was, short: "14:05" today, a weekday this week, else a date."""
    then, today = time.localtime(moment), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    if 0 <= now - moment < 6 * _DAY:
        return time.strftime("%a", then)
    return time.strftime("%d %b" if then[0] == today[0] else "%Y", then)


class ConversationRows(NamedRows):
    """One row a conversation."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, "Conversations", NamedRowsModel(_title, _date), parent)
        self.setItemDelegate(_Delegate(theme, _ROW, self, field_name="Title of the conversation"))


class _Delegate(NameDelegate):
    def paint_row(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, index: Index
    ) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        font = QFont(option.font)
        font.setPixelSize(metrics.font_caption)
        painter.setFont(font)
        date = str(index.data(MORE_ROLE))
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


def _title(one: Conversation) -> str:
    return one.title


def _date(one: Conversation) -> str:
    return date_text(one.updated, time.time())
