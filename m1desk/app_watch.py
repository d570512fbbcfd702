"""Which answers had the engine to themselves: only those say how fast it is."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from m1desk.engines.turn import TurnFinished

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from m1desk.documents import AnsweringClient
    from m1desk.engines import CheckpointPlan, LocalSettings, PrepareEvent
    from m1desk.engines.turn import ChatMessage, ChatRequest, TurnEvent

_Event = TypeVar("_Event")


class AnswerWatch:
    """Counts what the engine does at a time, for whomever; used on one asyncio loop.

    `on_alone` hears of each answer that was finished with nothing beside it, and what its model
    was loaded with.
    """

    def __init__(self, on_alone: Callable[[LocalSettings, TurnFinished], None]) -> None:
        self._on_alone = on_alone
        self._running = 0
        self._crowded = False

    async def watched(
        self, settings: LocalSettings | None, events: AsyncGenerator[_Event, None]
    ) -> AsyncGenerator[_Event, None]:
        """Pass on the events of an answer, or of anything else that the engine works on."""
        async with aclosing(events):
            self._running += 1
            self._crowded = self._crowded or self._running > 1
            try:
                async for event in events:
                    if isinstance(event, TurnFinished) and settings and not self._crowded:
                        self._on_alone(settings, event)
                    yield event
            finally:
                self._running -= 1
                self._crowded = self._crowded and self._running > 0


class WatchedClient:
    """A client whose answers and readings are watched; counting tokens takes no part in that."""

    def __init__(
        self, client: AnsweringClient, settings: LocalSettings, watch: AnswerWatch
    ) -> None:
        self._client = client
        self._settings = settings
        self._watch = watch

    @property
    def counts_exactly(self) -> bool:
        """Whether it counts as the model reads."""
        return self._client.counts_exactly

    async def count_text(self, text: str) -> int:
        """Count the tokens of a bare text; raises M1DeskError."""
        return await self._client.count_text(text)

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Count a conversation as the model would read it; raises M1DeskError."""
        return await self._client.count_tokens(messages)

    def stream_turn(self, request: ChatRequest) -> AsyncGenerator[TurnEvent, None]:
        """Answer, piece by piece; raises as the client does."""
        return self._watch.watched(self._settings, self._client.stream_turn(request))

    def prepare(
        self, name: str, messages: Sequence[ChatMessage], checkpoint: CheckpointPlan | None = None
    ) -> AsyncGenerator[PrepareEvent, None]:
        """Read the beginning of later prompts; raises as the client does."""
        events = self._client.prepare(name, messages, checkpoint)
        return self._watch.watched(self._settings, events)
