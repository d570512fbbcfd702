"""Tells what becomes of jobs, a few times a second at most."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from m1desk.errors import M1DeskError
from m1desk.jobs.step_report import StepReport
from m1desk.jobs.values import JobChanged, JobNotice, JobStepProgress

if TYPE_CHECKING:
    from m1desk.jobs.store import JobStore

_log = logging.getLogger(__name__)

_SECONDS: Final = 0.25


class Teller:
    """Gathers what happens and sends the newest of it; belongs to one event loop.

    `emit` gets every JobNotice on the loop's thread, and must not block.
    """

    def __init__(self, store: JobStore, emit: Callable[[JobNotice], None]) -> None:
        self._store = store
        self._emit = emit
        self._changed: dict[int, None] = {}
        self._progress: JobStepProgress | StepReport | None = None
        self._unwritten: dict[int, str] = {}
        self._sending: asyncio.Task[None] | None = None

    def now(self, notice: JobNotice) -> None:
        """Tell something at once."""
        self._emit(notice)

    def changed(self, job_id: int) -> None:
        """Tell soon that a job is further on, or stands elsewhere."""
        self._changed[job_id] = None
        self._send_soon()

    def progress(self, report: JobStepProgress | StepReport) -> None:
        """Tell soon how far a step is."""
        self._progress = report
        self._send_soon()

    def unwritten(self, job_id: int, note: str) -> None:
        """Tell what a job waits for while that can't be written down."""
        self._unwritten[job_id] = note
        self.changed(job_id)

    def written(self, job_id: int) -> None:
        """Note that writing works again."""
        if self._unwritten.pop(job_id, None) is not None:
            self.changed(job_id)

    async def flush(self) -> None:
        """Send what has gathered, now."""
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
            await asyncio.wait({sending})
        await self._send()

    def _send_soon(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send_later())

    async def _send_later(self) -> None:
        while self._changed or self._progress:
            await self._send()
            await asyncio.sleep(_SECONDS)

    async def _send(self) -> None:
        progress, self._progress = self._progress, None
        changed, self._changed = self._changed, {}
        if progress is not None:
            self._emit(progress.notice() if isinstance(progress, StepReport) else progress)
        for job_id in changed:
            try:
                summary = await asyncio.to_thread(self._store.summary, job_id)
            except M1DeskError as error:  # it was deleted meanwhile, or can't be read now
                _log.debug("job %d is not told of: %s", job_id, error)
                continue
            note = self._unwritten.get(job_id, summary.note)
            self._emit(JobChanged(replace(summary, note=note)))
