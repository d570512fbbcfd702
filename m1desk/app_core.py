"""The parts that know nothing of Qt, put together for one window."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from m1desk.app_asking import DocumentAsking
from m1desk.app_downloads import ModelDownloads
from m1desk.app_watch import AnswerWatch
from m1desk.chat import ConversationStore, TurnRunner, build_request
from m1desk.engines import (
    CheckpointDesk,
    EngineMonitor,
    LlamaSettings,
    LocalEngine,
    Servers,
    calibrate,
    forecast_of,
    measured_speeds,
    note_answer,
    remembered_calibration,
)
from m1desk.engines.environments.choice import apply_choice
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.errors import M1DeskError
from m1desk.fit import machine_from_probe
from m1desk.hardware import probe_machine
from m1desk.store import Measurements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from m1desk.engines import (
        CalibrationProgress,
        EngineCalibration,
        EngineRates,
        Forecast,
        LocalSettings,
        ServerInUse,
    )
    from m1desk.engines.turn import ChatRequest, TurnEvent, TurnFinished
    from m1desk.fit import PlanMachine
    from m1desk.hardware import Machine, Sampler
    from m1desk.store import Database, Folders

_log = logging.getLogger(__name__)


class EngineSource:
    """Answers turns with whatever model the engine runs when it is asked."""

    def __init__(self, engine: LocalEngine, watch: AnswerWatch) -> None:
        self._engine = engine
        self._watch = watch

    @property
    def model(self) -> str:
        """The loaded model's name."""
        return self._engine.status.model_name

    async def stream_turn(self, request: ChatRequest) -> AsyncIterator[TurnEvent]:
        """Stream the answer; raises EngineFailed when no model is ready."""
        answering = self._engine.client().stream_turn(request)
        async with aclosing(self._watch.watched(self._engine.settings, answering)) as events:
            async for event in events:
                yield event


class Core:
    """Store, turns, documents, engine and downloads; used on one asyncio loop.

    `post` takes every event, on the loop's thread, and must not block.
    """

    def __init__(
        self, folders: Folders, database: Database, post: Callable[[object], None]
    ) -> None:
        self.folders = folders
        apply_choice(folders)  # before anything asks the engine
        self.measurements = Measurements(database)
        self.store = ConversationStore(database)
        self.runner = TurnRunner(self.store, post)
        self.engine = LocalEngine(folders, self.measurements, self._machine_now, post)
        self.checkpoints = CheckpointDesk(EnvironmentStore.of(folders), self._machine_now)
        self.watch = AnswerWatch(self._on_answer)
        self.source = EngineSource(self.engine, self.watch)
        self.servers = Servers(database, folders, post)
        self.documents = DocumentAsking(
            database, folders.data / "prepared", self.engine, post, self.watch
        )
        self.downloads = ModelDownloads(database, folders.models, post)
        self.sampler: Sampler | None = None
        self._rates = EngineMonitor()
        self._rates_of: ServerInUse | None = None
        self._machine: Machine | None = None
        self._notes: set[asyncio.Task[None]] = set()

    async def rates(self) -> EngineRates | None:
        """How fast the engine or the server in use works now, None when none tells."""
        server = self.servers.in_use
        if server is not self._rates_of:
            self._rates.reset()
            self._rates_of = server
        if server is not None:
            counters = await server.metrics()
            return None if counters is None else self._rates.update(counters)
        if not self.engine.status.is_ready:
            self._rates.reset()
            return None
        return self._rates.update(await self.engine.client().metrics())

    async def count_tokens(self, conversation_id: int) -> int:
        """Have the engine count a conversation; raises M1DeskError when it can't."""
        conversation = self.store.get(conversation_id)
        request = build_request(conversation, self.store.path(conversation_id))
        return await self.engine.client().count_tokens(request.messages)

    async def wind_up(self) -> None:
        """End the transfers, every answer, then the engine."""
        try:
            await self.downloads.close()
        finally:
            await self.runner.stop_all()
            await self.documents.runner.stop_all()
            await self.servers.close()
            await self.engine.unload()
            await asyncio.gather(*self._notes)

    async def calibrate(
        self, on_progress: Callable[[CalibrationProgress], None]
    ) -> EngineCalibration:
        """Measure the engine and remember what was found."""
        return await calibrate(self.folders, self.measurements, on_progress)

    def calibration(self) -> EngineCalibration | None:
        """What was measured before; raises StorageError."""
        return remembered_calibration(self.measurements)

    def probe(self) -> Machine:
        """Look at the machine; blocks."""
        folders = self.folders
        found = probe_machine([folders.models, folders.data], measurements=self.measurements)
        self._machine = found
        return found

    def machine(self) -> Machine:
        """The machine, looked at once; blocks the first time."""
        return self._machine or self.probe()

    def _machine_now(self) -> PlanMachine:
        return machine_from_probe(self.probe())

    def forecast(self, settings: LlamaSettings) -> Forecast:
        """How fast a loaded model will be; blocks; raises ModelFileError, StorageError."""
        return forecast_of(self.measurements, self.machine(), settings)

    def _on_answer(self, settings: LocalSettings, finished: TurnFinished) -> None:
        """Keep, on a thread, how fast it was beside what was predicted, which is for llama.cpp."""
        if isinstance(settings, LlamaSettings) and any(measured_speeds(finished)):
            note = asyncio.create_task(asyncio.to_thread(self._note_speed, settings, finished))
            self._notes.add(note)
            note.add_done_callback(self._notes.discard)

    def _note_speed(self, settings: LlamaSettings, finished: TurnFinished) -> None:
        try:
            note_answer(self.measurements, self.machine, settings, finished)
        except M1DeskError as error:  # the answer is there all the same
            _log.warning("the speed of an answer was not kept: %s", error)
