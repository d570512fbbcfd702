"""How far the running step of a job is, and its answer while it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from m1desk.ui.viewmodels.jobs_words import fraction_of, reading_line, step_line
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.markdown_style import MarkdownStyle
from m1desk.ui.widgets.markdown_view import MarkdownView

if TYPE_CHECKING:
    from m1desk.jobs.values import JobStepProgress, JobSummary
    from m1desk.ui.theme import Theme
    from m1desk.ui.widgets.markdown_highlight import Highlighter

_PERMILLE: Final = 1000
_ANSWER_HEIGHT: Final = 120
_LOW_ANSWER: Final = 56


class JobProgressView(QFrame):
    """Shows steps as they are counted and tokens as the engine counts them."""

    def __init__(
        self, theme: Theme, highlighter: Highlighter, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._step: tuple[int, int] | None = None
        self._job: JobSummary | None = None
        self.setProperty("card", True)
        self._line = ElidedLabel(tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self._figures = ElidedLabel(tone="muted")
        self._bar = QProgressBar()
        self._bar.setRange(0, _PERMILLE)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress of the job")
        self.answer = MarkdownView(MarkdownStyle(theme.palette, theme.metrics), highlighter)
        self.answer.setAccessibleName("The answer that is being written")
        self._area = QScrollArea()
        self._lay_out()
        theme.changed.connect(
            lambda _: self.answer.set_look(MarkdownStyle(theme.palette, theme.metrics))
        )

    @property
    def line(self) -> str:
        """What the running step does."""
        return self._line.whole_text

    @property
    def figures(self) -> str:
        """What it has read, how fast, and how long the job still takes."""
        return self._figures.whole_text

    @property
    def permille(self) -> int:
        """How far the bar is, of 1000; -1 while nothing is known."""
        return self._bar.value() if self._bar.maximum() else -1

    def show_progress(self, job: JobSummary, step: JobStepProgress | None) -> None:
        """Show how far a running job is."""
        self._job = job
        fraction = fraction_of(job.progress, step)
        self._bar.setRange(0, 0 if fraction is None else _PERMILLE)
        self._bar.setValue(int(_PERMILLE * (fraction or 0.0)))
        if step is None:
            self._line.set_text("Starting…")
            self._figures.set_text("")
            self._show_written("", None)
            return
        self._line.set_text(step_line(step, job.progress.steps_total))
        self._figures.set_text(reading_line(step))
        self._show_written(step.written, (step.job_id, step.step))

    def set_low(self, *, low: bool) -> None:
        """Leave room for what stands below."""
        self._area.setFixedHeight(_LOW_ANSWER if low else _ANSWER_HEIGHT)

    def _show_written(self, written: str, step: tuple[int, int] | None) -> None:
        """Add what has come since; a text that does not go on from the last begins anew."""
        known = self.answer.markdown
        if step != self._step or not written.startswith(known):
            self._step = step
            self.answer.restart()
            known = ""
        if len(written) > len(known):
            self.answer.append(written[len(known) :])
        self._area.setVisible(bool(written))

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFixedHeight(_ANSWER_HEIGHT)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.answer)
        column.addStretch(1)
        self._area.setWidget(inner)
        for ground in (self._area.viewport(), inner):  # the card's own ground shows through
            ground.setAutoFillBackground(False)
        self._area.hide()
        bar = self._area.verticalScrollBar()
        bar.rangeChanged.connect(lambda _low, high: bar.setValue(high))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_m, metrics.space_s, metrics.space_m, metrics.space_s
        )
        layout.setSpacing(metrics.space_xs)
        layout.addWidget(self._line)
        layout.addWidget(self._bar)
        layout.addWidget(self._figures)
        layout.addWidget(self._area)
