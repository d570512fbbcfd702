"""The Jobs page: the queue, the job that is looked at, and what a person does with jobs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, Signal

from m1desk.jobs.exports import export_results
from m1desk.ui.viewmodels.jobs_actions import obstacle
from m1desk.ui.viewmodels.jobs_compare import JobCompareViewModel
from m1desk.ui.viewmodels.jobs_open import OpenJobViewModel
from m1desk.ui.viewmodels.jobs_passages import JobPassagesViewModel
from m1desk.ui.viewmodels.jobs_queue import JobQueueViewModel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from m1desk.documents import DocumentSets
    from m1desk.jobs.values import JobResults, JobSpec, JobSummary
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.jobs_actions import JobAction
    from m1desk.ui.viewmodels.jobs_open import JobRecords
    from m1desk.ui.viewmodels.jobs_queue import JobListing

    class JobRecordsAndListing(JobRecords, JobListing, Protocol):
        """All that is read of jobs."""

    class JobControl(Protocol):
        """Changes jobs, on the loop; raises StorageError, and BadInput for one that is gone."""

        async def pause(self, job_id: int) -> object:
            """Hold a job."""

        async def resume(self, job_id: int) -> object:
            """Let a paused job go on."""

        async def cancel(self, job_id: int) -> object:
            """End a job; what it brought is kept."""

        async def retry(self, job_id: int) -> object:
            """Have what failed, and what was not reached, done again."""

        async def delete(self, job_id: int) -> object:
            """Delete a job with its results."""

        async def move(self, job_id: int, before: int | None) -> object:
            """Put a job before another one; None: at the end of its priority."""

        async def set_priority(self, job_id: int, priority: int) -> object:
            """Give a job another priority."""


class JobsViewModel(QObject):
    """Hands what is asked of jobs to the core; what comes of it comes back by notices.

    Signals:
        exported: path (Path) of a file that results were written to.
        failed: the exception of something that did not work.
    """

    exported = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        jobs: JobRecordsAndListing,
        control: JobControl,
        sets: DocumentSets,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._jobs = jobs
        self._control = control
        self.queue = JobQueueViewModel(bridge, jobs, parent=self)
        self.open_job = OpenJobViewModel(bridge, jobs, parent=self)
        self.passages = JobPassagesViewModel(bridge, sets, parent=self)
        self.compare = JobCompareViewModel(bridge, jobs, parent=self)
        for part in (self.queue, self.open_job, self.passages, self.compare):
            part.failed.connect(self.failed)

    # -- what is asked -----------------------------------------------------------------------------

    def do(self, action: JobAction, summary: JobSummary) -> None:
        """Pause, resume, cancel, retry, delete a job, or move it up or down."""
        if obstacle(action, summary):
            return
        if action in {"up", "down"}:
            self._step(summary, up=action == "up")
            return
        control = self._control
        work: dict[JobAction, Callable[[int], Coroutine[Any, Any, object]]] = {
            "pause": control.pause,
            "resume": control.resume,
            "cancel": control.cancel,
            "retry": control.retry,
            "delete": control.delete,
        }
        self._submit(work[action](summary.id))

    def move(self, job_id: int, before: int | None) -> None:
        """Put a waiting job before another waiting one; None: at the end of its priority."""
        if job_id != before:
            self._submit(self._control.move(job_id, before))

    def set_priority(self, job_id: int, priority: int) -> None:
        """Give a job another priority; higher is sooner."""
        self._submit(self._control.set_priority(job_id, priority))

    def with_spec(self, job_id: int, use: Callable[[JobSpec], None]) -> None:
        """Read a job's order, and hand it over."""
        self._bridge.submit(
            asyncio.to_thread(self._jobs.job, job_id),
            lambda job: use(job.spec),
            self.failed.emit,
        )

    def export(self, results: JobResults, path: Path) -> None:
        """Write a job's results to a file, in the form that its ending says."""
        self._bridge.submit(
            asyncio.to_thread(export_results, results, path),
            lambda _: self.exported.emit(path),
            self.failed.emit,
        )

    # -- inside ------------------------------------------------------------------------------------

    def _step(self, summary: JobSummary, *, up: bool) -> None:
        """Change places with the waiting job before or after."""
        number = self.queue.row_of(summary.id)
        if number is None:
            return
        if up:
            above = self._waiting_at(number - 1)
            if above is not None:
                self.move(summary.id, above.id)
            return
        below, after = self._waiting_at(number + 1), self._waiting_at(number + 2)
        if below is None:
            return
        if after is not None and after.priority == below.priority:
            self.move(summary.id, after.id)
        elif below.priority == summary.priority:
            self.move(summary.id, None)
        else:
            self.set_priority(summary.id, below.priority)

    def _waiting_at(self, number: int) -> JobSummary | None:
        found = self.queue.row(number) if 0 <= number < self.queue.count else None
        return found if found is not None and found.state == "waiting" else None

    def _submit(self, work: Coroutine[Any, Any, object]) -> None:
        self._bridge.submit(work, lambda _: self.queue.refresh(), self.failed.emit)
