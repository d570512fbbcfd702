"""The managed engine as the window sees it: its status, and what can be asked of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from PySide6.QtCore import QObject, Signal

from m1desk.engines.status import EngineState, EngineStatus
from m1desk.engines.vllm.settings import VllmSettings
from m1desk.errors import M1DeskError
from m1desk.ui.viewmodels.model_entries import model_title

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from m1desk.engines import LocalSettings
    from m1desk.ui.bridge import Bridge, Submission

SAFER_CONTEXT_TOKENS: Final = 4096
SAFER_GPU_SHARE: Final = 0.82


class ManagedEngine(Protocol):
    """What the window needs of an engine; `LocalEngine` is one."""

    @property
    def status(self) -> EngineStatus:
        """The engine as it is now."""

    def load(self, settings: LocalSettings) -> Coroutine[Any, Any, object]:
        """Load a model in place of another; what goes wrong is told by `status`."""

    def unload(self) -> Coroutine[Any, Any, object]:
        """Stop; returns when nothing is left of it."""

    def log_lines(self) -> tuple[str, ...]:
        """The last lines the engine wrote."""


class EngineViewModel(QObject):
    """Hands loads and unloads to the loop thread and tells what became of them.

    `before_load` is awaited on the loop before each load.

    Signals:
        status_changed: the new EngineStatus.
        load_wished: settings (LocalSettings) that were asked for, before anything happened.
        unload_wished: the engine is to stop; likewise before anything happened.
        refused: an M1DeskError that a load or unload raised.
        loaded: the settings (LocalSettings) with which a model became ready.
    """

    status_changed = Signal(object)
    load_wished = Signal(object)
    unload_wished = Signal()
    refused = Signal(object)
    loaded = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        engine: ManagedEngine,
        before_load: Callable[[], Awaitable[object]] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._engine = engine
        self._before_load = before_load
        self._work: Submission | None = None
        self._status = engine.status
        self._settings: LocalSettings | None = None
        bridge.events.connect(self._on_events)

    @property
    def status(self) -> EngineStatus:
        """The last status that reached the window."""
        return self._status

    @property
    def settings(self) -> LocalSettings | None:
        """The settings of the last load that was asked for."""
        return self._settings

    @property
    def log_lines(self) -> tuple[str, ...]:
        """The last lines the engine wrote."""
        return self._engine.log_lines()

    def load(self, settings: LocalSettings) -> None:
        """Load a model in place of the one that runs, if one does."""
        self._settings = settings
        self.load_wished.emit(settings)
        self._take(_wished(settings))  # seen at once, whatever has to be waited for first
        self._work = self._bridge.submit(
            self._load(settings), on_done=self._on_loaded, on_error=self._on_failed
        )

    def load_again(self) -> None:
        """Load the last model as it was loaded."""
        if self._settings is not None:
            self.load(self._settings)

    def load_safely(self) -> None:
        """Load the last model with settings that ask less of the machine."""
        if self._settings is not None:
            self.load(safer(self._settings))

    def unload(self) -> None:
        """Stop the engine; a load under way is given up."""
        self.unload_wished.emit()
        if self._work is not None:
            self._work.cancel()
            self._work = None
        self._bridge.submit(
            self._engine.unload(), on_done=self._on_unloaded, on_error=self._on_failed
        )

    async def _load(self, settings: LocalSettings) -> LocalSettings:
        if self._before_load is not None:
            await self._before_load()
        await self._engine.load(settings)
        return settings

    def _on_events(self, events: tuple[object, ...]) -> None:
        statuses = [event for event in events if isinstance(event, EngineStatus)]
        if statuses:
            self._take(statuses[-1])

    def _take(self, status: EngineStatus) -> None:
        self._status = status
        self.status_changed.emit(status)

    def _on_loaded(self, settings: LocalSettings) -> None:
        self._take(self._engine.status)
        if self._status.is_ready and self._status.model_path == settings.model_path:
            self.loaded.emit(settings)

    def _on_unloaded(self, _result: object) -> None:
        self._take(self._engine.status)

    def _on_failed(self, error: Exception) -> None:
        self._take(self._engine.status)
        if not isinstance(error, M1DeskError):
            raise error
        # A failed engine's status carries the same account, with the end of its log.
        if self._status.failure is None:
            self.refused.emit(error)


def _wished(settings: LocalSettings) -> EngineStatus:
    path = settings.model_path
    if isinstance(settings, VllmSettings):
        engine, name = "vLLM", settings.name
    else:
        engine, name = "llama.cpp", model_title(path)
    return EngineStatus(
        EngineState.STARTING,
        model_path=path,
        model_name=name,
        engine=engine,
        asked_context_tokens=settings.context_tokens,
        parallel=settings.parallel,
    )


def safer(settings: LocalSettings) -> LocalSettings:
    """The same model with a short context, one request at a time, and what is slow but simple.

    For llama.cpp no GPU and plain kernels; for vLLM nothing compiled, and more of each GPU left to
    others.
    """
    if isinstance(settings, VllmSettings):
        shorter = min(settings.context_tokens, SAFER_CONTEXT_TOKENS)
        return replace(
            settings,
            wish=replace(settings.wish, context_tokens=shorter, parallel=1),
            is_eager=True,
            gpu_memory_share=min(settings.gpu_memory_share, SAFER_GPU_SHARE),
        )
    return replace(
        settings,
        context_tokens=min(settings.context_tokens, SAFER_CONTEXT_TOKENS),
        parallel=1,
        gpu_layers=0,
        kv_type="f16",
        ubatch_tokens=min(settings.ubatch_tokens, 256),
        flash_attention=None,
        extra_buffers=False,
    )
