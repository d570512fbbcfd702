"""The job that is looked at: what is known of it, read anew as it goes on, and its running step."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.jobs.results import CellStatus, ResultTable, result_table
from m1desk.jobs.values import JobChanged, JobRemoved, JobsChanged, JobStepProgress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from m1desk.jobs.values import Job, JobLogLine, JobResults, JobStep
    from m1desk.ui.bridge import Bridge

    class JobRecords(Protocol):
        """Tells all of one job; `m1desk.jobs.store.JobStore` does. It blocks.

        Every method raises StorageError, and BadInput when the job is gone.
        """

        def job(self, job_id: int) -> Job:
            """The job with its order."""

        def steps(self, job_id: int) -> tuple[JobStep, ...]:
            """Its steps, in order."""

        def results(self, job_id: int) -> JobResults:
            """The job, and what it brought so far."""

        def log_lines(self, job_id: int) -> tuple[JobLogLine, ...]:
            """What happened, oldest first."""


_CALM_MS: Final = 500
"""A running job is read anew twice a second at most."""
_SHARE: Final = 5
"""Reading a job with thousands of answers may take this part of the time at most."""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job with all that the window shows of it.

    Attributes:
        counts: how many cells of the table have which status.
        seconds: how long reading it took.
    """

    results: JobResults
    table: ResultTable
    counts: Mapping[CellStatus, int]
    steps: tuple[JobStep, ...]
    log: tuple[JobLogLine, ...]
    seconds: float

    @property
    def job(self) -> Job:
        """The job itself."""
        return self.results.job


class OpenJobViewModel(QObject):
    """Shows one job at a time.

    Signals:
        opened: the OpenJob now shown, None for none; it is another one than before.
        changed: the OpenJob, which has gone on.
        progressed: the JobStepProgress of its running step, None when no step runs any more.
        failed: the exception of something that did not work.
    """

    opened = Signal(object)
    changed = Signal(object)
    progressed = Signal(object)
    failed = Signal(object)

    def __init__(self, bridge: Bridge, jobs: JobRecords, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._jobs = jobs
        self._wanted: int | None = None
        self._open: OpenJob | None = None
        self._step: JobStepProgress | None = None
        self._reading = False
        self._stale = False
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CALM_MS)
        self._calm.timeout.connect(self._read)
        bridge.events.connect(self._on_events)

    @property
    def open_job(self) -> OpenJob | None:
        """The job that is shown."""
        return self._open

    @property
    def job_id(self) -> int | None:
        """Id of the job that is shown, or is about to be."""
        return self._wanted

    @property
    def step(self) -> JobStepProgress | None:
        """How far its running step is."""
        return self._step

    def open(self, job_id: int | None) -> None:
        """Show a job, or none."""
        if job_id == self._wanted:
            return
        self._wanted = job_id
        self._calm.stop()
        self._set_step(None)
        if job_id is None:
            self._open = None
            self.opened.emit(None)
        else:
            self._read()

    # -- inside ------------------------------------------------------------------------------------

    def _read(self) -> None:
        job_id = self._wanted
        if job_id is None:
            return
        if self._reading:
            self._stale = True
            return
        self._reading = True
        self._bridge.submit(asyncio.to_thread(self._load, job_id), self._on_read, self._on_not_read)

    def _load(self, job_id: int) -> OpenJob:
        jobs, began = self._jobs, time.perf_counter()
        results = jobs.results(job_id)
        table = result_table(results)
        return OpenJob(
            results,
            table,
            Counter(cell.status for cell in table.cells),
            jobs.steps(job_id),
            jobs.log_lines(job_id),
            time.perf_counter() - began,
        )

    def _on_read(self, found: OpenJob) -> None:
        self._reading = False
        self._calm.setInterval(max(_CALM_MS, round(_SHARE * 1000 * found.seconds)))
        summary = found.job.summary
        if summary.id == self._wanted:
            is_other = self._open is None or self._open.job.summary.id != summary.id
            self._open = found
            (self.opened if is_other else self.changed).emit(found)
            if summary.state != "running":
                self._set_step(None)
        self._read_again()

    def _on_not_read(self, error: Exception) -> None:
        self._reading = False
        self.open(None)
        self.failed.emit(error)

    def _read_again(self) -> None:
        """Read once more when another job is wanted, or this one went on meanwhile."""
        shown = self._open.job.summary.id if self._open is not None else None
        if self._wanted is not None and shown != self._wanted:
            self._stale = False
            self._read()
        elif self._stale:
            self._stale = False
            self._soon()

    def _on_events(self, events: tuple[object, ...]) -> None:
        step: JobStepProgress | None = None
        for event in events:
            if isinstance(event, JobStepProgress) and event.job_id == self._wanted:
                step = event
            elif isinstance(event, JobChanged) and event.summary.id == self._wanted:
                self._soon()
            elif isinstance(event, JobRemoved) and event.job_id == self._wanted:
                self.open(None)
            elif isinstance(event, JobsChanged):
                self._soon()
        if step is not None:
            self._set_step(step)

    def _set_step(self, step: JobStepProgress | None) -> None:
        if step != self._step:
            self._step = step
            self.progressed.emit(step)

    def _soon(self) -> None:
        if self._wanted is not None and not self._calm.isActive():
            self._calm.start()
