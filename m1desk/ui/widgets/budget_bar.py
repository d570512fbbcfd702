"""What documents take of a model's context, as a bar of coloured segments with its legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QHelpEvent, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from m1desk.ui.units import tokens_text
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtGui import QMouseEvent, QPaintEvent

    from m1desk.documents import Budget
    from m1desk.ui.theme import Theme

_BAR: Final = 14
_LEAST_WIDTH: Final = 1.0
_MOST_SEGMENTS: Final = 300
_HUES: Final = (234, 190, 152, 28, 276, 330, 46, 210)
"""Of the documents, one after the other; told apart by their places and names too."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the bar; `document` is a document's name, "" for what is none."""

    label: str
    tokens: int
    colour: QColor
    document: str = ""
    is_hatched: bool = False


class BudgetBar(QWidget):
    """Shows a budget; what is beyond the context is hatched in the colour of danger.

    Signals:
        document_clicked: name (str) of the document whose segment was clicked.
    """

    document_clicked = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._budget: Budget | None = None
        self._exact = False
        self._note = ""
        self.setMouseTracking(True)
        self.setMinimumWidth(200)
        theme.changed.connect(self.update)

    @property
    def text(self) -> str:
        """What the parts take (tokens); a note where there is no budget."""
        budget = self._budget
        if budget is None:
            return self._note
        mark = "" if self._exact else "~"
        parts = (
            f"Documents {mark}{tokens_text(sum(budget.documents.values()))}",
            f"question {mark}{tokens_text(budget.other_tokens)}",
            f"answer {tokens_text(budget.answer_tokens)}",
        )
        return " · ".join(parts)

    @property
    def rest(self) -> str:
        """What is free, or missing, of the context (tokens)."""
        budget = self._budget
        if budget is None:
            return ""
        mark, context = "" if self._exact else "~", tokens_text(budget.context_tokens)
        if budget.fits:
            return f"{mark}{tokens_text(budget.free_tokens)} free of {context}"
        return f"{mark}{tokens_text(budget.missing_tokens)} too many for {context}"

    def show_budget(self, budget: Budget | None, *, exact: bool, note: str = "") -> None:
        """Show a budget, or a note where there is none; `exact` when all of it was counted."""
        self._budget, self._exact, self._note = budget, exact, note
        self.setAccessibleName("What the documents take of the context")
        self.setAccessibleDescription(f"{self.text} · {self.rest}".strip())
        self.setToolTip("")
        self.update()

    # -- Qt ----------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        """Ask for the bar and a line of text."""
        return QSize(400, _BAR + 6 + self.fontMetrics().height() + 2)

    def minimumSizeHint(self) -> QSize:
        """Ask for no less."""
        return QSize(200, self.sizeHint().height())

    def event(self, event: QEvent) -> bool:
        """Say what lies under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            segment = self._segment_at(event.pos().x())
            if segment is not None and event.pos().y() <= _BAR + 4:
                text = f"{segment.label}: {tokens_text(segment.tokens)} tokens"
                QToolTip.showText(event.globalPos(), plain_tip(text), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Choose the document whose segment was clicked."""
        segment = self._segment_at(int(event.position().x()))
        if segment is not None and segment.document and event.position().y() <= _BAR + 4:
            self.document_clicked.emit(segment.document)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the bar, the end of the context where it is passed, and the legend."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar = QRectF(0.5, 0.5, self.width() - 1, _BAR)
        if self._budget is not None:
            self._paint_bar(painter, bar)
        self._paint_legend(painter)
        painter.end()

    # -- inside ------------------------------------------------------------------------------------

    def _paint_bar(self, painter: QPainter, bar: QRectF) -> None:
        colours, radius = self._theme.palette, self._theme.metrics.radius_s
        outline = QPainterPath()
        outline.addRoundedRect(bar, radius, radius)
        painter.save()
        painter.setClipPath(outline)
        painter.fillRect(bar, QColor(colours.pressed))
        for left, width, segment in self._placed(bar):
            box = QRectF(left, bar.top(), max(_LEAST_WIDTH, width - 1), bar.height())
            painter.fillRect(box, segment.colour)
            if segment.is_hatched:
                pattern = QColor(colours.window)
                pattern.setAlphaF(0.5)
                painter.fillRect(box, QBrush(pattern, Qt.BrushStyle.BDiagPattern))
        budget = self._budget
        if budget is not None and not budget.fits:
            end = bar.left() + bar.width() * budget.context_tokens / budget.needed_tokens
            beyond = QColor(colours.danger)
            beyond.setAlphaF(0.45)
            box = QRectF(end, bar.top(), bar.right() - end, bar.height())
            painter.fillRect(box, beyond)
            painter.fillRect(box, QBrush(QColor(colours.danger), Qt.BrushStyle.FDiagPattern))
            painter.fillRect(QRectF(end - 1, bar.top(), 2, bar.height()), QColor(colours.danger))
        painter.restore()
        painter.setPen(QPen(QColor(colours.border_strong), 1))
        painter.drawPath(outline)

    def _paint_legend(self, painter: QPainter) -> None:
        colours = self._theme.palette
        top = _BAR + 5 if self._budget is not None else 0
        place = self.rect().adjusted(0, top, 0, 0)
        metrics = painter.fontMetrics()
        flags = Qt.AlignmentFlag.AlignTop
        if self._budget is not None:
            fits = self._budget.fits
            painter.setPen(QColor(colours.text_muted if fits else colours.danger))
            painter.drawText(place, flags | Qt.AlignmentFlag.AlignRight, self.rest)
            place.setRight(place.right() - metrics.horizontalAdvance(self.rest) - 12)
        painter.setPen(QColor(colours.text_muted))
        shown = metrics.elidedText(self.text, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(place, flags, shown)

    def _segments(self) -> Iterator[Segment]:
        budget = self._budget
        if budget is None:
            return
        colours = self._theme.palette
        dark = colours.name == "dark"
        for number, (label, tokens, name) in enumerate(_merged(budget)):
            hue = _HUES[number % len(_HUES)]
            colour = QColor.fromHsl(hue, 120 if dark else 150, 140 if dark else 150)
            yield Segment(label, tokens, colour, document=name)
        yield Segment("Instructions and question", budget.other_tokens, QColor(colours.accent))
        yield Segment(
            "Kept free for the answer", budget.answer_tokens, QColor(colours.text_faint),
            is_hatched=True,
        )  # fmt: skip

    def _placed(self, bar: QRectF) -> Iterator[tuple[float, float, Segment]]:
        budget = self._budget
        if budget is None:
            return
        whole = max(1, budget.context_tokens, budget.needed_tokens)
        left = bar.left()
        for segment in self._segments():
            width = bar.width() * segment.tokens / whole
            yield left, width, segment
            left += width

    def _segment_at(self, x: int) -> Segment | None:
        bar = QRectF(0.5, 0.5, self.width() - 1, _BAR)
        for left, width, segment in self._placed(bar):
            if left <= x < left + max(_LEAST_WIDTH, width):
                return segment
        return None


def _merged(budget: Budget) -> Iterator[tuple[str, int, str]]:
    """Label, tokens and name of each document; neighbours too small to be seen are one."""
    least = max(budget.context_tokens, budget.needed_tokens) / _MOST_SEGMENTS
    small: list[tuple[str, int]] = []
    for name, tokens in budget.documents.items():
        if tokens >= least:
            yield from _together(small)
            small = []
            yield name, tokens, name
        else:
            small.append((name, tokens))
            if sum(one[1] for one in small[-_MOST_SEGMENTS:]) >= least:
                yield from _together(small)
                small = []
    yield from _together(small)


def _together(small: list[tuple[str, int]]) -> Iterator[tuple[str, int, str]]:
    if len(small) == 1:
        yield small[0][0], small[0][1], small[0][0]
    elif small:
        yield f"{len(small):,} documents", sum(tokens for _, tokens in small), small[0][0]
