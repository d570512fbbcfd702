"""What is done with jobs while they are worked on: each change is told and takes effect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from m1desk.errors import BadInput, M1DeskError
from m1desk.jobs.estimate import estimate_job, sizes_of
from m1desk.jobs.plan import check_spec, needed_tokens
from m1desk.jobs.values import JobChanged, JobRemoved, JobsChanged

if TYPE_CHECKING:
    from m1desk.documents import DocumentSets
    from m1desk.engines import Forecast, LlamaSettings
    from m1desk.jobs.servers import JobServers
    from m1desk.jobs.store import JobStore
    from m1desk.jobs.values import JobEstimate, JobNotice, JobSpec

    ForecastOf = Callable[[LlamaSettings | None], Forecast | None]

_log = logging.getLogger(__name__)


class JobControl:
    """Adds jobs and changes them; used on one asyncio loop.

    Methods that name a job raise BadInput when it is gone; all raise StorageError.
    """

    def __init__(
        self,
        store: JobStore,
        sets: DocumentSets,
        servers: JobServers,
        forecast: ForecastOf,
        *,
        emit: Callable[[JobNotice], None],
        wake: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            store: the jobs.
            sets: documents that jobs may be about.
            servers: that may answer.
            forecast: says how fast a model will be (of None: the one that would be taken), None
                if that is not known; may block and raise M1DeskError.
            emit: takes every JobNotice, on the loop's thread.
            wake: tells the one who works the queue to look at it.
        """
        self._store = store
        self._sets = sets
        self._servers = servers
        self._forecast = forecast
        self._emit = emit
        self._wake = wake

    async def estimate(self, spec: JobSpec) -> JobEstimate:
        """Say what a job will probably take; raises BadInput for one that can't be done."""
        return await asyncio.to_thread(estimate_of, spec, self._sets, self._servers, self._forecast)

    async def add(self, spec: JobSpec, estimate: JobEstimate) -> int:
        """Put a job into the queue and return its id; raises BadInput if it can't be done."""
        check_spec(spec)
        job_id = await asyncio.to_thread(self._store.add, spec, estimate)
        await self._changed(job_id)
        return job_id

    async def pause(self, job_id: int) -> bool:
        """Hold a job until it is resumed; False when it is not waiting or running."""
        return await self._do(self._store.pause, job_id)

    async def resume(self, job_id: int) -> bool:
        """Let a paused job go on when its turn comes; False when it is not paused."""
        return await self._do(self._store.resume, job_id)

    async def cancel(self, job_id: int) -> bool:
        """End a job; what it brought is kept. False when it has ended already."""
        return await self._do(self._store.cancel, job_id)

    async def retry(self, job_id: int) -> bool:
        """Have what failed, and what was not reached, done again; False when nothing is to do."""
        return await self._do(self._store.retry, job_id)

    async def delete(self, job_id: int) -> None:
        """Delete a job with its results; the documents that were read for it stay."""
        await asyncio.to_thread(self._store.delete, job_id)
        self._wake()
        self._emit(JobRemoved(job_id))

    async def move(self, job_id: int, before: int | None) -> None:
        """Put a job before another one, in its priority; None: at the end of its own."""
        await asyncio.to_thread(self._store.move, job_id, before)
        self._wake()
        self._emit(JobsChanged())

    async def set_priority(self, job_id: int, priority: int) -> None:
        """Give a job another priority, where it is the last one; higher is sooner."""
        await asyncio.to_thread(self._store.set_priority, job_id, priority)
        await self._changed(job_id)

    async def _do(self, change: Callable[[int], bool], job_id: int) -> bool:
        done = await asyncio.to_thread(change, job_id)
        await self._changed(job_id)
        return done

    async def _changed(self, job_id: int) -> None:
        self._wake()
        self._emit(JobChanged(await asyncio.to_thread(self._store.summary, job_id)))


def estimate_of(
    spec: JobSpec, sets: DocumentSets, servers: JobServers, forecast: ForecastOf
) -> JobEstimate:
    """Say what a job will probably take; blocks; raises BadInput for one that can't be done."""
    check_spec(spec)
    if spec.engine.server:
        servers.check(spec.engine.server)
    has_documents = spec.corpus.set_id is not None or bool(spec.corpus.files)
    sizes = sizes_of(spec.corpus, sets) if has_documents else None
    settings = spec.engine.settings
    if settings is not None and not settings.context_tokens:
        settings = replace(settings, context_tokens=needed_tokens(spec, sizes))
    try:
        found = None if spec.engine.server else forecast(settings)
    except BadInput:  # a model that is not there
        raise
    except M1DeskError as error:
        _log.info("how fast a job will be is not known: %s", error)
        found = None
    watts = found.machine.busy_watts if found is not None else None
    return estimate_job(spec, sizes, found, watts)
