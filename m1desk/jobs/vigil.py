"""Whether the engine that works on a step still does anything: by what it does, not by time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from m1desk.engines import Effort, Patience, ProgressWatch
from m1desk.errors import EngineFailed, M1DeskError

if TYPE_CHECKING:
    from m1desk.jobs.desk import JobEngine

JOB_PATIENCE: Final = Patience(silence_seconds=180.0, sample_seconds=5.0)
"""Longer than for a start: a chunk of a prompt at a great depth may take minutes."""

_ANSWER_SECONDS: Final = 20.0

_Result = TypeVar("_Result")


class Vigil:
    """Watches an engine of this machine during a step.

    It is stuck when for a while nothing came of it, its counters did not change, and its processes
    did nothing. Over a server its own client watches: see `engines/remote/watchdog.py`.
    """

    def __init__(self, engine: JobEngine, patience: Patience) -> None:
        self._engine = engine
        self._patience = patience
        self._watch = ProgressWatch(patience)
        self._heard = 0
        self._counted = 0

    def hear(self) -> None:
        """Note that something came of the engine."""
        self._heard += 1

    async def over(self, step: Coroutine[object, object, _Result]) -> _Result:
        """Await a step; raises EngineFailed, and ends it, when the engine is stuck."""
        measure = self._engine.effort
        if measure is None:
            return await step
        task = asyncio.ensure_future(step)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=self._patience.sample_seconds)
                if done:
                    return task.result()
                if self._watch.is_stuck(await self._effort(measure)):
                    raise self._stuck()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _effort(self, measure: Callable[[], Effort]) -> Effort:
        heard = self._heard + await self._count()
        return replace(await asyncio.to_thread(measure), heard=heard)

    async def _count(self) -> int:
        """Return a number that changes with what the engine does."""
        try:
            async with asyncio.timeout(min(_ANSWER_SECONDS, self._patience.silence_seconds)):
                counted = await self._engine.client.metrics()
        except (M1DeskError, TimeoutError):
            return self._counted
        self._counted = counted.prompt_tokens + counted.generated_tokens
        return self._counted

    def _stuck(self) -> EngineFailed:
        return EngineFailed(
            "The engine has stopped working.",
            f"For {self._patience.silence_seconds:.0f} seconds it has sent nothing, counted "
            "nothing, and its processes did nothing.",
            "It is started again by itself; if that happens often, look into its log.",
        )
