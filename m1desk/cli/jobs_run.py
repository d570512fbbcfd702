"""`m1desk jobs run`: the queue is worked on here, without a window."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import typer

from m1desk.cli.ask import last_model
from m1desk.cli.session import calibrate_once, say
from m1desk.documents import DocumentSets, PreparedStates
from m1desk.engines import LocalEngine, ProfileStore, forecast_of, sweep_leftovers
from m1desk.fit import machine_from_probe
from m1desk.hardware import PowerMeter, probe_machine
from m1desk.jobs.local_desk import LocalDesk
from m1desk.jobs.person import MachineSurroundings, Person
from m1desk.jobs.runner import JobRunner
from m1desk.jobs.servers import JobServers
from m1desk.jobs.states import JobStates
from m1desk.jobs.store import ENDED_STATES, JobStore
from m1desk.jobs.values import JobChanged, JobStepProgress
from m1desk.models.demo import demo_model
from m1desk.store import Database, FileLock, Folders, Measurements, SettingsStore

if TYPE_CHECKING:
    from m1desk.engines import Forecast, LlamaSettings
    from m1desk.jobs.values import JobNotice, JobSummary

_INTERRUPTED: Final = 130


def run_jobs(*, watch: bool, as_json: bool) -> None:
    """Work the queue until no job waits, or with `watch` until this is ended.

    SIGINT and SIGTERM stop it within moments; what is done is kept, and the job that ran goes on
    the next time. The exit status says whether all jobs ended well.

    Raises:
        QueueTaken: another process works the queue.
        M1DeskError: the folders or the database can't be used.
    """
    code = asyncio.run(_run(watch=watch, as_json=as_json))
    if code:
        raise typer.Exit(code)


async def _run(*, watch: bool, as_json: bool) -> int:
    folders = Folders.resolve()
    sweep_leftovers(folders)
    with Database(folders.database) as database:
        measurements = Measurements(database)
        await calibrate_once(folders, measurements)
        telling = _Telling(as_json=as_json)
        machine = await asyncio.to_thread(
            probe_machine, (folders.models,), measurements=measurements
        )

        def forecast(settings: LlamaSettings) -> Forecast:
            return forecast_of(measurements, machine, settings)

        engine = LocalEngine(
            folders, measurements, lambda: machine_from_probe(machine), lambda _status: None
        )
        person = Person(lambda: False)  # nobody chats here
        meter = PowerMeter(lambda: machine)
        settings_store = SettingsStore(database)
        servers = JobServers(ProfileStore(database), folders)
        runner = JobRunner(
            JobStore(database),
            DocumentSets(database),
            LocalDesk(engine, person, lambda: last_model() or demo_model(), forecast, servers),
            MachineSurroundings(person),
            lock=FileLock(folders.data / "jobs.lock"),
            emit=telling,
            states=JobStates(
                PreparedStates(folders.data / "prepared"),
                lambda: settings_store.load().prepared_budget_bytes,
            ),
            meter=meter,
        )
        try:
            code = await _until_interrupted(runner, watch=watch)
        finally:
            await engine.unload()
            meter.close()
    return code or int(telling.failed)


async def _until_interrupted(runner: JobRunner, *, watch: bool) -> int:
    """Run until the end; returns the exit status of an interruption, 0 without one."""
    loop = asyncio.get_running_loop()
    code = 0
    work = asyncio.ensure_future(runner.run(until_empty=not watch))

    def stop(status: int) -> None:
        nonlocal code
        code = status
        work.cancel()

    for number, status in ((signal.SIGINT, _INTERRUPTED), (signal.SIGTERM, 0)):
        try:
            loop.add_signal_handler(number, stop, status)
        except NotImplementedError:
            break  # Windows' loops have none; there Ctrl+C raises KeyboardInterrupt
    await asyncio.wait({work})
    if not work.cancelled():
        work.result()
    return code


class _Telling:
    """Says on the terminal what becomes of jobs.

    Attributes:
        failed: whether one of them failed.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._states: dict[int, tuple[str, str]] = {}
        self._is_open = False
        self.failed = False

    def __call__(self, notice: JobNotice) -> None:
        if isinstance(notice, JobChanged):
            self._on_changed(notice.summary)
        elif isinstance(notice, JobStepProgress) and sys.stderr.isatty():
            self._on_progress(notice)

    def _on_changed(self, job: JobSummary) -> None:
        known, now = self._states.get(job.id), (job.state, job.note)
        if known == now:
            return
        self._states[job.id] = now
        more = f": {job.note}" if job.note else ""
        if job.problem is not None:
            more = f": {job.problem.what} {job.problem.why} {job.problem.todo}"
        say(f"{chr(10) if self._is_open else ''}Job {job.id} ({job.title}) is {job.state}{more}")
        self._is_open = False
        if job.state in ENDED_STATES and (known is None or known[0] != job.state):
            self.failed = self.failed or job.state == "failed"
            if self._as_json:
                typer.echo(json.dumps(asdict(job), ensure_ascii=False))
                sys.stdout.flush()

    def _on_progress(self, step: JobStepProgress) -> None:
        tokens = f" {step.done:,} of {step.total:,} tokens" if step.total else ""
        speed = f", {step.tokens_per_second:,.0f} tok/s" if step.tokens_per_second else ""
        left = f", {step.eta_seconds / 60:,.0f} min left" if step.eta_seconds is not None else ""
        say(f"\r\x1b[KStep {step.step} {step.words}{tokens}{speed}{left}", end="")
        self._is_open = True
