"""The memory of each place as a stacked bar, by purpose, with a legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPainterPath
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from m1desk.ui.theme import text_font
from m1desk.ui.units import bytes_pair, bytes_text
from m1desk.ui.viewmodels.fit_panel import PURPOSE_NAMES, Bar, Purpose
from m1desk.ui.widgets.label import RichLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QPaintEvent

    from m1desk.ui.theme import Theme
    from m1desk.ui.tokens import Palette

_COLOURS: Final[dict[Purpose, str]] = {
    "weights": "accent",
    "kv_cache": "success",
    "state": "warning",
    "compute": "mark",
    "overhead": "text_faint",
    "others": "text_muted",
    "reserve": "border_strong",
    "disk": "danger",
    "missing": "danger",
}
_HATCHED: Final = frozenset({"reserve", "disk", "missing"})
_TEXT_HEIGHT: Final = 20
_BAR_HEIGHT: Final = 14
_GAP: Final = 8


class _Bars(QWidget):
    """A line of text and a bar under it for each place; a mark where the memory ends."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.bars: tuple[Bar, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def show_bars(self, bars: tuple[Bar, ...]) -> None:
        if len(bars) != len(self.bars):
            self.setFixedHeight(max(1, len(bars) * (_TEXT_HEIGHT + _BAR_HEIGHT + _GAP) - _GAP))
        self.bars = bars
        self.setAccessibleName(". ".join(bar.text for bar in bars))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(text_font(self._theme.metrics.font_caption))
        top = 0
        for bar in self.bars:
            self._paint_text(painter, bar, top)
            self._paint_bar(painter, bar, QRectF(0, top + _TEXT_HEIGHT, self.width(), _BAR_HEIGHT))
            top += _TEXT_HEIGHT + _BAR_HEIGHT + _GAP

    def _paint_text(self, painter: QPainter, bar: Bar, top: int) -> None:
        area = QRectF(0, top, self.width(), _TEXT_HEIGHT - 3)
        painter.setPen(QColor(self._theme.palette.text_muted))
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, bar.name)
        over = bar.used > bar.capacity
        if over:
            painter.setPen(QColor(self._theme.palette.danger))
        side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(area, side, bytes_pair(bar.used, bar.capacity))

    def _paint_bar(self, painter: QPainter, bar: Bar, area: QRectF) -> None:
        palette = self._theme.palette
        shape = QPainterPath()
        shape.addRoundedRect(area, 4, 4)
        painter.save()
        painter.setClipPath(shape)
        painter.fillRect(area, QColor(palette.pressed))
        whole = max(bar.used, bar.capacity, 1)
        left = area.left()
        for purpose, size in bar.parts:
            width = size / whole * area.width()
            painter.fillRect(
                QRectF(left, area.top(), width, area.height()), _brush(palette, purpose)
            )
            left += width
        painter.restore()
        if bar.used > bar.capacity:
            x = bar.capacity / whole * area.width()
            painter.fillRect(
                QRectF(x - 1, area.top() - 2, 2, area.height() + 4), QColor(palette.text)
            )


class MemoryBars(QWidget):
    """Bars, and under them what the colours mean, with sizes over all places."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._bars = _Bars(theme)
        self._legend = RichLabel(tone="muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_s)
        layout.addWidget(self._bars)
        layout.addWidget(self._legend)
        theme.changed.connect(self._write_legend)

    @property
    def bars(self) -> tuple[Bar, ...]:
        """What is shown."""
        return self._bars.bars

    def show_bars(self, bars: tuple[Bar, ...]) -> None:
        """Show other bars."""
        self._bars.show_bars(bars)
        self._write_legend()

    def _write_legend(self) -> None:
        palette = self._theme.palette
        words = [
            f'<span style="color:{getattr(palette, _COLOURS[purpose])}">■</span>&nbsp;'
            + f"{PURPOSE_NAMES[purpose]} {bytes_text(size)}".replace(" ", "&nbsp;")
            for purpose, size in _sums(self.bars)
        ]
        free = sum(bar.free for bar in self.bars)
        if free:
            colour = palette.border
            words.append(
                f'<span style="color:{colour}">■</span>&nbsp;free&nbsp;'
                + bytes_text(free).replace(" ", "&nbsp;")
            )
        self._legend.setText(" &nbsp; ".join(words))


def _brush(palette: Palette, purpose: Purpose) -> QBrush:
    colour = QColor(getattr(palette, _COLOURS[purpose]))
    pattern = Qt.BrushStyle.BDiagPattern if purpose in _HATCHED else Qt.BrushStyle.SolidPattern
    return QBrush(colour, pattern)


def _sums(bars: Sequence[Bar]) -> list[tuple[Purpose, int]]:
    """Purposes in the order of the legend, the largest for the model first."""
    sums: dict[Purpose, int] = {}
    for bar in bars:
        for purpose, size in bar.parts:
            sums[purpose] = sums.get(purpose, 0) + size
    return [(purpose, sums[purpose]) for purpose in PURPOSE_NAMES if purpose in sums]
