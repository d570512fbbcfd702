"""The engine of this machine: llama.cpp or vLLM, whichever the model's settings are for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from m1desk.engines.llama import LlamaEngine
from m1desk.engines.status import EngineStatus, LlamaSettings
from m1desk.engines.vllm.engine import VllmEngine
from m1desk.engines.vllm.settings import VllmSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.engines.calibration import MeasurementStore
    from m1desk.engines.client import EngineClient
    from m1desk.fit import PlanMachine
    from m1desk.store import Folders

LocalSettings = LlamaSettings | VllmSettings


class LocalEngine:
    """Loads one model at a time, with one of two engines. Use it on one asyncio loop.

    It is as a `ManagedEngine`: nothing here raises because of a model or an engine.
    """

    def __init__(
        self,
        folders: Folders,
        measurements: MeasurementStore,
        machine: Callable[[], PlanMachine],
        on_status: Callable[[EngineStatus], None],
    ) -> None:
        """Prepare; nothing is started.

        Args:
            folders: for the logs and the records of the runs.
            measurements: where the calibration of this machine is remembered.
            machine: looks at this machine as it is now; may block.
            on_status: called on the loop with every new status.
        """
        self._on_status = on_status
        self._llama = LlamaEngine(folders, measurements, partial(self._tell, LlamaEngine))
        self._vllm = VllmEngine(folders, machine, partial(self._tell, VllmEngine))
        self._chosen: LlamaEngine | VllmEngine = self._llama
        self._wishes = 0

    @property
    def status(self) -> EngineStatus:
        """The engine as it is now."""
        return self._chosen.status

    @property
    def settings(self) -> LocalSettings | None:
        """What the model that is ready was loaded with; None while none is."""
        return self._chosen.settings

    def log_lines(self) -> tuple[str, ...]:
        """Return the last lines the engine wrote, oldest first; at most 200."""
        return self._chosen.log_lines()

    def client(self) -> EngineClient:
        """Return the client of the loaded model; it is closed when the model is unloaded.

        Raises:
            EngineFailed: no model is ready.
        """
        return self._chosen.client()

    async def load(self, settings: LocalSettings) -> EngineStatus:
        """Load a model in place of what is loaded, by either engine; as `ManagedEngine.load`."""
        self._wishes += 1
        wish = self._wishes
        if isinstance(settings, VllmSettings):
            self._chosen = self._vllm
            await self._llama.unload()
            return await self._vllm.load(settings) if wish == self._wishes else self.status
        self._chosen = self._llama
        await self._vllm.unload()
        return await self._llama.load(settings) if wish == self._wishes else self.status

    async def unload(self) -> None:
        """End the engine, also in the middle of its start; returns when nothing is left of it."""
        self._wishes += 1
        await asyncio.gather(self._llama.unload(), self._vllm.unload())

    def _tell(self, kind: type[LlamaEngine | VllmEngine], status: EngineStatus) -> None:
        """Pass on what the chosen engine says; the other one can only be ending."""
        if isinstance(self._chosen, kind):
            self._on_status(status)
