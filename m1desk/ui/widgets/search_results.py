"""What a search over all conversations found, with the words marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QPainter, QTextCharFormat, QTextLayout, QTextOption
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent

    from m1desk.chat import SearchHit
    from m1desk.ui.theme import Theme
    from m1desk.ui.tokens import Palette

    Index = QModelIndex | QPersistentModelIndex

_HIT_ROLE = Qt.ItemDataRole.UserRole + 1
_LINES = 2


class _Model(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.hits: tuple[SearchHit, ...] = ()

    def set_hits(self, hits: tuple[SearchHit, ...]) -> None:
        self.beginResetModel()
        self.hits = hits
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.hits)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        hit = self.hits[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{hit.title}: {hit.snippet}"
        return hit if role == _HIT_ROLE else None


class SearchResults(QListView):
    """Hits, best first; Enter or a click chooses one.

    Signals:
        chosen: the SearchHit.
    """

    chosen = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hits = _Model()
        self.setModel(self._hits)
        self.setItemDelegate(_Delegate(theme, self))
        self.setAccessibleName("Search results")
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.clicked.connect(lambda index: self.chosen.emit(self._hits.hits[index.row()]))
        theme.changed.connect(self.viewport().update)

    @property
    def hits(self) -> tuple[SearchHit, ...]:
        """What is shown."""
        return self._hits.hits

    def set_hits(self, hits: tuple[SearchHit, ...]) -> None:
        """Show these; the first becomes current."""
        self._hits.set_hits(hits)
        if hits:
            self.setCurrentIndex(self._hits.index(0))

    def choose_current(self) -> None:
        """Choose the hit that is current, if there is one."""
        index = self.currentIndex()
        if self.isVisible() and index.isValid():
            self.chosen.emit(self._hits.hits[index.row()])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose with Enter."""
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.choose_current()
        else:
            super().keyPressEvent(event)


class _Delegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, 76)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        box = option.rect.adjusted(0, 2, 0, -2)
        state = option.state
        hit = cast("SearchHit", index.data(_HIT_ROLE))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent_soft if selected else colours.hover))
            painter.drawRoundedRect(box, metrics.radius_s, metrics.radius_s)
        font = QFont(option.font)
        font.setPixelSize(metrics.font_small)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(colours.text))
        place = box.adjusted(10, 7, -10, 0)
        title = painter.fontMetrics().elidedText(
            hit.title, Qt.TextElideMode.ElideRight, place.width()
        )
        painter.drawText(place, Qt.AlignmentFlag.AlignTop, title)
        font.setWeight(QFont.Weight.Normal)
        font.setPixelSize(metrics.font_caption)
        painter.setPen(QColor(colours.text_muted))
        _draw_snippet(painter, hit, font, QRectF(place.adjusted(0, 21, 0, 0)), colours)
        painter.restore()


def _draw_snippet(
    painter: QPainter, hit: SearchHit, font: QFont, place: QRectF, colours: Palette
) -> None:
    """Draw the excerpt on two lines, the found words on a coloured ground."""
    layout = QTextLayout(hit.snippet.replace("\n", " "), font)
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    layout.setTextOption(option)
    ranges = []
    for start, end in hit.marks:
        mark = QTextLayout.FormatRange()
        mark.start, mark.length = start, end - start
        form = QTextCharFormat()
        form.setBackground(QColor(colours.mark))
        form.setForeground(QColor(colours.text))
        mark.format = form
        ranges.append(mark)
    layout.setFormats(ranges)
    layout.beginLayout()
    top = 0.0
    for _ in range(_LINES):
        line = layout.createLine()
        if not line.isValid():
            break
        line.setLineWidth(place.width())
        line.setPosition(QPointF(0, top))
        top += line.height()
    layout.endLayout()
    layout.draw(painter, place.topLeft())
