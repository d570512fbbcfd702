"""Two jobs that asked the same: which there are to compare with, and their answers side by side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from PySide6.QtCore import QObject, Signal

from m1desk.jobs.results import compare_results

if TYPE_CHECKING:
    from collections.abc import Collection

    from m1desk.jobs.results import Comparison
    from m1desk.jobs.values import Job, JobResults, JobState, JobSummary
    from m1desk.ui.bridge import Bridge

    class ComparableJobs(Protocol):
        """Reads jobs; `m1desk.jobs.store.JobStore` does. It blocks, and raises StorageError."""

        def summaries(
            self, limit: int = -1, offset: int = 0, states: Collection[JobState] = ()
        ) -> tuple[JobSummary, ...]:
            """A part of the list in its order."""

        def job(self, job_id: int) -> Job:
            """A job with its order."""

        def results(self, job_id: int) -> JobResults:
            """What it brought."""


_LOOKED_AT: Final = 200
"""Jobs that are looked at for the same questions: the newest that ended."""
_ENDED: Final = ("done", "failed", "cancelled")


class JobCompareViewModel(QObject):
    """Finds jobs with the same questions, and compares.

    Signals:
        found: the jobs (tuple of JobSummary) that a job can be compared with.
        compared: the Comparison.
        failed: the exception of something that did not work.
    """

    found = Signal(object)
    compared = Signal(object)
    failed = Signal(object)

    def __init__(self, bridge: Bridge, jobs: ComparableJobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._jobs = jobs

    def find(self, job: Job) -> None:
        """Look for other jobs with results that asked any of the same questions."""
        self._bridge.submit(asyncio.to_thread(self._find, job), self.found.emit, self.failed.emit)

    def compare(self, left: JobResults, right_id: int) -> None:
        """Put the results of another job on the right."""
        self._bridge.submit(
            asyncio.to_thread(self._compare, left, right_id), self.compared.emit, self.failed.emit
        )

    def _find(self, job: Job) -> tuple[JobSummary, ...]:
        wanted = {one.name for one in job.spec.questions}
        candidates = (
            one
            for one in self._jobs.summaries(_LOOKED_AT, 0, _ENDED)
            if one.id != job.summary.id and one.progress.steps_done and one.kind == job.spec.kind
        )
        return tuple(
            one
            for one in candidates
            if wanted & {other.name for other in self._jobs.job(one.id).spec.questions}
        )

    def _compare(self, left: JobResults, right_id: int) -> Comparison:
        return compare_results(left, self._jobs.results(right_id))
