"""The Jobs page: the queue on the left, one job in the middle, its documents on the right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QStandardPaths, Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.jobs.exports import FORMATS
from m1desk.ui.pages.jobs_job import JobView
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.confirm import confirm
from m1desk.ui.widgets.empty_state import EmptyState
from m1desk.ui.widgets.job_compare import JobCompareDialog
from m1desk.ui.widgets.job_head import JobHead
from m1desk.ui.widgets.job_list import JobList
from m1desk.ui.widgets.open_link import ask_to_open
from m1desk.ui.widgets.separator import separator
from m1desk.ui.widgets.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QResizeEvent, QShowEvent

    from m1desk.jobs.values import JobAnswer, JobStepProgress, JobSummary
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_search import TextSearchViewModel
    from m1desk.ui.viewmodels.jobs import JobsViewModel
    from m1desk.ui.viewmodels.jobs_actions import JobAction
    from m1desk.ui.viewmodels.jobs_open import OpenJob
    from m1desk.ui.viewmodels.jobs_passages import Passage

_LIST_WIDTH: Final = 300
_LEAST_LIST: Final = 220
_VIEWER_WIDTH: Final = 400
_LEAST_VIEWER: Final = 280
_LEAST_MIDDLE: Final = 340
_GOOD_MIDDLE: Final = 440
"""Below this width of the middle the queue gives way to the viewer."""

_EMPTY: Final = (
    "A job asks many questions of many documents by itself, now or in the night, and waits with "
    "the results. Each step is kept: a crash, a restart or an empty battery costs the step in "
    "hand at most. Drop a folder here to begin."
)


class JobsPage(QWidget):
    """Puts the parts of the page together; what they ask for goes to the view model.

    Signals:
        new_wished: a new job is to be put together; a JobSummary to begin from, or None.
        failed: an exception to be shown to the person.
    """

    new_wished = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        theme: Theme,
        jobs: JobsViewModel,
        search: TextSearchViewModel,
        set_name: Callable[[int], str],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._jobs = jobs
        self._folder = ""
        self._list_wish: bool | None = None  # of the person; None leaves it to the room
        self.list = JobList(theme, jobs.queue)
        self.head = JobHead(theme)
        self.job = JobView(theme, set_name)
        self.viewer = Viewer(theme, search)
        self._list_button = IconButton(theme, "sidebar", "Show or hide the queue", checkable=True)
        self.begin = QPushButton("New job")
        self.begin.setProperty("kind", "primary")
        self.begin.clicked.connect(lambda: self.new_wished.emit(None))
        self.empty = EmptyState(
            theme, "jobs", "Work that runs by itself", _EMPTY, buttons=(self.begin,)
        )
        self.choose = EmptyState(
            theme, "jobs", "Choose a job", "Its progress and its results are shown here."
        )
        self._stack = QStackedWidget()
        self._middle = QStackedWidget()
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        self._lay_out()
        self._connect_parts()
        self._connect_model()
        self.viewer.hide()
        self._on_opened(jobs.open_job.open_job)
        self._on_queue()

    # -- for the window ----------------------------------------------------------------------------

    @property
    def shows_viewer(self) -> bool:
        """Whether the documents' text is shown."""
        return not self.viewer.isHidden()

    @property
    def is_empty(self) -> bool:
        """Whether it explains what jobs are."""
        return self._stack.currentWidget() is self.empty

    def show_viewer(self, *, shown: bool) -> None:
        """Show or hide the documents' text."""
        self.viewer.setVisible(shown)
        if shown and self._list_wish:
            self._list_wish = None
        self._fit_panels()

    def release(self) -> None:
        """Stop what works in the background; called before the window goes away."""
        self.job.results.highlighter.stop()

    # -- making ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        shown = QWidget()
        bar = QHBoxLayout()
        bar.setContentsMargins(metrics.space_m, metrics.space_s, metrics.space_m, metrics.space_s)
        bar.setSpacing(metrics.space_s)
        bar.addWidget(self._list_button)
        bar.addWidget(self.head, 1)
        column = QVBoxLayout(shown)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addWidget(separator())
        column.addWidget(self.job, 1)
        self._middle.addWidget(self.choose)
        self._middle.addWidget(shown)
        self._middle.setMinimumWidth(_LEAST_MIDDLE)
        self.list.setMinimumWidth(_LEAST_LIST)
        self.viewer.setMinimumWidth(_LEAST_VIEWER)
        for number, part in enumerate((self.list, self._middle, self.viewer)):
            self._splitter.addWidget(part)
            self._splitter.setCollapsible(number, False)
            self._splitter.setStretchFactor(number, 1 if part is self._middle else 0)
        self._splitter.setHandleWidth(1)
        self._splitter.setSizes([_LIST_WIDTH, 600, _VIEWER_WIDTH])
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._splitter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)

    def _connect_parts(self) -> None:
        jobs, listed, job = self._jobs, self.list, self.job
        listed.new_wished.connect(lambda: self.new_wished.emit(None))
        listed.open_wished.connect(lambda one: jobs.open_job.open(one.id))
        listed.wished.connect(self._on_wished)
        listed.priority_wished.connect(lambda one, value: jobs.set_priority(one.id, value))
        listed.moved.connect(jobs.move)
        listed.repeat_wished.connect(self.new_wished)
        self.head.wished.connect(self._on_wished)
        job.retry_wished.connect(lambda: self._on_open_wished("retry"))
        job.change_wished.connect(lambda: self.new_wished.emit(self._summary()))
        job.results.citation_chosen.connect(self._on_citation)
        job.results.link_clicked.connect(lambda address: ask_to_open(self, address))
        job.results.export_wished.connect(lambda: self._on_open_wished("export"))
        job.results.compare_wished.connect(self._compare)
        self.viewer.close_wished.connect(lambda: self.show_viewer(shown=False))
        self._list_button.clicked.connect(self._on_list_button)

    def _connect_model(self) -> None:
        jobs = self._jobs
        jobs.queue.changed.connect(self._on_queue)
        jobs.open_job.opened.connect(self._on_opened)
        jobs.open_job.changed.connect(self._on_changed)
        jobs.open_job.progressed.connect(self._on_progressed)
        jobs.passages.found.connect(self._on_passage)
        jobs.failed.connect(self.failed)

    # -- what the model tells ----------------------------------------------------------------------

    def _on_queue(self) -> None:
        queue = self._jobs.queue
        is_empty = queue.was_read and queue.total == 0
        self._stack.setCurrentWidget(self.empty if is_empty else self._splitter)
        self.setFocusProxy(self.empty if is_empty else self.list.rows)

    def _on_opened(self, shown: OpenJob | None) -> None:
        self.show_viewer(shown=False)
        self.list.rows.set_current(shown.job.summary.id if shown else None)
        self._middle.setCurrentIndex(0 if shown is None else 1)
        if shown is not None:
            self._on_changed(shown)

    def _on_changed(self, shown: OpenJob) -> None:
        self.head.show_job(shown.job.summary)
        self.job.show_job(shown, self._jobs.open_job.step)

    def _on_progressed(self, step: JobStepProgress | None) -> None:
        self.job.show_progress(step)

    # -- the viewer --------------------------------------------------------------------------------

    def _on_citation(self, answer: JobAnswer, number: int) -> None:
        shown = self._jobs.open_job.open_job
        if shown is not None and shown.job.set_id is not None:
            self._jobs.passages.look_up(shown.job.set_id, answer, number)

    def _on_passage(self, passage: Passage) -> None:
        self.show_viewer(shown=True)
        self.viewer.show_documents(passage.documents)
        if passage.start >= 0:
            self.viewer.show_passage(passage.start, passage.end)
        elif passage.file:
            self.viewer.show_page(passage.file, passage.page)
        self.viewer.set_note(passage.note)

    # -- what the person asks ----------------------------------------------------------------------

    def _summary(self) -> JobSummary | None:
        shown = self._jobs.open_job.open_job
        return None if shown is None else shown.job.summary

    def _on_open_wished(self, action: JobAction) -> None:
        summary = self._summary()
        if summary is not None:
            self._on_wished(action, summary)

    def _on_wished(self, action: JobAction, job: JobSummary) -> None:
        if action == "delete":
            self._ask_to_delete(job)
        elif action == "cancel" and job.state == "running":
            self._ask_to_cancel(job)
        elif action == "export":
            self._export()
        else:
            self._jobs.do(action, job)

    def _ask_to_delete(self, job: JobSummary) -> None:
        if job.state == "running":
            return
        confirm(
            self,
            f"Delete “{job.title}”?",
            "Its results and its log are deleted. The documents and the files on disk stay. This "
            "can't be undone.",
            "Delete",
            lambda: self._jobs.do("delete", job),
        )

    def _ask_to_cancel(self, job: JobSummary) -> None:
        confirm(
            self,
            f"Cancel “{job.title}”?",
            "The step in hand is given up. What the job has brought is kept, and it can be tried "
            "again. To stop it for a while, pause it.",
            "Cancel the job",
            lambda: self._jobs.do("cancel", job),
        )

    def _compare(self) -> None:
        shown = self._jobs.open_job.open_job
        if shown is not None:
            JobCompareDialog(self._theme, self._jobs.compare, shown, self).open()

    def _export(self) -> None:
        shown = self._jobs.open_job.open_job
        if shown is None:
            return
        dialog = QFileDialog(self, "Export results")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        place = QStandardPaths.StandardLocation.DocumentsLocation
        dialog.setDirectory(self._folder or QStandardPaths.writableLocation(place))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([f"{name} (*{ending})" for ending, name in FORMATS.items()])
        dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix(ending_of(chosen)))
        dialog.setDefaultSuffix(ending_of(dialog.selectedNameFilter()))
        dialog.selectFile(_file_name(shown.job.summary.title))
        dialog.fileSelected.connect(lambda path: self._on_export_path(shown, Path(path)))
        dialog.open()

    def _on_export_path(self, shown: OpenJob, path: Path) -> None:
        self._folder = str(path.parent)
        self._jobs.export(shown.results, path)

    # -- room --------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give a narrow page's room to the job."""
        super().resizeEvent(event)
        self._fit_panels()

    def showEvent(self, event: QShowEvent) -> None:
        """Fit the panels to the size at which the page is shown."""
        super().showEvent(event)
        self._fit_panels()

    def _fit_panels(self) -> None:
        has_job = self._middle.currentIndex() == 1
        is_wished = self._has_room() if self._list_wish is None else self._list_wish
        self.list.setVisible(is_wished or not has_job)
        self._list_button.setChecked(not self.list.isHidden())

    def _has_room(self) -> bool:
        """Whether the queue may stand beside a job, and beside the documents' text."""
        others = _LIST_WIDTH + _VIEWER_WIDTH if self.shows_viewer else _LEAST_LIST
        return self.width() >= _GOOD_MIDDLE + others

    def _on_list_button(self) -> None:
        self._list_wish = self.list.isHidden()
        if self._list_wish and not self._has_room():
            self.viewer.hide()
        self._fit_panels()


def ending_of(name_filter: str) -> str:
    """The ending that a filter of the file dialog stands for."""
    return name_filter.rpartition("*.")[2].rstrip(")")


def _file_name(title: str) -> str:
    """Make a name that every system takes of a job's title."""
    kept = "".join(c if c.isalnum() or c in " -_" else " " for c in title)
    return " ".join(kept.split())[:60] or "results"
