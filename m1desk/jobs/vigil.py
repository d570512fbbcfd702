"""Whether the engine that works on a step still does anything: by what it does, not by time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
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
    """Watches an engine during a step.

    An engine of this machine is stuck when for a while nothing came of it, its counters did not
    change, and its processes did nothing. A server is stuck when for a while nothing came and it
    does not even answer.
    """

    def __init__(self, engine: JobEngine, patience: Patience) -> None:
        self._engine = engine
        self._patience = patience
        self._watch = ProgressWatch(patience)
        self._heard = 0
        self._answered = 0

    def hear(self) -> None:
        """Note that something came of the engine."""
        self._heard += 1

    async def over(self, step: Coroutine[object, object, _Result]) -> _Result:
        """Await a step; raises EngineFailed, and ends it, when the engine is stuck."""
        task = asyncio.ensure_future(step)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=self._patience.sample_seconds)
                if done:
                    return task.result()
                if self._watch.is_stuck(await self._effort()):
                    raise self._stuck()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _effort(self) -> Effort:
        heard = self._heard + await self._answers()
        measure = self._engine.effort
        if measure is None:
            return Effort(time.monotonic(), heard, 0.0, 0, 0)
        return replace(await asyncio.to_thread(measure), heard=heard)

    async def _answers(self) -> int:
        """Return a number that changes with what the engine does."""
        client = self._engine.client
        try:
            async with asyncio.timeout(min(_ANSWER_SECONDS, self._patience.silence_seconds)):
                if self._engine.settings is None:
                    await client.models()
                    self._answered += 1
                else:
                    counted = await client.metrics()
                    self._answered = counted.prompt_tokens + counted.generated_tokens
        except (M1DeskError, TimeoutError):
            pass  # then it is as it was
        return self._answered

    def _stuck(self) -> EngineFailed:
        return EngineFailed(
            "The engine has stopped working.",
            f"For {self._patience.silence_seconds:.0f} seconds it has sent nothing, counted "
            "nothing, and its processes did nothing.",
            "It is started again by itself; if that happens often, look into its log.",
        )
