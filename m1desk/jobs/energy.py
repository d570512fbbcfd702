"""What a job takes of electricity: measured while it runs where the machine tells, else assumed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from m1desk.errors import StorageError
from m1desk.fit import CostAssumptions
from m1desk.hardware import Energy

if TYPE_CHECKING:
    from m1desk.jobs.store import JobStore
    from m1desk.jobs.values import Job, JobEstimate

    class EnergyMeter(Protocol):
        """Tells what the machine takes; `m1desk.hardware.PowerMeter` does. It blocks."""

        def take(self) -> Energy | None:
            """Energy since the call before; None where nothing can be said."""


_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0
_WRITE_SECONDS: Final = 60.0
"""What is measured is written down so often: a kill costs no more of it."""
_NEARLY_ALL: Final = 0.95


@dataclass(frozen=True, slots=True)
class ActualEnergy:
    """What a job took.

    Attributes:
        watt_hours: of electricity.
        usd: what they cost, at the price of the estimate.
        is_measured: else it is the job's time by assumed watts.
        why: what the figures rest on, as a sentence.
    """

    watt_hours: float
    usd: float
    is_measured: bool
    why: str


def actual_energy(job: Job) -> ActualEnergy | None:
    """Say what a job took of electricity; None when nothing is done, or a server did it."""
    seconds = job.summary.progress.seconds
    if job.spec.engine.server or not seconds:
        return None
    price = CostAssumptions().electricity_usd_kwh
    energy = job.energy
    if energy is None:
        watts = _assumed_watts(job.estimate)
        watt_hours = seconds * watts / 3600
        why = f"Energy is assumed ({watts:.0f} W), for this machine does not tell its power."
    else:
        watt_hours = energy.joules / 3600
        share = energy.seconds / seconds
        part = "" if share > _NEARLY_ALL else f", in {share:.0%} of its time"
        why = f"Energy is measured: of the {energy.source}{part}."
    return ActualEnergy(watt_hours, watt_hours * price / 1000, energy is not None, why)


class Metering:
    """Measures what jobs take while they run; belongs to one event loop."""

    def __init__(
        self, store: JobStore, meter: EnergyMeter, look_seconds: float = _LOOK_SECONDS
    ) -> None:
        self._store = store
        self._meter = meter
        self._look_seconds = look_seconds

    @asynccontextmanager
    async def over(self, job: Job) -> AsyncIterator[None]:
        """Measure during the body of the `async with`; not what a server takes for a job."""
        if job.spec.engine.server:
            yield
            return
        ended = asyncio.Event()
        measuring = asyncio.create_task(self._measure(job.summary.id, ended))
        try:
            yield
        finally:
            ended.set()
            await asyncio.wait({measuring})
            if not measuring.cancelled() and measuring.exception() is not None:
                _log.error("what a job takes is not measured", exc_info=measuring.exception())

    async def _measure(self, job_id: int, ended: asyncio.Event) -> None:
        unwritten: Energy | None = None
        await asyncio.to_thread(self._meter.take)
        while not ended.is_set():
            await _either(ended, self._look_seconds)
            unwritten = _sum(unwritten, await asyncio.to_thread(self._meter.take))
            is_due = ended.is_set() or (unwritten and unwritten.seconds >= _WRITE_SECONDS)
            if unwritten is not None and is_due and await self._write(job_id, unwritten):
                unwritten = None

    async def _write(self, job_id: int, energy: Energy) -> bool:
        try:
            await asyncio.to_thread(self._store.add_energy, job_id, energy)
        except StorageError as error:  # it is written with what comes next
            _log.info("what job %d takes is not written down: %s", job_id, error)
            return False
        return True


def _sum(before: Energy | None, more: Energy | None) -> Energy | None:
    if before is None or more is None:
        return more or before
    return replace(more, joules=before.joules + more.joules, seconds=before.seconds + more.seconds)


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _assumed_watts(estimate: JobEstimate) -> float:
    """The watts that the job's estimate rests on; without one, the usual ones."""
    if estimate.seconds is None or estimate.watt_hours is None or not estimate.seconds[1]:
        return CostAssumptions().busy_watts
    return estimate.watt_hours[1] * 3600 / estimate.seconds[1]
