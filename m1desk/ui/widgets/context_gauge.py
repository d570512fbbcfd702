"""How much of the model's context a conversation fills, always in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from m1desk.ui.units import tokens_text

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

    from m1desk.ui.theme import Theme

WARNING_SHARE: Final = 0.75
DANGER_SHARE: Final = 0.90
_RING: Final = 16


class ContextGauge(QWidget):
    """A ring and "used / total" in tokens; "~" marks a number that is only an estimate."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._used = 0
        self._draft = 0
        self._total = 0
        self._exact = True
        self.setAccessibleName("Context used")
        theme.changed.connect(self.update)
        self._refresh()

    @property
    def text(self) -> str:
        """What stands beside the ring."""
        if self._total == 0:
            return f"{self._mark}{tokens_text(self._sum)} tokens" if self._sum else "No context"
        return f"{self._mark}{tokens_text(self._sum)} / {tokens_text(self._total)}"

    @property
    def level(self) -> str:
        """Return "normal", "warning" (75 % and more) or "danger" (90 % and more)."""
        share = self._sum / self._total if self._total else 0.0
        if share >= DANGER_SHARE:
            return "danger"
        return "warning" if share >= WARNING_SHARE else "normal"

    def set_conversation(self, used: int, *, exact: bool) -> None:
        """Set the tokens of the conversation so far, as counted by the engine if `exact`."""
        self._used, self._exact = used, exact
        self._refresh()

    def set_draft(self, tokens: int) -> None:
        """Set the estimated tokens of what is being typed."""
        self._draft = tokens
        self._refresh()

    def set_total(self, tokens: int) -> None:
        """Set the context length (tokens) of the loaded model; 0 when none is."""
        self._total = tokens
        self._refresh()

    @property
    def _sum(self) -> int:
        return self._used + self._draft

    @property
    def _mark(self) -> str:
        return "" if self._exact and not self._draft else "~"

    def _refresh(self) -> None:
        self.setToolTip(self._explanation())
        self.setAccessibleDescription(self.text)
        self.updateGeometry()
        self.update()

    def _explanation(self) -> str:
        how = "counted by the engine" if self._exact else "estimated from the text"
        lines = [f"Conversation: {tokens_text(self._used)} tokens, {how}"]
        if self._draft:
            lines.append(f"Your message: about {tokens_text(self._draft)} tokens")
        if self._total:
            share = 100 * self._sum / self._total
            lines.append(f"Context: {tokens_text(self._total)} tokens, {share:.0f} % used")
            free = max(0, self._total - self._sum)
            lines.append(f"Free for the answer: {tokens_text(free)} tokens")
        else:
            lines.append("The context length is not known: no model is loaded, or none is said.")
        return "\n".join(lines)

    def sizeHint(self) -> QSize:
        """Ask for the ring and the text."""
        return QSize(self.fontMetrics().horizontalAdvance(self.text) + _RING + 12, 24)

    def minimumSizeHint(self) -> QSize:
        """Ask for no less: half a number misleads."""
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the ring and the text."""
        colours = self._theme.palette
        tints = {"normal": colours.accent, "warning": colours.warning, "danger": colours.danger}
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = QRectF(2, (self.height() - _RING) / 2, _RING, _RING).adjusted(1.5, 1.5, -1.5, -1.5)
        painter.setPen(QPen(QColor(colours.border_strong), 3))
        painter.drawEllipse(ring)
        share = min(1.0, self._sum / self._total) if self._total else 0.0
        painter.setPen(QPen(QColor(tints[self.level]), 3, c=Qt.PenCapStyle.FlatCap))
        painter.drawArc(ring, 90 * 16, -round(share * 360 * 16))
        calm = self.level == "normal"
        painter.setPen(QColor(colours.text_muted if calm else tints[self.level]))
        place = self.rect().adjusted(_RING + 8, 0, 0, 0)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, self.text)
        painter.end()
