"""The parts that know nothing of Qt, put together for one window."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from m1desk.chat import ConversationStore, TurnRunner, build_request
from m1desk.engines import EngineMonitor, LlamaEngine, calibrate, remembered_calibration
from m1desk.engines.greeting import write_greeting_model
from m1desk.hardware import probe_machine
from m1desk.store import Measurements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from m1desk.engines import CalibrationProgress, EngineCalibration, EngineRates
    from m1desk.engines.turn import ChatRequest, TurnEvent
    from m1desk.hardware import Machine, Sampler
    from m1desk.store import Database, Folders


class EngineSource:
    """Answers turns with whatever model the engine runs when it is asked."""

    def __init__(self, engine: LlamaEngine) -> None:
        self._engine = engine

    @property
    def model(self) -> str:
        """The loaded model's name."""
        return self._engine.status.model_name

    async def stream_turn(self, request: ChatRequest) -> AsyncIterator[TurnEvent]:
        """Stream the answer; raises EngineFailed when no model is ready."""
        async with aclosing(self._engine.client().stream_turn(request)) as events:
            async for event in events:
                yield event


class Core:
    """Store, turns and engine; used on one asyncio loop.

    `post` takes every event, on the loop's thread, and must not block.
    """

    def __init__(
        self, folders: Folders, database: Database, post: Callable[[object], None]
    ) -> None:
        self.folders = folders
        self.measurements = Measurements(database)
        self.store = ConversationStore(database)
        self.runner = TurnRunner(self.store, post)
        self.engine = LlamaEngine(folders, self.measurements, post)
        self.source = EngineSource(self.engine)
        self.sampler: Sampler | None = None
        self._rates = EngineMonitor()

    async def rates(self) -> EngineRates | None:
        """How fast the engine works now, None when none answers."""
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
        """End every answer, then the engine."""
        await self.runner.stop_all()
        await self.engine.unload()

    async def calibrate(
        self, on_progress: Callable[[CalibrationProgress], None]
    ) -> EngineCalibration:
        """Measure the engine and remember what was found."""
        return await calibrate(self.folders, self.measurements, on_progress)

    def calibration(self) -> EngineCalibration | None:
        """What was measured before; raises StorageError."""
        return remembered_calibration(self.measurements)

    def write_greeting_model(self) -> Path:
        """Make the tiny model of a first start; blocks; raises EngineFailed."""
        return write_greeting_model(self.folders.cache)

    def probe(self) -> Machine:
        """Look at the machine; blocks."""
        folders = self.folders
        return probe_machine([folders.models, folders.data], measurements=self.measurements)
