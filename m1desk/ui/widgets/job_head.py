"""The top of the open job: what it is, how it is, and what can be done with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.theme import set_look
from m1desk.ui.viewmodels.jobs_actions import obstacle
from m1desk.ui.viewmodels.jobs_words import KINDS, STATES, state_words, steps_text
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.jobs.values import JobSummary
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_actions import JobAction

_BUTTONS: Final[tuple[tuple[JobAction, str, str], ...]] = (
    ("pause", "pause", "Pause this job"),
    ("resume", "play", "Let this job go on"),
    ("retry", "refresh", "Try again what failed and what was not reached"),
    ("up", "arrow-up", "Move up in the queue (Ctrl+Up)"),
    ("down", "arrow-down", "Move down in the queue (Ctrl+Down)"),
    ("cancel", "close", "Cancel this job; what it brought is kept"),
    ("delete", "trash", "Delete this job with its results…"),
)
_WIDE: Final = 460
"""Below this width only what can be done has a button."""
_TONES: Final = {"text_muted": "muted", "text_faint": "faint"}


class JobHead(QWidget):
    """Shows a job's title and state, and a button for each action.

    Signals:
        wished: an action (str, a JobAction) for the JobSummary shown.
    """

    wished = Signal(str, object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._job: JobSummary | None = None
        self._title = ElidedLabel(tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self._icon = Label()
        self._state = ElidedLabel()
        self.buttons = {name: IconButton(theme, icon, text) for name, icon, text in _BUTTONS}
        self._lay_out()
        for name, button in self.buttons.items():
            button.clicked.connect(partial(self._wish, name))
        theme.changed.connect(self._tint)

    @property
    def state_text(self) -> str:
        """How the job is, in words."""
        return self._state.whole_text

    def show_job(self, job: JobSummary) -> None:
        """Show a job as it is now."""
        self._job = job
        self._title.set_text(job.title)
        parts = (state_words(job), steps_text(job.progress), KINDS[job.kind])
        self._state.set_text(" · ".join(part for part in parts if part))
        tone = STATES[job.state][2]
        set_look(self._state, "tone", _TONES.get(tone, tone))
        for name, _, text in _BUTTONS:
            reason = obstacle(name, job)
            button = self.buttons[name]
            button.setEnabled(not reason)
            button.setToolTip(reason or text)
            button.setAccessibleDescription(reason)
        self._tint()
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave a narrow head's room to the title."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        for button in self.buttons.values():
            button.setVisible(button.isEnabled() or self.width() >= _WIDE)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        state = QHBoxLayout()
        state.setSpacing(metrics.space_xs)
        state.addWidget(self._icon)
        state.addWidget(self._state, 1)
        names = QVBoxLayout()
        names.setSpacing(1)
        names.addWidget(self._title)
        names.addLayout(state)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(names, 1)
        layout.addSpacing(metrics.space_s)
        for button in self.buttons.values():
            layout.addWidget(button)

    def _wish(self, name: str) -> None:
        if self._job is not None:
            self.wished.emit(name, self._job)

    def _tint(self) -> None:
        if self._job is not None:
            _, icon, tone = STATES[self._job.state]
            colour = getattr(self._theme.palette, tone)
            self._icon.setPixmap(icon_pixmap(icon, colour, 14, self.devicePixelRatioF()))
