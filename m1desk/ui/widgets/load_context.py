"""The context length: a number, a slider over powers of two, and marks to choose by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter
from PySide6.QtWidgets import (
    QHBoxLayout,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import text_font
from m1desk.ui.units import context_text
from m1desk.ui.widgets.calm_fields import whole_number

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

    from m1desk.ui.theme import Theme

_SMALLEST: Final = 256
_UNKNOWN_MOST: Final = 131_072
"""Offered when a file doesn't say what its model was trained for (tokens)."""
_STEPS: Final = 1000
_STEP_TOKENS: Final = 256
_HANDLE: Final = 14


class _Marks(QWidget):
    """Powers of two under the slider; a click chooses one."""

    chosen = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._most = _UNKNOWN_MOST
        self.setFixedHeight(18)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_most(self, most: int) -> None:
        self._most = most
        self.update()

    def places(self) -> list[tuple[int, int]]:
        """Give x (pixels) and tokens of each mark that has room for its text."""
        marks: list[tuple[int, int]] = []
        value = 1024
        room = self.width() - _HANDLE
        while value < self._most:
            marks.append((value, round(_share(value, self._most) * room)))
            value *= 4
        last = room
        kept = [(last + _HANDLE // 2, self._most)]
        for value, x in reversed(marks):
            if last - x >= 64:
                kept.append((x + _HANDLE // 2, value))
                last = x
        return kept

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(text_font(self._theme.metrics.font_caption))
        painter.setPen(QColor(self._theme.palette.text_faint))
        for x, value in self.places():
            text = context_text(value)
            width = painter.fontMetrics().horizontalAdvance(text) + 2
            left = min(max(0, x - width // 2), self.width() - width)
            painter.drawText(QRect(left, 0, width, self.height()), 0, text)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        _, value = min(self.places(), key=lambda place: abs(place[0] - x))
        self.chosen.emit(value)


class ContextField(QWidget):
    """Chooses a context length between 256 tokens and what the model was trained for.

    Signals:
        changed: the length (tokens).
    """

    changed = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._most = _UNKNOWN_MOST
        self._spin = whole_number(
            "Context length in tokens", _SMALLEST, _UNKNOWN_MOST, step=1024, suffix=" tokens"
        )
        self._spin.setFixedWidth(160)
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setAccessibleName("Context length")
        self._slider.setRange(0, _STEPS)
        self._slider.setPageStep(_STEPS // 10)
        self._marks = _Marks(theme)
        self._lay_out(theme)
        self._spin.valueChanged.connect(self._on_spin)
        self._slider.valueChanged.connect(self._on_slider)
        self._marks.chosen.connect(self._spin.setValue)
        self.set_most(0)
        self.setFocusProxy(self._spin)

    @property
    def tokens(self) -> int:
        """The length chosen (tokens), never 0."""
        return self._spin.value()

    def set_tokens(self, tokens: int) -> None:
        """Choose a length (tokens); it is kept within the range."""
        self._spin.setValue(tokens)
        self._spin.lineEdit().deselect()  # what was selected were other digits

    def set_most(self, trained: int) -> None:
        """Set the largest length: what the model was trained for (tokens), 0 if unknown."""
        self._most = max(trained or _UNKNOWN_MOST, _SMALLEST)
        self._spin.setRange(_SMALLEST, self._most)
        self._marks.set_most(self._most)
        self._on_spin(self._spin.value())

    def _lay_out(self, theme: Theme) -> None:
        bar = QVBoxLayout()
        bar.setSpacing(0)
        bar.addWidget(self._slider)
        bar.addWidget(self._marks)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_l)
        layout.addWidget(self._spin, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(bar, 1)

    def _on_spin(self, tokens: int) -> None:
        self._slider.blockSignals(True)
        self._slider.setValue(round(_share(tokens, self._most) * _STEPS))
        self._slider.blockSignals(False)
        self.changed.emit(tokens)

    def _on_slider(self, position: int) -> None:
        exact = _SMALLEST * (self._most / _SMALLEST) ** (position / _STEPS)
        rounded = max(_SMALLEST, round(exact / _STEP_TOKENS) * _STEP_TOKENS)
        self._spin.setValue(self._most if position == _STEPS else min(rounded, self._most))


def _share(tokens: int, most: int) -> float:
    """Where a length lies between the smallest and the largest, on a logarithmic scale."""
    if most <= _SMALLEST:
        return 1.0
    return math.log(max(tokens, _SMALLEST) / _SMALLEST) / math.log(most / _SMALLEST)
