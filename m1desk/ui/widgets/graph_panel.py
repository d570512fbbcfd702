"""A card with a live graph of the last ten minutes; it draws only while it can be seen."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from m1desk.ui.widgets.label import Label, RichLabel, shrinkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QShowEvent

    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.monitor import History

_SPANS: Final = (60, 120, 300, 600)
"""Seconds that are shown: the shortest span that holds the history, so that a new one is seen."""
_STEPS: Final = (1.0, 2.0, 5.0)
_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a graph: its name, its history, its colour's name in the palette.

    Of those that are not listed the legend has the colours only, in their order.
    """

    name: str
    history: History
    colour: str
    dashed: bool = False
    is_listed: bool = True


class GraphPanel(QFrame):
    """A title, the current values, and curves over a fixed range of time.

    `top` is the fixed upper end of the scale; None takes a round number above the largest value
    kept. `scale` divides the values before they are drawn, `write` writes one for people.
    """

    def __init__(
        self,
        theme: Theme,
        title: str,
        write: Callable[[float], str],
        *,
        top: float | None = None,
        scale: float = 1.0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._title = title
        self._write = write
        self._top = top
        self._scale = scale
        self._curves: tuple[Curve, ...] = ()
        self._unlisted = ""
        self._now = 0.0
        self._span = 0
        self._plot: Any = None
        self._lines: list[Any] = []
        self.setProperty("card", True)
        self._heading = Label(title, tone="strong")
        self._legend = RichLabel(tone="muted")
        self._legend.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._lay_out()
        self.setMinimumHeight(200)
        theme.changed.connect(self._on_theme_changed)

    @property
    def is_drawn(self) -> bool:
        """Whether the graph itself was made; that waits until the panel is seen."""
        return self._plot is not None

    @property
    def curves(self) -> tuple[Curve, ...]:
        """What is drawn."""
        return self._curves

    def set_curves(self, curves: tuple[Curve, ...], unlisted: str = "") -> None:
        """Choose what is drawn; `unlisted` names those together that are not listed."""
        self._curves = curves
        self._unlisted = unlisted
        if self._plot is not None:
            self._make_lines()

    def set_top(self, top: float) -> None:
        """Fix the upper end of the scale, in the unit of the histories."""
        self._top = top

    def refresh(self, now: float) -> None:
        """Draw the histories as they are at `now` (monotonic seconds), if anybody can see it."""
        self._now = now
        if self._plot is None or not self.isVisible():
            return
        self._show_values()
        oldest = 0.0
        for curve, line in zip(self._curves, self._lines, strict=True):
            ages, values = curve.history.points(now)
            oldest = min(oldest, ages[0] if ages else 0.0)
            if self._scale != 1.0:
                values = [value / self._scale for value in values]
            line.setData(ages, values, skipFiniteCheck=True)
        self._show_span(next((span for span in _SPANS if span >= -oldest), _SPANS[-1]))
        self._plot.setYRange(0, self._ceiling(), padding=0)

    def showEvent(self, event: QShowEvent) -> None:
        """Make the graph when it is seen for the first time, and catch up."""
        super().showEvent(event)
        if self._plot is None:
            self._make_plot()
        self.refresh(self._now)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        head.addWidget(self._heading, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(shrinkable(self._legend), 1)
        layout = self._column = QVBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_s
        )
        layout.setSpacing(metrics.space_s)
        layout.addLayout(head)

    def _make_plot(self) -> None:
        # Imported here because it takes 300 ms, which the window's first paint need not wait for.
        pyqtgraph = importlib.import_module("pyqtgraph")
        plot = pyqtgraph.PlotWidget(axisItems=None, background=None)
        plot.setAccessibleName(f"{self._title}, last ten minutes")
        plot.setMouseEnabled(x=False, y=False)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setFocusPolicy(self.focusPolicy())
        plot.getAxis("left").setWidth(44)
        for axis in ("bottom", "left"):
            plot.getAxis(axis).setStyle(tickLength=0)
        self._plot = plot
        self._column.addWidget(plot)
        self._make_lines()
        self._on_theme_changed()

    def _show_span(self, seconds: int) -> None:
        if seconds == self._span:
            return
        self._span = seconds
        self._plot.setXRange(-seconds, 0, padding=0)
        self._plot.getAxis("bottom").setTicks([[(-age, _age_text(age)) for age in _ages(seconds)]])

    def _make_lines(self) -> None:
        for line in self._lines:
            self._plot.removeItem(line)
        self._lines = [self._plot.plot([], []) for _ in self._curves]
        self._on_theme_changed()

    def _on_theme_changed(self) -> None:
        self._show_values()
        if self._plot is None:
            return
        pyqtgraph = importlib.import_module("pyqtgraph")
        palette = self._theme.palette
        self._plot.setBackground(QColor(palette.surface))
        for axis in ("bottom", "left"):
            item = self._plot.getAxis(axis)
            item.setPen(QColor(palette.border))
            item.setTextPen(QColor(palette.text_faint))
        self._plot.showGrid(x=False, y=True, alpha=0.12)
        for curve, line in zip(self._curves, self._lines, strict=True):
            colour = getattr(palette, curve.colour)
            style = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
            # A width of 2 would double the work.
            line.setPen(pyqtgraph.mkPen(QColor(colour), width=1, style=style))
        if self._lines and self._curves[0].is_listed:
            veil = QColor(getattr(palette, self._curves[0].colour))
            veil.setAlpha(28)
            self._lines[0].setFillLevel(0)
            self._lines[0].setBrush(veil)

    def _show_values(self) -> None:
        parts = []
        for curve in self._curves:
            if curve.is_listed:
                value = curve.history.latest(self._now)
                words = f" {curve.name} {'–' if value is None else self._write(value)}"
                parts.append(self._dot(curve) + words.replace(" ", "&nbsp;"))
        if self._unlisted:
            unlisted = (curve for curve in self._curves if not curve.is_listed)
            dots = "".join(self._dot(curve) for curve in unlisted if not curve.dashed)
            parts.append(dots + f" {self._unlisted}".replace(" ", "&nbsp;"))
        self._legend.setText(" &nbsp;&nbsp;".join(parts))  # it may be broken between curves

    def _dot(self, curve: Curve) -> str:
        return f'<span style="color:{getattr(self._theme.palette, curve.colour)}">●</span>'

    def _ceiling(self) -> float:
        if self._top is not None:
            return self._top / self._scale
        largest = max((curve.history.largest for curve in self._curves), default=0.0)
        return round_up(largest / self._scale * 1.1)


def _ages(span: int) -> list[int]:
    """Choose the moments that are marked, in seconds ago: three or four inner ones."""
    parts = 4 if span <= 2 * _MINUTE else 5
    return [span * part // parts for part in range(1, parts)]


def _age_text(seconds: int) -> str:
    return f"{seconds} s" if seconds < 2 * _MINUTE else f"{seconds // _MINUTE} min"


def round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50 ... that is not below `value`, at least 10."""
    power = 10.0
    while True:
        for step in _STEPS:
            if step * power >= value:
                return step * power
        power *= 10
