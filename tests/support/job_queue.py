"""A queue with the real engine, as tests of jobs work with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from m1desk.documents import DocumentSets
from m1desk.engines import EngineCalibration, EngineStatus, LlamaSettings, LocalEngine, Patience
from m1desk.engines.turn import SamplingParameters
from m1desk.hardware import Energy
from m1desk.jobs.local_desk import LocalDesk
from m1desk.jobs.runner import JobRunner
from m1desk.jobs.states import JobStates
from m1desk.jobs.store import JobStore
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    JobEstimate,
    JobNotice,
    JobQuestion,
    JobSpec,
    RetryPolicy,
)
from m1desk.jobs.vigil import JOB_PATIENCE
from m1desk.store import FileLock

if TYPE_CHECKING:
    from m1desk.jobs.values import Job, JobState

GREEDY = SamplingParameters(temperature=0.0, max_tokens=60)
QUESTIONS = (
    JobQuestion("Notice", "How long is the notice?"),
    JobQuestion("Parties", "Who are the parties?"),
)
SOON = RetryPolicy(attempts=5, wait_seconds=0.05)


class SafeSettings:
    """A calibration that does no harm on any machine."""

    def get(self, key: str) -> dict[str, object]:
        return EngineCalibration(threads=1, self_test="safe_only").to_dict()

    def put(self, key: str, value: object) -> None:
        raise AssertionError("loading measures nothing")


@dataclass
class Outside:
    """Surroundings as a test wants them."""

    idle: bool = True
    on_mains: bool = True

    def is_idle(self, *, while_working: bool) -> bool:
        return self.idle

    def is_on_mains(self) -> bool:
        return self.on_mains


@dataclass
class Meter:
    """What is measured of electricity, one after the other."""

    shows: list[Energy] = field(default_factory=list)

    def take(self) -> Energy | None:
        return self.shows.pop(0) if self.shows else None


@dataclass
class Queue:
    """A queue, what works it, and what it told."""

    store: JobStore
    sets: DocumentSets
    engine: LocalEngine
    desk: LocalDesk
    outside: Outside
    lock: FileLock
    model: Path
    states: JobStates
    meter: Meter = field(default_factory=Meter)
    is_person_asking: bool = False
    told: list[JobNotice] = field(default_factory=list)
    on_notice: Callable[[JobNotice], None] = lambda _notice: None
    on_ready: Callable[[int], None] = lambda _pid: None
    patience: Patience = JOB_PATIENCE
    clock: Callable[[], float] | None = None

    def on_status(self, status: EngineStatus) -> None:
        """Tell the test when a model is ready, with its process."""
        if status.is_ready and status.pid is not None:
            self.on_ready(status.pid)

    def forget_person(self) -> None:
        """Let the person go, as if long ago."""
        self.is_person_asking = False
        self.desk._person._last = None

    def runner(self) -> JobRunner:
        def emit(notice: JobNotice) -> None:
            self.told.append(notice)
            self.on_notice(notice)

        clock = {} if self.clock is None else {"clock": self.clock}
        return JobRunner(
            self.store, self.sets, self.desk, self.outside,
            lock=self.lock, emit=emit, states=self.states, meter=self.meter,
            patience=self.patience, **clock,
        )  # fmt: skip

    async def work(self) -> None:
        """Work until no job waits."""
        await self.runner().run(until_empty=True)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[JobRunner]:
        """Work beside the body of the `async with`."""
        runner = self.runner()
        task = asyncio.create_task(runner.run())
        try:
            yield runner
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, job_id: int, *states: JobState) -> Job:
        """Wait until a job is in one of these states."""
        async with asyncio.timeout(120):
            while self.store.state(job_id) not in states:
                await asyncio.sleep(0.05)
        return self.store.job(job_id)

    def add(self, kind: str = "table", *files: Path, **more: object) -> int:
        spec = JobSpec(
            title="Leases",
            kind=kind,  # type: ignore[arg-type]
            questions=() if kind == "benchmark" else QUESTIONS,
            corpus=Corpus(files=files),
            engine=EngineChoice(LlamaSettings(self.model, context_tokens=2048, parallel=2)),
            retry=SOON,
            sampling=GREEDY,
        )
        return self.store.add(replace(spec, **more), JobEstimate())  # type: ignore[arg-type]


def log_of(queue: Queue, job_id: int) -> str:
    """A job's log, for a message or to look for words in it."""
    return "\n".join(one.text for one in queue.store.log_lines(job_id))
