"""What jobs take of electricity: measured where the machine tells, else assumed, and said so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.job_queue import Meter, Queue

from m1desk.errors import StorageError
from m1desk.hardware import Energy
from m1desk.jobs.energy import Metering, actual_energy
from m1desk.jobs.store import JobStore
from m1desk.jobs.values import EngineChoice, JobEstimate, JobProgress

if TYPE_CHECKING:
    from m1desk.jobs.values import Job


def worked(job: Job, seconds: float, **more: object) -> Job:
    progress = JobProgress(steps_done=1, seconds=seconds)
    return replace(job, summary=replace(job.summary, progress=progress), **more)  # type: ignore[arg-type]


async def test_what_a_job_takes_is_measured_while_it_runs_and_added_up(queue: Queue) -> None:
    job_id = queue.add("prompt")
    queue.meter = Meter([Energy(999.0, 9.0, "computer"), Energy(3600.0, 60.0, "computer")])
    await queue.work()
    # What was shown first had been taken before the job began.
    assert queue.store.job(job_id).energy == Energy(3600.0, 60.0, "computer")
    queue.store.add_energy(job_id, Energy(1800.0, 20.0, "processor"))
    assert queue.store.job(job_id).energy == Energy(5400.0, 80.0, "processor")


async def test_energy_is_written_now_and_then_and_waits_while_the_disk_is_full(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.store.job(queue.add("prompt"))
    written: list[Energy] = []

    def add_energy(_store: JobStore, _job_id: int, energy: Energy) -> None:
        written.append(energy)
        if len(written) == 1:
            raise StorageError("The disk is full; nothing more could be saved.")

    monkeypatch.setattr(JobStore, "add_energy", add_energy)
    minute = Energy(600.0, 60.0, "graphics cards")
    meter = Meter([minute, minute, minute, minute])
    async with Metering(queue.store, meter, look_seconds=0.01).over(job):
        async with asyncio.timeout(30):
            while len(written) < 3:
                await asyncio.sleep(0.01)
    assert [one.joules for one in written] == [600.0, 1200.0, 600.0]


async def test_a_meter_that_breaks_harms_no_job(queue: Queue) -> None:
    class Broken(Meter):
        def take(self) -> Energy | None:
            raise ValueError("off the bus")

    queue.meter = Broken()
    job_id = queue.add("prompt")
    await queue.work()
    assert queue.store.state(job_id) == "done"


def test_measured_energy_is_said_with_what_it_counts(queue: Queue) -> None:
    job = queue.store.job(queue.add("prompt"))
    assert actual_energy(job) is None  # nothing is done yet
    whole = actual_energy(worked(job, 100.0, energy=Energy(7200.0, 110.0, "computer")))
    assert whole is not None
    assert (whole.watt_hours, whole.is_measured) == (2.0, True)
    assert whole.usd == pytest.approx(0.0005)
    assert whole.why == "Energy is measured: of the computer."
    half = actual_energy(worked(job, 200.0, energy=Energy(7200.0, 100.0, "graphics cards")))
    assert half is not None
    assert half.why == "Energy is measured: of the graphics cards, in 50% of its time."


def test_assumed_energy_is_the_time_by_the_watts_of_the_estimate(queue: Queue) -> None:
    job = worked(queue.store.job(queue.add("prompt")), 1800.0)
    usual = actual_energy(job)
    assert usual is not None
    assert (usual.watt_hours, usual.is_measured) == (70.0, False)
    assert "assumed (140 W)" in usual.why
    estimate = JobEstimate(seconds=(100.0, 360.0), watt_hours=(5.0, 20.0))
    estimated = actual_energy(replace(job, estimate=estimate))
    assert estimated is not None
    assert estimated.watt_hours == pytest.approx(100.0)
    assert "assumed (200 W)" in estimated.why
    elsewhere = replace(job.spec, engine=EngineChoice(server="lab"))
    assert actual_energy(replace(job, spec=elsewhere)) is None
