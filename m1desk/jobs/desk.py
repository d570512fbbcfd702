"""What a runner of jobs asks of the program around it: an engine, and how things are outside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import psutil

from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    from m1desk.engines import Effort, EngineClient, LlamaSettings
    from m1desk.jobs.loads import SpeedForecast
    from m1desk.jobs.values import EngineChoice


class EngineTaken(M1DeskError):
    """The engine can't be had now, because a person works with it; `what` is the job's note."""


@dataclass(frozen=True, slots=True)
class JobEngine:
    """An engine that a job may use until it gives it back.

    Attributes:
        model: its name.
        context_tokens: its context length; 0 when it does not say.
        settings: what the model was loaded with; None for a server.
        keeps_states: whether it keeps documents that it has read (`EngineClient.prepare`).
        forecast: how fast it will be; None where that is not known.
        effort: what its processes have done so far; None where they can't be seen.
        limits_thinking: whether it ends a model's thinking after a number of tokens.
    """

    client: EngineClient
    model: str
    context_tokens: int
    settings: LlamaSettings | None = None
    keeps_states: bool = False
    forecast: SpeedForecast | None = None
    effort: Callable[[], Effort] | None = None
    limits_thinking: bool = True


class EngineDesk(Protocol):
    """Hands out engines. Used on one asyncio loop."""

    def refusal(self, choice: EngineChoice) -> str:
        """Say why this engine can't be had now, as a note for the job; "" when it can."""

    def engine(
        self, choice: EngineChoice, needed_tokens: int
    ) -> AbstractAsyncContextManager[JobEngine]:
        """Lend an engine, loaded if need be, with room for a prompt of so many tokens.

        An EngineFailed or EngineUnreachable that ends the loan means that the engine is no good
        any more. One that the job had loaded stays loaded for the next job, until `settle`.

        Raises:
            EngineTaken: a person works with another model.
            BadInput: there is no such model or server, or it can't be loaded as it should.
            EngineFailed, EngineUnreachable: it did not start, or does not answer.
        """

    async def settle(self, *, closing: bool = False) -> None:
        """Unload what was loaded for jobs: none needs it now, or all work ends (`closing`)."""


class Surroundings(Protocol):
    """How things are around the queue."""

    def is_idle(self, *, while_working: bool) -> bool:
        """Whether nobody chats and, unless a job is at work, the machine has little to do."""

    def is_on_mains(self) -> bool:
        """Whether the machine is not on its battery."""


def is_on_mains() -> bool:
    """Ask the system; a machine without a battery is always on mains."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return battery is None or battery.power_plugged is not False
