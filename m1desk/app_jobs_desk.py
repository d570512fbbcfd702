"""Connects jobs with their page, the icon beside the clock, and the window."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, SignalInstance

from m1desk.app_jobs import Jobs
from m1desk.jobs.values import EngineChoice, JobChanged
from m1desk.ui.pages.jobs_page import JobsPage
from m1desk.ui.viewmodels.document_search import TextSearchViewModel
from m1desk.ui.viewmodels.jobs import JobsViewModel
from m1desk.ui.viewmodels.jobs_new import NewJobViewModel
from m1desk.ui.widgets.job_dialog import NewJobDialog
from m1desk.ui.widgets.job_tray import JobTray

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.app_core import Core
    from m1desk.jobs.values import JobKind, JobSpec, JobSummary
    from m1desk.store import Database
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.main_window import MainWindow
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_sets import DocumentSetsViewModel
    from m1desk.ui.viewmodels.models import ModelsViewModel
    from m1desk.ui.viewmodels.settings import SettingsViewModel

_DROP_TEXT = "Drop to begin a job with these documents"


class JobsDesk(QObject):
    """Makes the Jobs page with what is behind it; `connect_window` joins it with the rest.

    Signals:
        quit_wished: the app is to end, without being asked.
    """

    quit_wished = Signal()

    def __init__(
        self,
        theme: Theme,
        window: MainWindow,
        bridge: Bridge,
        *,
        core: Core,
        database: Database,
        settings: SettingsViewModel,
        models: ModelsViewModel,
        sets: DocumentSetsViewModel,
    ) -> None:
        super().__init__(window)
        self._theme = theme
        self._window = window
        self._bridge = bridge
        self._settings = settings
        self._models = models
        self._sets = sets
        self._servers = core.servers
        self._working: asyncio.Task[None] | None = None
        self._running: set[int] = set()
        self.backend = backend = Jobs(core, database, bridge.post)
        self.jobs = JobsViewModel(
            bridge, backend.store, backend.control, core.documents.sets, parent=self
        )
        self.new = NewJobViewModel(
            bridge, backend.templates, backend.control, backend.servers.names, parent=self
        )
        self.page = JobsPage(
            theme, self.jobs, TextSearchViewModel(bridge, parent=self), self._set_name
        )
        self.tray = JobTray(theme, parent=self)
        self.dialog: NewJobDialog | None = None

    @property
    def failures(self) -> tuple[SignalInstance, ...]:
        """The signals that tell an error to be shown in the banner."""
        return (self.page.failed,)

    @property
    def has_work(self) -> bool:
        """Whether a job runs or waits."""
        return self._is_running or bool(self.jobs.queue.count_in("waiting"))

    @property
    def _is_running(self) -> bool:
        """Whether a job runs; notices are ahead of the counts, and those know other processes."""
        return bool(self._running or self.jobs.queue.count_in("running"))

    def connect_window(self) -> None:
        """Join the page with the window; after the Documents page, whose drops it takes."""
        window = self._window
        window.documents_dropped.connect(self._on_dropped)
        window.page_changed.connect(self._show_drop_text)
        self.page.new_wished.connect(self._on_new_wished)
        self.jobs.exported.connect(lambda path: window.status_bar.tell(f"Saved {path}"))
        self.jobs.queue.counts_changed.connect(self._on_counts)
        self.tray.open_wished.connect(self.bring_back)
        self.tray.quit_wished.connect(self.quit_wished)
        self._bridge.events.connect(self._on_events)

    def begin(self, *, work: bool) -> None:
        """Read what there is, and with `work` begin to work the queue."""
        self.jobs.queue.refresh()
        self.new.refresh()
        if work:
            self._bridge.submit(self._work_queue(), on_error=self.page.failed.emit)

    def begin_with_set(self, set_id: int, question: str, in_passes: bool) -> None:  # noqa: FBT001 - a slot
        """Put a job together about a set of documents, with a question unless it is empty.

        A server that answers now, in place of this machine's engine, is asked by the job too.
        """
        kind: JobKind = "passes" if in_passes else "questions"
        dialog, server = self._open_dialog(), self._servers.in_use
        dialog.begin_with_set(set_id, question, kind)
        if server is not None:
            dialog.engine.set_engine(EngineChoice(server=server.name))

    def begin_with_files(self, paths: tuple[Path, ...]) -> None:
        """Put a job together about files and folders."""
        self._open_dialog().begin_with_files(paths)

    def work(self) -> str:
        """Say what closing the window would interrupt, "" for nothing."""
        if self._is_running:
            return "A job is running. It goes on at the next start, from what it has done by now."
        if self.jobs.queue.count_in("waiting"):
            return "Jobs are waiting for their turn. Without M1 Desk none of them begins."
        return ""

    def go_on_without_window(self) -> None:
        """Close the window and keep working; the icon beside the clock, or a start, opens it."""
        self._window.hide()
        self._on_counts()

    def bring_back(self) -> None:
        """Show the window again."""
        self._window.bring_forward()
        self._on_counts()

    async def wind_up(self) -> None:
        """Leave the running job where it is; it goes on when the queue is worked again."""
        task = self._working
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    def close(self) -> None:
        """Let nothing keep the app from ending."""
        self.page.release()
        self.tray.close()
        self.backend.meter.close()

    # -- on the loop -------------------------------------------------------------------------------

    async def _work_queue(self) -> None:
        self._working = asyncio.current_task()
        await self.backend.runner.run()

    # -- new jobs ----------------------------------------------------------------------------------

    def _on_new_wished(self, like: JobSummary | None) -> None:
        if like is None:
            self._open_dialog()
        else:
            self.jobs.with_spec(like.id, self._begin_with)

    def _begin_with(self, spec: JobSpec) -> None:
        self._open_dialog().begin_with(spec)

    def _open_dialog(self) -> NewJobDialog:
        """Open the dialog; one that is open already comes forward."""
        if self.dialog is not None:
            self.dialog.activateWindow()
            return self.dialog
        self.dialog = NewJobDialog(
            self._theme,
            self.new,
            sets=self._sets.all,
            models=self._models.gguf_entries,
            defaults=self._settings.settings,
            parent=self._window,
        )
        self.dialog.added.connect(self._on_added)
        self.dialog.finished.connect(self._on_dialog_closed)
        self.new.refresh()
        self.dialog.open()
        return self.dialog

    def _on_dialog_closed(self) -> None:
        self.dialog = None

    def _on_added(self, job_id: int) -> None:
        self._window.show_page("jobs")
        self.jobs.open_job.open(job_id)

    def _on_dropped(self, paths: tuple[Path, ...]) -> None:
        if self._window.page == "jobs":
            self.begin_with_files(paths)

    def _show_drop_text(self, page: str) -> None:
        if page == "jobs":
            self._window.set_documents_text(_DROP_TEXT)

    # -- what happens ------------------------------------------------------------------------------

    def _on_counts(self) -> None:
        is_hidden = not self._window.isVisible()
        self.tray.show_counts(self.jobs.queue.counts)
        self.tray.show(shown=self.has_work or is_hidden)
        if is_hidden and not self.has_work and not self.tray.is_available():
            self.quit_wished.emit()  # nobody could open the window or end the app any more

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if isinstance(event, JobChanged):
                self._take(event.summary)

    def _take(self, summary: JobSummary) -> None:
        """Tell of a job that has just ended by itself."""
        if summary.state == "running":
            self._running.add(summary.id)
            return
        if summary.id not in self._running:
            return
        self._running.remove(summary.id)
        if summary.state in {"done", "failed"}:
            self._tell_end(summary)
        self._on_counts()  # the counts may have known it already, and then don't change any more

    def _tell_end(self, summary: JobSummary) -> None:
        problem = summary.problem
        text = f"“{summary.title}” is done." if problem is None else problem.what
        if not self._window.isActiveWindow():
            title = "Job done" if problem is None else f"Job stopped: {summary.title}"
            self.tray.tell(title, text, bad=problem is not None)
        self._window.status_bar.offer(text, "Show", lambda: self._show_job(summary.id))

    def _show_job(self, job_id: int) -> None:
        self._window.show_page("jobs")
        self.jobs.open_job.open(job_id)

    def _set_name(self, set_id: int) -> str:
        return next((one.name for one in self._sets.all if one.id == set_id), "")
