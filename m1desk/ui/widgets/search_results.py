"""What a search over all conversations found, with the words marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QTextCharFormat, QTextLayout, QTextOption
from PySide6.QtWidgets import QStyleOptionViewItem, QWidget

from m1desk.ui.widgets.painted_rows import PaintedRows, RowDelegate, RowsModel

if TYPE_CHECKING:
    from PySide6.QtCore import QRect

    from m1desk.chat import SearchHit
    from m1desk.ui.theme import Theme
    from m1desk.ui.tokens import Palette

    Index = QModelIndex | QPersistentModelIndex

_ROW = 76
_HIT_ROLE = Qt.ItemDataRole.UserRole + 1
_LINES = 2


class _Model(RowsModel):
    rows: tuple[SearchHit, ...]

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        hit = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{hit.title}: {hit.snippet}"
        return hit if role == _HIT_ROLE else None


class SearchResults(PaintedRows):
    """Hits, best first; Enter or a click chooses one.

    Signals:
        chosen: the SearchHit.
    """

    chosen = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, "Search results", parent)
        self._hits = _Model()
        self.setModel(self._hits)
        self.setItemDelegate(_Delegate(theme, _ROW, self, gap=2))
        self.row_opened.connect(lambda number: self.chosen.emit(self.hits[number]))

    @property
    def hits(self) -> tuple[SearchHit, ...]:
        """What is shown."""
        return self._hits.rows

    def set_hits(self, hits: tuple[SearchHit, ...]) -> None:
        """Show these; the first becomes current."""
        self._hits.set_rows(hits)
        if hits:
            self.setCurrentIndex(self._hits.index(0))

    def choose_current(self) -> None:
        """Choose the hit that is current, if there is one."""
        index = self.currentIndex()
        if self.isVisible() and index.isValid():
            self.row_opened.emit(index.row())


class _Delegate(RowDelegate):
    def paint_row(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, index: Index
    ) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        hit = cast("SearchHit", index.data(_HIT_ROLE))
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
