"""The line at the foot of the window: the engine, the last answer's speed, the memory in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QToolButton, QWidget

from m1desk.ui.units import (
    bytes_pair,
    loading_text,
    percent_text,
    seconds_text,
    speed_text,
    tokens_text,
)
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QPaintEvent

    from m1desk.engines.status import EngineStatus
    from m1desk.hardware import Sample
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.engine_activity import Activity

_MESSAGE_MS: Final = 6000
_OFFER_MS: Final = 30_000
_STATES: Final = {
    "stopped": ("No model loaded", "border_strong"),
    "starting": ("Starting the engine", "warning"),
    "loading": ("Loading", "warning"),
    "ready": ("Ready", "success"),
    "stopping": ("Unloading", "warning"),
    "failed": ("Engine failed", "danger"),
    "silent": ("Not answering", "danger"),
}
"""State of the engine, or "silent" of a server -> what is written, and the palette's name for the
dot's colour."""


class _Dot(QWidget):
    """A small disc; its meaning is always written beside it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colour = QColor()
        self.setFixedSize(QSize(8, 8))

    def set_colour(self, colour: str) -> None:
        self._colour = QColor(colour)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colour)
        painter.drawEllipse(self.rect())


class StatusBar(QFrame):
    """Shows what it is told; texts that don't fit are cut, never the window widened."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._state = "stopped"
        self.setProperty("panel", True)
        self.setFixedHeight(32)
        self.setAccessibleName("Status")
        self._dot = _Dot()
        self._engine = ElidedLabel(tone="muted")
        self._work = ElidedLabel(tone="muted")
        self._progress = QProgressBar()
        self._progress.setRange(0, 1000)
        self._progress.setFixedWidth(96)
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName("Prompt read")
        self._progress.hide()
        self._offer = QToolButton()
        self._offer.setProperty("small", True)
        self._offer.setAccessibleName("Next step")
        self._offer.hide()
        self._accept: Callable[[], object] | None = None
        self._offer.clicked.connect(self._on_offer_taken)
        self._task = ""
        self._message = ""
        self._forget = QTimer(self)
        self._forget.setSingleShot(True)
        self._forget.timeout.connect(self._on_forget)
        self._activity: Activity | None = None
        self._first_token = _figure("Time to first token of the last answer")
        self._speed = _figure("Writing speed of the last answer")
        self._ram = _figure("Memory in use on this computer")
        self._vram = _figure("Graphics memory in use, all devices together")
        self._lay_out()
        self.show_engine(None)
        theme.changed.connect(self._on_theme_changed)

    def show_engine(self, status: EngineStatus | None) -> None:
        """Say how the engine is and which model it runs."""
        self._state = status.state.value if status else "stopped"
        if status and status.is_silent:
            self._state = "silent"
        text = _STATES[self._state][0]
        if status and self._state == "loading":
            how_far = loading_text(status.load_fraction, status.load_stage)
            text = f"{text} {status.model_name} {how_far}"
        elif status and self._state in {"ready", "silent"}:
            where = "Remote" if status.server else f"Local · {status.engine}"
            text = f"{text} · {where} · {status.model_name}"
        elif status and status.server:
            text = f"Connecting · {status.server}"
        elif status and self._state in {"starting", "stopping"} and status.model_name:
            text = f"{text} · {status.model_name}"
        self._engine.set_text(text)
        self._on_theme_changed()

    def show_activity(self, activity: Activity) -> None:
        """Show how far the prompt is read, and what the last answer cost."""
        self._activity = activity
        progress = activity.prefill
        reading = bool(activity.writing) and progress is not None and progress.total > 0
        self._progress.setVisible(reading)
        if reading and progress is not None:
            share = progress.done / progress.total
            self._progress.setValue(round(share * 1000))
            self._work.set_text(
                f"Reading prompt {percent_text(share)} · {tokens_text(progress.done)} of "
                f"{tokens_text(progress.total)} tokens"
            )
        elif activity.writing:
            self._work.set_text("Writing")
        else:
            self._work.set_text(self._message or self._task)
        self._offer.setVisible(self._accept is not None and not activity.writing)
        last = activity.last
        _set(
            self._first_token,
            "First token",
            last.time_to_first_token if last else None,
            seconds_text,
        )
        _set(self._speed, "", last.tokens_per_second if last else None, speed_text)

    def tell(self, message: str) -> None:
        """Say for some seconds what was done."""
        self._withdraw_offer()
        self._message = message
        self._forget.start(_MESSAGE_MS)
        self._work.set_text(message)

    def offer(self, message: str, label: str, accept: Callable[[], object]) -> None:
        """Say for half a minute what was done, with a button for the next step."""
        self.tell(message)
        self._accept = accept
        self._offer.setText(label)
        self._offer.setAccessibleName(f"{label} {message}")
        self._offer.show()
        self._forget.start(_OFFER_MS)

    def show_task(self, task: str) -> None:
        """Say what goes on in the background, "" for nothing."""
        self._task = task
        self._on_forget()

    def show_sample(self, sample: Sample) -> None:
        """Show the memory in use."""
        self._ram.setText(f"RAM {bytes_pair(sample.ram_used_bytes, sample.ram_total_bytes)}")
        own = [d for d in sample.devices if d.used_bytes is not None and d.total_bytes]
        self._vram.setVisible(bool(own))
        if own:
            used = sum(device.used_bytes or 0 for device in own)
            total = sum(device.total_bytes or 0 for device in own)
            self._vram.setText(f"VRAM {bytes_pair(used, total)}")

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        layout = QHBoxLayout(self)
        layout.setContentsMargins(metrics.space_l, 0, metrics.space_l, 0)
        layout.setSpacing(metrics.space_s)
        layout.addWidget(self._dot)
        layout.addWidget(self._engine)
        layout.addStretch(1)
        layout.addWidget(self._progress)
        layout.addWidget(self._work)
        layout.addWidget(self._offer)
        for figure in (self._first_token, self._speed, self._ram, self._vram):
            layout.addSpacing(metrics.space_s)
            layout.addWidget(figure)
            figure.hide()
        self._ram.show()

    def _on_offer_taken(self) -> None:
        accept = self._accept
        self._forget.stop()
        self._on_forget()
        if accept is not None:
            accept()

    def _withdraw_offer(self) -> None:
        self._accept = None
        self._offer.hide()

    def _on_forget(self) -> None:
        if self._forget.isActive():
            return
        self._message = ""
        self._withdraw_offer()
        if self._activity is not None:
            self.show_activity(self._activity)
        else:
            self._work.set_text(self._task)

    def _on_theme_changed(self) -> None:
        self._dot.set_colour(getattr(self._theme.palette, _STATES[self._state][1]))


def _figure(meaning: str) -> Label:
    label = Label(tone="muted")
    label.setToolTip(meaning)
    label.setAccessibleDescription(meaning)
    return label


def _set(
    label: Label, name: str, value: float | None, write: Callable[[float | None], str]
) -> None:
    label.setVisible(value is not None)
    label.setText(f"{name} {write(value)}".strip())
