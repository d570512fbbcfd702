"""An engine in a guarded child process, one at a time: what all such engines have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from m1desk.engines.client import EngineClient
from m1desk.engines.log import EngineLog
from m1desk.engines.progress import Patience
from m1desk.engines.states import StatusBoard
from m1desk.engines.status import EngineFailure, EngineState, EngineStatus
from m1desk.engines.supervisor import Supervisor
from m1desk.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.engines.failure import LoadFacts
    from m1desk.engines.manner import Manner
    from m1desk.engines.spec import EngineSpec
    from m1desk.engines.status import Endpoint
    from m1desk.store import Folders

SettingsT = TypeVar("SettingsT")


class ManagedEngine(ABC, Generic[SettingsT]):
    """Loads one model at a time and says how it is. Use it on one asyncio loop.

    Nothing here raises because of a model or an engine: what went wrong is in `status.failure`.
    """

    def __init__(
        self,
        folders: Folders,
        on_status: Callable[[EngineStatus], None],
        *,
        log_name: str,
        patience: Patience,
    ) -> None:
        """Prepare; nothing is started.

        Args:
            folders: for the log and the records of the runs.
            on_status: called on the loop with every new status.
            log_name: of the file in the folder of logs.
            patience: when an engine that does nothing counts as stuck.
        """
        self._folders = folders
        self._patience = patience
        self._board = StatusBoard(on_status)
        self._log = EngineLog(folders.logs / log_name)
        self._turn = asyncio.Lock()
        self._wishes = 0
        self._supervisor: Supervisor | None = None
        self._client: EngineClient | None = None
        self._settings: SettingsT | None = None

    @property
    def status(self) -> EngineStatus:
        """The engine as it is now."""
        return self._board.status

    @property
    def settings(self) -> SettingsT | None:
        """What the model that is ready was loaded with; None while none is."""
        return self._settings if self.status.is_ready else None

    @property
    def log_path(self) -> Path:
        """The file with all that engines wrote; older parts end in .1, .2, .3."""
        return self._log.path

    def log_lines(self) -> tuple[str, ...]:
        """Return the last lines engines wrote, oldest first; at most 200."""
        return self._log.tail()

    def client(self) -> EngineClient:
        """Return the client of the loaded model; it is closed when the model is unloaded.

        Raises:
            EngineFailed: no model is ready.
        """
        endpoint = self.status.endpoint
        if endpoint is None:
            raise _not_ready(self.status)
        if self._client is None:
            self._client = self._make_client(endpoint)
        return self._client

    async def load(self, settings: SettingsT) -> EngineStatus:
        """Load a model in place of what is loaded; returns when it is READY or FAILED.

        STOPPED is returned when `unload` or another `load` came in between. There is no time
        limit: an engine fails here by ending, or by doing nothing at all. When this is cancelled,
        the engine is ended.
        """
        wish = await self._interrupt()
        async with self._turn:
            await self._close_client()
            if wish != self._wishes:
                return self.status
            self._board.start_over(self._starting(settings))
            try:
                await self._load(settings, wish)
            finally:  # outdated or cancelled before there was a process
                if self.status.is_busy_starting:
                    self._board.move(EngineState.STOPPING)
                    self._board.start_over(EngineStatus(EngineState.STOPPED))
            return self.status

    async def unload(self) -> None:
        """End the engine, also in the middle of its start; returns when nothing is left of it."""
        await self._interrupt()
        async with self._turn:
            await self._close_client()
            if self._board.allows(EngineState.STOPPED):
                self._board.start_over(EngineStatus(EngineState.STOPPED))

    @abstractmethod
    def _starting(self, settings: SettingsT) -> EngineStatus:
        """The first status of a run."""

    @abstractmethod
    def _refuse(self, settings: SettingsT) -> EngineFailure | None:
        """Say why it can't work before a process is made for it; may block."""

    @abstractmethod
    def _prepare(self, settings: SettingsT) -> tuple[EngineSpec, LoadFacts, Manner]:
        """Say what to start, what that is called in the words of a failure, and how it speaks."""

    def _make_client(self, endpoint: Endpoint) -> EngineClient:
        return EngineClient(endpoint)

    async def _before_end(self) -> None:
        """Do what must come before a running engine is ended."""

    async def _interrupt(self) -> int:
        """End what runs or starts, and outdate older wishes; returns the number of this one."""
        self._wishes += 1
        wish = self._wishes
        if self._supervisor is not None:
            await self._before_end()
            await self._supervisor.stop()
        return wish

    async def _load(self, settings: SettingsT, wish: int) -> None:
        failure = await asyncio.to_thread(self._refuse, settings)
        if wish != self._wishes:
            return
        if failure is not None:
            self._board.move(EngineState.FAILED, failure=failure)
            return
        self._settings = settings
        spec, facts, manner = self._prepare(settings)
        self._log.add(f"--- {' '.join(spec.argv)}")
        self._supervisor = Supervisor(
            spec,
            facts,
            runs=self._folders.runs,
            log=self._log,
            board=self._board,
            patience=self._patience,
            manner=manner,
        )
        await self._supervisor.start()

    async def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _not_ready(status: EngineStatus) -> EngineFailed:
    failure = status.failure
    if failure is not None:
        return EngineFailed(failure.what, failure.why, failure.todo)
    if status.is_busy_starting:
        return EngineFailed("The model is still loading.", "", "Wait until it is ready.")
    return EngineFailed("No model is loaded.", "", "Load a model first.")
