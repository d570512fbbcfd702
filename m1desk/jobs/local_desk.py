"""Lends jobs the one engine of this machine, which a person may be using, or a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.engines import LlamaSettings, measure_effort
from m1desk.errors import BadInput, EngineFailed, EngineUnreachable, M1DeskError
from m1desk.jobs.desk import EngineTaken, JobEngine
from m1desk.models import read_gguf_header

if TYPE_CHECKING:
    from m1desk.engines import EngineFailure, LocalEngine, LocalSettings
    from m1desk.jobs.loads import SpeedForecast
    from m1desk.jobs.person import Person
    from m1desk.jobs.servers import JobServers
    from m1desk.jobs.values import EngineChoice

_log = logging.getLogger(__name__)

_CHAT_TOKENS: Final = 4096
"""Room in the context for a person's chat beside a job."""

_LEAST_PARALLEL: Final = 2
"""Requests served at once: a job leaves one for a person's chat."""

_CONTEXT_STEP: Final = 1024
_HOPELESS: Final = frozenset(
    {"not_found", "bad_model_file", "unknown_architecture", "bad_settings"}
)
"""Reasons of a failed load that don't go away by trying again."""


class LocalDesk:
    """An `EngineDesk` over a LocalEngine that may have other users; used on one asyncio loop."""

    def __init__(
        self,
        engine: LocalEngine,
        person: Person,
        usual_model: Callable[[], Path | None],
        forecast: Callable[[LlamaSettings], SpeedForecast | None],
        servers: JobServers,
    ) -> None:
        """Prepare; nothing is loaded.

        Args:
            engine: the engine of this machine.
            person: says whether its model is used by somebody.
            usual_model: the model of jobs that name none when none is loaded; None: they wait.
            forecast: says how fast a model will be, None if that is not known; may block.
            servers: lends servers elsewhere.
        """
        self._engine = engine
        self._person = person
        self._usual_model = usual_model
        self._forecast = forecast
        self._servers = servers
        self._ours: LocalSettings | None = None
        self._keep = False
        self._theirs: LocalSettings | None = None
        self._is_owed = False  # theirs, because a job's model is not there, not by their own act
        self._seen: LocalSettings | None = None

    def refusal(self, choice: EngineChoice) -> str:
        """Say why this engine can't be had now, as a note for the job; "" when it can."""
        if choice.server:
            return ""
        status, here = self._engine.status, self._engine.settings
        self._notice_person()
        if status.is_busy_starting:
            return "waits until a model is loaded that was chosen just now"
        if choice.settings is None:
            known = here is not None or self._usual_model() is not None
            return "" if known else "waits until a model is loaded"
        if here is not None and not self._is_free(here) and not _is_same(here, choice.settings):
            return f"waits while somebody works with {status.model_name}"
        return ""

    @asynccontextmanager
    async def engine(self, choice: EngineChoice, needed_tokens: int) -> AsyncIterator[JobEngine]:
        """Lend an engine with room for so many tokens; see `EngineDesk`."""
        if choice.server:
            async with self._servers.engine(choice.server) as lent:
                yield lent
            return
        settings = await self._load(choice, needed_tokens)
        client, status = self._engine.client(), self._engine.status
        try:
            yield JobEngine(
                client=client,
                model=status.model_name,
                context_tokens=status.context_tokens,
                settings=settings if isinstance(settings, LlamaSettings) else None,
                keeps_states=await client.supports_prepared(),
                forecast=await self._forecast_of(settings),
                effort=partial(measure_effort, status.pid, 0),
            )
        except (EngineFailed, EngineUnreachable):
            self._is_owed = self._engine.status.failure is not None
            if self._engine.settings is settings:  # it lives, and is of no use
                await self._engine.unload()
                self._is_owed = True
            raise

    async def settle(self, *, closing: bool = False) -> None:
        """Unload what was loaded for jobs, and load again what a person had before.

        Nothing is loaded when `closing`. What a person has begun to use meanwhile stays, and what
        they have unloaded stays unloaded.
        """
        ours, self._ours = self._ours, None
        theirs, self._theirs = self._theirs, None
        is_owed, self._is_owed = self._is_owed, False
        here = self._engine.settings
        is_ours = here is not None and here is ours
        if is_ours and (self._keep or self._person.is_active()):
            self._seen = ours
            return
        is_gone = here is None and is_owed and not self._engine.status.is_busy_starting
        if theirs is not None and not closing and (is_ours or is_gone):
            await self._engine.load(theirs)
            self._seen = self._engine.settings
        elif is_ours:
            await self._engine.unload()

    # -- within ------------------------------------------------------------------------------------

    async def _load(self, choice: EngineChoice, needed_tokens: int) -> LocalSettings:
        """See to it that the right model is ready; returns what it was loaded with."""
        here = self._engine.settings
        wanted = choice.settings or here or self._usual_settings()
        if here is not None and _is_same(here, wanted) and self._has_room(wanted, needed_tokens):
            return here
        reason = self.refusal(choice)
        if not reason and here is not None and not self._is_free(here):
            reason = (
                f"waits while somebody works with {self._engine.status.model_name}: "
                f"its context of {here.context_tokens:,} tokens is too short for this job"
            )
        if not reason and not isinstance(wanted, LlamaSettings):
            reason = (
                f"waits: {self._engine.status.model_name} under vLLM has a context of "
                f"{self._engine.status.context_tokens:,} tokens, which is too short for this job"
            )
        if reason or not isinstance(wanted, LlamaSettings):
            raise EngineTaken(reason)
        if here is not None and here is not self._ours:
            self._theirs = here
        settings = await _fitted(wanted, needed_tokens)
        self._is_owed = True  # until ours is here, and when it never comes
        status = await self._engine.load(settings)
        if status.failure is not None:
            raise _failed(status.failure)
        self._is_owed = False
        if self._engine.settings is not settings:
            raise EngineTaken("waits: another model was loaded just now")
        self._ours, self._keep = settings, not choice.unload_after
        return settings

    def _usual_settings(self) -> LlamaSettings:
        path = self._usual_model()
        if path is None:
            raise EngineTaken("waits until a model is loaded")
        return LlamaSettings(path, context_tokens=0)

    def _has_room(self, wanted: LocalSettings, needed_tokens: int) -> bool:
        here = self._engine.status.context_tokens
        return here >= (wanted.context_tokens or needed_tokens)

    def _is_free(self, here: LocalSettings) -> bool:
        """Whether a loaded model may be put away."""
        return here is self._ours or not self._person.is_active()

    def _notice_person(self) -> None:
        """Take a model that a person has loaded as a sign that they want to use it."""
        here = self._engine.settings
        if here is not None and here is not self._ours and here is not self._seen:
            self._seen = here
            self._person.note()

    async def _forecast_of(self, settings: LocalSettings) -> SpeedForecast | None:
        if not isinstance(settings, LlamaSettings):
            return None
        try:
            return await asyncio.to_thread(self._forecast, settings)
        except M1DeskError as error:
            _log.info("how fast the model will be is not known: %s", error)
            return None


def _is_same(here: LocalSettings, wanted: LocalSettings) -> bool:
    return (here.model_path, here.kv_type) == (wanted.model_path, wanted.kv_type)


async def _fitted(wanted: LlamaSettings, needed_tokens: int) -> LlamaSettings:
    """Choose the context where that was left open, and leave a sequence for a person."""
    context = wanted.context_tokens
    if not context:
        context = -(-(needed_tokens + _CHAT_TOKENS) // _CONTEXT_STEP) * _CONTEXT_STEP
        trained = await asyncio.to_thread(_trained_context, wanted.model_path)
        context = min(context, trained) if trained else context
    return replace(wanted, context_tokens=context, parallel=max(_LEAST_PARALLEL, wanted.parallel))


def _trained_context(path: Path) -> int | None:
    if not path.is_file():
        raise BadInput(
            f"There is no file {path}.",
            "It was moved or deleted, or the disk it is on is not there.",
            "Put it back or download it again, then retry the job.",
        )
    return read_gguf_header(path).context_tokens


def _failed(failure: EngineFailure) -> M1DeskError:
    kind = BadInput if failure.reason in _HOPELESS else EngineFailed
    return kind(failure.what, failure.why, failure.todo)
