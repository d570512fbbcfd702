"""The right side of the Jobs page: one job, its progress, its results, its steps, its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from m1desk.ui.widgets.job_facts import JobFacts
from m1desk.ui.widgets.job_problem import JobProblem
from m1desk.ui.widgets.job_progress import JobProgressView
from m1desk.ui.widgets.job_results import JobResultsView
from m1desk.ui.widgets.job_steps import JobSteps

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QResizeEvent

    from m1desk.jobs.values import JobStepProgress
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_open import OpenJob

_RESULTS, _STEPS, _ORDER = range(3)
_LOW: Final = 560
"""Below this height the answer that is being written gives room to the results."""


class JobView(QWidget):
    """Shows the open job; `set_name` gives the name of a set of documents, "" if unknown.

    Signals:
        retry_wished: the job is to be tried again.
        change_wished: a new job like it is to be put together.
    """

    retry_wished = Signal()
    change_wished = Signal()

    def __init__(
        self, theme: Theme, set_name: Callable[[int], str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._shown: OpenJob | None = None
        self.problem = JobProblem(theme)
        self.results = JobResultsView(theme)
        self.progress = JobProgressView(theme, self.results.highlighter)
        self.steps = JobSteps(theme)
        self.facts = JobFacts(theme, set_name)
        self._tabs = QTabBar()
        self._stack = QStackedWidget()
        self._lay_out()
        self._tabs.currentChanged.connect(self._on_tab)
        self.problem.retry_wished.connect(self.retry_wished)
        self.problem.change_wished.connect(self.change_wished)

    def show_job(self, shown: OpenJob, step: JobStepProgress | None) -> None:
        """Show a job as it is now; another one than before is shown from its results."""
        before, self._shown = self._shown, shown
        job = shown.job
        if before is None or before.job.summary.id != job.summary.id:
            self._tabs.setCurrentIndex(_RESULTS)
        problem = job.summary.problem
        self.problem.setVisible(problem is not None)
        if problem is not None:
            self.problem.show_problem(problem)
        self.show_progress(step)
        self._fill_part()

    def show_progress(self, step: JobStepProgress | None) -> None:
        """Show how far the running step is."""
        if self._shown is None:
            return
        summary = self._shown.job.summary
        is_running = summary.state == "running"
        self.progress.setVisible(is_running)
        if is_running:
            self.progress.show_progress(summary, step)

    def show_part(self, number: int) -> None:
        """Show the results (0), the steps with the log (1), or the order (2)."""
        self._tabs.setCurrentIndex(number)

    def _on_tab(self, number: int) -> None:
        self._stack.setCurrentIndex(number)
        self._fill_part()

    def _fill_part(self) -> None:
        """Fill the part that is seen; the others are filled when they are."""
        shown, number = self._shown, self._stack.currentIndex()
        if shown is None:
            return
        if number == _RESULTS:
            self.results.show_job(shown)
        elif number == _STEPS:
            self.steps.show_steps(shown.steps, shown.log)
        else:
            self.facts.show_job(shown.job)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave room for the results."""
        super().resizeEvent(event)
        self.progress.set_low(low=self.height() < _LOW)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self._tabs.setExpanding(False)
        self._tabs.setDrawBase(False)
        self._tabs.setAccessibleName("Parts of the job")
        parts = (
            ("Results", self.results),
            ("Steps and log", self.steps),
            ("Order and figures", self.facts),
        )
        for text, part in parts:
            self._tabs.addTab(text)
            self._stack.addWidget(part)
        layout = QVBoxLayout(self)
        side = metrics.space_l
        layout.setContentsMargins(side, metrics.space_s, side, metrics.space_s)
        layout.setSpacing(metrics.space_s)
        layout.addWidget(self.problem)
        layout.addWidget(self.progress)
        layout.addWidget(self._tabs)
        layout.addWidget(self._stack, 1)
        self.problem.hide()
        self.progress.hide()
