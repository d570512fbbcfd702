"""An engine's client that says what it was told to, for tests of what is above it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from m1desk.engines.turn import TurnFinished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from m1desk.engines.turn import ChatRequest, TurnEvent

FINISHED = TurnFinished("stop", 1200, 300, 1000, 0.42, 38.1, 900.0)


class ScriptedSource:
    """Yields the given events for every request; then fails, waits for ever, or ends."""

    model = "tiny-llama"

    def __init__(
        self, *events: TurnEvent, error: Exception | None = None, wait: bool = False
    ) -> None:
        self.events = events
        self.error = error
        self.wait = wait
        self.requests: list[ChatRequest] = []

    async def stream_turn(self, request: ChatRequest) -> AsyncIterator[TurnEvent]:
        """Stream the events."""
        self.requests.append(request)
        for event in self.events:
            yield event
            await asyncio.sleep(0)
        if self.wait:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
