"""An engine for the length of one command: found, calibrated, loaded, and surely unloaded."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from m1desk.engines import (
    EngineState,
    EngineStatus,
    LlamaEngine,
    LlamaSettings,
    calibrate,
    measured_speeds,
    note_answer,
    remembered_calibration,
    sweep_leftovers,
)
from m1desk.errors import EngineFailed, M1DeskError
from m1desk.hardware import probe_machine
from m1desk.store import Database, Folders, Measurements

_LINE: Final = 72

if TYPE_CHECKING:
    from m1desk.engines import CalibrationProgress
    from m1desk.engines.turn import TurnFinished
    from m1desk.hardware import Machine


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    engine: LlamaEngine
    failed: asyncio.Event
    folders: Folders
    measurements: Measurements
    probing: asyncio.Task[Machine] | None = None

    async def reload(self, settings: LlamaSettings) -> None:
        """Load the model again with other settings; clients made before are closed by that.

        Raises:
            EngineFailed: it did not load.
        """
        await self.engine.load(settings)
        raise_if_failed(self.engine.status)

    async def keep_speed(self, finished: TurnFinished) -> None:
        """Keep how fast an answer was beside what was predicted, for later predictions."""
        settings = self.engine.settings
        if self.probing is None or settings is None or not any(measured_speeds(finished)):
            return
        machine = await self.probing
        try:
            await asyncio.to_thread(
                note_answer, self.measurements, lambda: machine, settings, finished
            )
        except M1DeskError as error:  # the answer is there all the same
            say(f"How fast it was is not kept. {error}")


def say(text: str, *, end: str = "\n") -> None:
    """Tell the person at the terminal; standard output is for results."""
    sys.stderr.write(text + end)
    sys.stderr.flush()


@asynccontextmanager
async def engine_session(
    settings: LlamaSettings, *, keeps_speeds: bool = False
) -> AsyncIterator[Session]:
    """Load a model for the body of the `async with`.

    `keeps_speeds` has the machine looked at meanwhile, before the model takes its memory.

    Raises:
        EngineFailed: the model did not load.
        M1DeskError: the folders or the database can't be used.
    """
    folders = Folders.resolve()
    sweep_leftovers(folders)
    database = Database(folders.database)
    failed = asyncio.Event()
    progress = LoadProgress(failed)
    try:
        measurements = Measurements(database)
        await calibrate_once(folders, measurements)
        probing = None
        if keeps_speeds:
            probe = partial(probe_machine, (folders.models,), measurements=measurements)
            probing = asyncio.create_task(asyncio.to_thread(probe))
        engine = LlamaEngine(folders, measurements, progress)
        try:
            await engine.load(settings)
            raise_if_failed(engine.status)
            yield Session(engine, failed, folders, measurements, probing)
        finally:
            await engine.unload()
            if probing is not None:
                await asyncio.wait({probing})
    finally:
        database.close()


async def calibrate_once(folders: Folders, measurements: Measurements) -> None:
    """Test and measure the engine if that was never done on this machine; raises M1DeskError."""
    if remembered_calibration(measurements) is None:
        say("First start on this machine: testing the engine and measuring (about 10 s) ...")
        await calibrate(folders, measurements, say_calibration)


def say_calibration(progress: CalibrationProgress) -> None:
    """Tell how far a calibration is."""
    best = f", best so far {progress.best_decode_tokens_per_second:.0f} tok/s"
    words = {
        "self_test": "computing with all of the processor's instructions",
        "self_test_safe": "that ended the engine here; trying the safe settings",
        "measuring": f"measuring ({progress.measured} settings{best if progress.measured else ''})",
        "done": "done",
    }
    say(f"  {words[progress.stage]}")


def raise_if_failed(status: EngineStatus) -> None:
    """Raise EngineFailed for an engine that did not come up."""
    failure = status.failure
    if failure is not None:
        raise EngineFailed(failure.what, failure.why, failure.todo)


class LoadProgress:
    """Shows the load on a terminal as one line that grows, and notices an engine that dies."""

    def __init__(self, failed: asyncio.Event) -> None:
        self._failed = failed
        self._shown = False

    def __call__(self, status: EngineStatus) -> None:
        """Take the engine's next status."""
        if status.state is EngineState.FAILED:
            self._failed.set()
        if not sys.stderr.isatty():
            return
        if status.state is EngineState.LOADING:
            self._shown = True
            stage = f" {status.load_stage}" if status.load_stage else ""
            line = f"Loading {status.model_name} ... {status.load_fraction:4.0%}{stage}"
            say(f"\r{line:<{_LINE}}", end="")
        elif self._shown:
            self._shown = False
            say("")
