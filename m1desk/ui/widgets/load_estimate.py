"""The memory a load will take, as a bar and in words, against what is free now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter, QPainterPath
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from m1desk.fit import FreeMemory, MemoryEstimate, judge
from m1desk.ui.theme import set_look
from m1desk.ui.units import bytes_text
from m1desk.ui.widgets.label import Label, RichLabel

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

    from m1desk.fit import Verdict
    from m1desk.ui.theme import Theme

_PARTS: Final = (
    ("weights", "accent"),
    ("context (KV cache)", "success"),
    ("recurrent state", "warning"),
    ("working memory", "text_faint"),
)
_WORDS: Final[dict[Verdict, tuple[str, str]]] = {
    "fits": ("Fits in what is free now.", "success"),
    "tight": ("Just fits: other programs may become slow.", "warning"),
    "too_big": (
        (
            "Needs more than is free now. Loading may fail, or make the computer very slow. "
            "A shorter context or a smaller quantization needs less."
        ),
        "danger",
    ),
    "unknown": ("", "muted"),
}


class _Bar(QWidget):
    """The parts side by side; a line shows where the free memory ends."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._sizes: tuple[int, ...] = ()
        self._free = 0
        self.setFixedHeight(12)

    def show_sizes(self, sizes: tuple[int, ...], free: int) -> None:
        self._sizes = sizes
        self._free = free
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        palette = self._theme.palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(0, 2, self.width(), 8)
        shape = QPainterPath()
        shape.addRoundedRect(area, 4, 4)
        painter.setClipPath(shape)
        painter.fillRect(area, QColor(palette.pressed))
        whole = max(sum(self._sizes), self._free, 1)
        left = 0.0
        for (_, colour), size in zip(_PARTS, self._sizes, strict=False):
            width = size / whole * area.width()
            painter.fillRect(QRectF(left, 2, width, 8), QColor(getattr(palette, colour)))
            left += width
        painter.setClipping(False)
        if self._free and sum(self._sizes) > self._free:
            x = self._free / whole * area.width()
            painter.fillRect(QRectF(x - 1, 0, 2, 12), QColor(palette.danger))


class EstimatePanel(QFrame):
    """Shows an estimate; says when the machine has not been looked at yet."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setProperty("card", True)
        self._total = Label(tone="strong")
        self._free = Label(tone="muted")
        self._bar = _Bar(theme)
        self._parts = RichLabel(tone="muted")
        self._verdict = Label(wraps=True)
        self._lay_out()

    @property
    def verdict_text(self) -> str:
        """What is said about the fit."""
        return self._verdict.text()

    def show_estimate(self, estimate: MemoryEstimate, free: FreeMemory | None) -> Verdict:
        """Show it and return whether it fits."""
        verdict = judge(estimate, free)
        needs = estimate.needs
        sizes = (needs.weights, needs.kv_cache, needs.state, needs.compute)
        self._total.setText(f"About {bytes_text(needs.total)} of memory (estimate)")
        self._free.setText(_free_text(free))
        self._bar.show_sizes(sizes, _all_free(free))
        self._parts.setText(self._parts_text(sizes))
        text, tone = _WORDS[verdict]
        self._verdict.setText(_placed_text(estimate, free) + text)
        self._verdict.setVisible(bool(text))
        set_look(self._verdict, "tone", tone)
        self.setAccessibleName(f"{self._total.text()}. {self._free.text()}. {text}")
        return verdict

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        head.addWidget(self._total)
        head.addStretch(1)
        head.addWidget(self._free)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_m
        )
        layout.setSpacing(metrics.space_s)
        layout.addLayout(head)
        layout.addWidget(self._bar)
        layout.addWidget(self._parts)
        layout.addWidget(self._verdict)

    def _parts_text(self, sizes: tuple[int, ...]) -> str:
        palette = self._theme.palette
        words = [
            f'<span style="color:{getattr(palette, colour)}">●</span>&nbsp;'
            f"{name.replace(' ', '&nbsp;')}&nbsp;{bytes_text(size).replace(' ', '&nbsp;')}"
            for (name, colour), size in zip(_PARTS, sizes, strict=True)
            if size
        ]
        return " &nbsp; ".join(words)


def _free_text(free: FreeMemory | None) -> str:
    if free is None:
        return "looking at this computer …"
    if free.gpu_bytes is None or free.unified:
        return f"{bytes_text(_all_free(free))} usable now"
    gpu, ram = bytes_text(free.gpu_bytes), bytes_text(free.ram_bytes)
    return f"usable now: {gpu} GPU, {ram} RAM"


def _all_free(free: FreeMemory | None) -> int:
    if free is None:
        return 0
    if free.unified:
        return max(free.ram_bytes, free.gpu_bytes or 0)
    return free.ram_bytes + (free.gpu_bytes or 0)


def _placed_text(estimate: MemoryEstimate, free: FreeMemory | None) -> str:
    if free is None or free.gpu_bytes is None or free.unified:
        return ""
    return f"{bytes_text(estimate.gpu_bytes)} on the GPU, {bytes_text(estimate.ram_bytes)} in RAM. "
