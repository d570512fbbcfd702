"""Works the queue: one job at a time, in one process at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from m1desk.errors import BadInput, M1DeskError, StorageError
from m1desk.jobs.awake import Awake
from m1desk.jobs.desk import EngineTaken
from m1desk.jobs.energy import Metering
from m1desk.jobs.job_run import JobRun, Parts
from m1desk.jobs.store import IDLE_NOTE, MAINS_NOTE
from m1desk.jobs.tell import Teller
from m1desk.jobs.values import JobsChanged
from m1desk.jobs.vigil import JOB_PATIENCE

if TYPE_CHECKING:
    from m1desk.documents import DocumentSets
    from m1desk.engines import Patience
    from m1desk.jobs.desk import EngineDesk, Surroundings
    from m1desk.jobs.energy import EnergyMeter
    from m1desk.jobs.states import JobStates
    from m1desk.jobs.store import JobStore
    from m1desk.jobs.values import Job, JobNotice
    from m1desk.store import FileLock

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
"""Between two looks at what a person, here or in another process, did to the running job."""

_POLL_SECONDS: Final = 2.0
"""Between two looks at the queue. Never the time until the next job is due: clocks jump."""

_BLOCKED_SECONDS: Final = 10.0
"""Until a job that had to wait for an engine is tried again."""

_MOST_BLOCKED: Final = 20


class QueueTaken(M1DeskError):
    """Another process works the queue."""


class JobRunner:
    """Runs waiting jobs, the first one that its schedule lets run; belongs to one event loop.

    `lock` is of the one file that tells which process may work the queue; it is taken when `run`
    begins. `emit` gets every JobNotice on the loop's thread, and must not block. `clock` tells the
    time of the day, and only whether a job is due.
    """

    def __init__(
        self,
        store: JobStore,
        sets: DocumentSets,
        desk: EngineDesk,
        surroundings: Surroundings,
        *,
        lock: FileLock,
        emit: Callable[[JobNotice], None],
        states: JobStates,
        meter: EnergyMeter,
        patience: Patience = JOB_PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._desk = desk
        self._surroundings = surroundings
        self._lock = lock
        self._clock = clock
        self._tell = Teller(store, emit)
        self._parts = Parts(store, sets, desk, self._tell, states, patience)
        self._metering = Metering(store, meter)
        self._awake = Awake()
        self._woken = asyncio.Event()
        self._blocked: dict[int, float] = {}
        self._version: int | None = None
        self._running: int | None = None

    @property
    def running(self) -> int | None:
        """The job that is being worked on here."""
        return self._running

    def wake(self) -> None:
        """Look at the queue now: something in it was changed."""
        self._blocked.clear()
        self._woken.set()

    async def run(self, *, until_empty: bool = False) -> None:
        """Work the queue until this is cancelled, or with `until_empty` until no job waits.

        When it is cancelled, the running job is left; it goes on when the queue is worked again.

        Raises:
            QueueTaken: with `until_empty`, when another process works the queue. Without it,
                that process's end is waited for.
            StorageError: the lock's file can't be used.
        """
        try:
            while not self._lock.acquire():
                if until_empty:
                    raise self._taken()
                await self._tell_others()
                await self._rest(_POLL_SECONDS)
            await self._work(until_empty=until_empty)
        finally:
            self._lock.release()

    async def _work(self, *, until_empty: bool) -> None:
        try:
            while True:
                try:
                    job_id = await self._next()
                    if job_id is not None:
                        await self._run(job_id)
                        continue
                    if until_empty and not await asyncio.to_thread(self._is_anything_waiting):
                        return
                except StorageError as error:  # a full disk, a database that is in use
                    _log.warning("the queue can't be read or written now: %s", error)
                self._awake.let_go()
                await self._desk.settle()
                await self._rest(_POLL_SECONDS)
        finally:
            self._awake.let_go()
            await self._desk.settle(closing=True)
            await self._tell.flush()

    async def _next(self) -> int | None:
        """Find the job to be done now, and say on the others what they wait for."""
        idle = self._surroundings.is_idle(while_working=False)
        on_mains = self._surroundings.is_on_mains()
        await self._tell_others()
        await asyncio.to_thread(self._store.recover)
        if await asyncio.to_thread(self._store.note_waiting, idle=idle, on_mains=on_mains):
            self._tell.now(JobsChanged())
        now = time.monotonic()
        self._blocked = {job: until for job, until in self._blocked.items() if until > now}
        if len(self._blocked) >= _MOST_BLOCKED:
            return None
        return await asyncio.to_thread(
            self._store.next_waiting,
            self._clock(),
            idle=idle,
            on_mains=on_mains,
            without=tuple(self._blocked),
        )

    def _is_anything_waiting(self) -> bool:
        return self._store.counts()["waiting"] > 0

    async def _run(self, job_id: int) -> None:
        try:
            job = await asyncio.to_thread(self._store.job, job_id)
            refusal = self._desk.refusal(job.spec.engine)
            if refusal:
                await self._block(job, refusal)
                return
            if not await asyncio.to_thread(self._store.start, job_id):
                return
        except BadInput:  # it was deleted just now
            return
        self._running = job_id
        self._awake.hold()
        self._tell.changed(job_id)
        run = asyncio.create_task(JobRun(job, self._parts).run())
        note = ""
        try:
            async with self._metering.over(job):
                note = await self._watch(job, run)
        except EngineTaken as taken:
            note = taken.what
            self._blocked[job_id] = time.monotonic() + _BLOCKED_SECONDS
        finally:
            if not run.done():
                run.cancel()
                await asyncio.wait({run})
            self._running = None
            await self._release(job_id, note)
            await self._parts.states.make_room()

    async def _watch(self, job: Job, run: asyncio.Task[None]) -> str:
        """Wait until the job has ended, or must be left; returns what it waits for then."""
        while True:
            done, _ = await asyncio.wait({run}, timeout=_LOOK_SECONDS)
            if done:
                run.result()
                return ""
            await self._tell_others()
            reason = await self._reason_to_leave(job)
            if reason is not None:
                return reason

    async def _reason_to_leave(self, job: Job) -> str | None:
        """Say why a running job must not go on: its note, "" for a person's own wish."""
        try:
            state = await asyncio.to_thread(self._store.state, job.summary.id)
        except StorageError:  # then nobody can have changed it either
            return None
        if state != "running":
            return ""
        schedule = job.spec.schedule
        if schedule.on_mains and not self._surroundings.is_on_mains():
            return MAINS_NOTE
        if schedule.when_idle and not self._surroundings.is_idle(while_working=True):
            return IDLE_NOTE
        return None

    async def _block(self, job: Job, note: str) -> None:
        """Pass a job by for a while, and say why."""
        job_id = job.summary.id
        self._blocked[job_id] = time.monotonic() + _BLOCKED_SECONDS
        if job.summary.note != note:
            await asyncio.to_thread(self._store.note, job_id, note)
            self._tell.changed(job_id)

    async def _release(self, job_id: int, note: str) -> None:
        try:
            await asyncio.to_thread(self._store.release, job_id, note)
        except M1DeskError as error:  # it is gone, or the disk is full: `recover` comes by again
            _log.info("job %d is not released: %s", job_id, error)
        self._tell.changed(job_id)

    async def _tell_others(self) -> None:
        """Tell when another process has changed the database."""
        version = await asyncio.to_thread(self._store.data_version)
        if self._version not in {None, version}:
            self._tell.now(JobsChanged())
        self._version = version

    async def _rest(self, seconds: float) -> None:
        """Wait, unless something is changed meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    def _taken(self) -> QueueTaken:
        holder = self._lock.holder_pid()
        process = f"process {holder}" if holder else "another process"
        return QueueTaken(
            "The jobs are being worked on already.",
            f"An M1 Desk does that ({process}); a job never runs twice at once.",
            "Leave it to that one, or close it first.",
        )
