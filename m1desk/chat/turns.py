"""Turns: a question goes to the engine, its answer streams into the database and to the window."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from m1desk.chat.answer import AnswerInProgress
from m1desk.chat.history import build_request
from m1desk.chat.values import TurnDelta, TurnEnded, TurnPrefill, TurnStarted
from m1desk.engines.turn import (
    PrefillProgress,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    TurnFinished,
)
from m1desk.errors import BadInput, EngineFailed, M1DeskError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from m1desk.chat.conversations import ConversationStore
    from m1desk.chat.values import DeltaKind, Message, MessageState, TurnNotice
    from m1desk.engines.turn import ChatRequest, TurnEvent

_log = logging.getLogger(__name__)

_SAVE_SECONDS: Final = 0.5


class TurnSource(Protocol):
    """Something that answers: the engine's client, or a stand-in."""

    @property
    def model(self) -> str:
        """Name of the model that answers."""

    def stream_turn(self, request: ChatRequest) -> AsyncIterator[TurnEvent]:
        """Stream the answer to `request`; raises M1DeskError when the engine fails."""


class TurnRunner:
    """Runs turns, one per conversation at a time; belongs to the thread of one event loop.

    `emit` gets every `TurnNotice` in order, on the loop's thread, and must not block.
    """

    def __init__(
        self,
        store: ConversationStore,
        emit: Callable[[TurnNotice], None],
        *,
        save_seconds: float = _SAVE_SECONDS,
    ) -> None:
        self._store = store
        self._emit = emit
        self._save_seconds = save_seconds
        self._running: dict[int, _Turn] = {}

    @property
    def running(self) -> frozenset[int]:
        """Ids of the conversations that are being answered."""
        return frozenset(self._running)

    def is_running(self, conversation_id: int) -> bool:
        """Whether this conversation is being answered."""
        return conversation_id in self._running

    async def send(self, conversation_id: int, text: str, source: TurnSource) -> Message:
        """Ask `text` at the end of the active branch and return the answer when it has ended.

        An engine's failure does not raise: the answer's state and error tell it. Raises BadInput
        for an empty text or while the conversation is being answered, StorageError when the
        answer can't be kept.
        """
        _refuse_empty(text)
        self._refuse_busy(conversation_id)
        question = self._store.append(conversation_id, "user", text)
        return await self._answer(question, source, user_message=question)

    async def edit(self, message_id: int, text: str, source: TurnSource) -> Message:
        """Ask `text` in place of a message of the user's, on a branch of its own; as `send`."""
        old = self._store.message(message_id)
        if old.role != "user":
            raise BadInput(
                "Only your own messages can be edited.", "", "Regenerate the answer instead."
            )
        _refuse_empty(text)
        self._refuse_busy(old.conversation_id)
        question = self._store.append(
            old.conversation_id,
            "user",
            text,
            after_id=old.parent_id,
            as_first=old.parent_id is None,
        )
        return await self._answer(question, source, user_message=question)

    async def regenerate(self, message_id: int, source: TurnSource) -> Message:
        """Answer again, as a new alternative to the answer `message_id`; otherwise as `send`.

        Given a message of the user's, it is answered, anew if it has been before.
        """
        message = self._store.message(message_id)
        self._refuse_busy(message.conversation_id)
        if message.role != "user":
            if message.parent_id is None:
                raise BadInput("This answer follows no question, so it can't be regenerated.")
            message = self._store.message(message.parent_id)
        return await self._answer(message, source, user_message=None)

    async def stop(self, conversation_id: int) -> None:
        """Stop the answer that is being written and wait for its end; what arrived is kept."""
        turn = self._running.get(conversation_id)
        if turn is not None:
            turn.stop()
            await turn.ended.wait()

    async def stop_all(self) -> None:
        """Stop every answer and wait for their ends."""
        await asyncio.gather(*(self.stop(conversation_id) for conversation_id in self.running))

    async def _answer(
        self, question: Message, source: TurnSource, *, user_message: Message | None
    ) -> Message:
        conversation_id = question.conversation_id
        conversation = self._store.get(conversation_id)
        request = build_request(conversation, self._store.path_to(question.id))
        answer = self._store.append(
            conversation_id,
            "assistant",
            "",
            after_id=question.id,
            state="streaming",
            model=source.model,
        )
        progress = AnswerInProgress(self._store, answer, self._save_seconds)
        started = TurnStarted(conversation_id, user_message, answer)
        turn = _Turn(source, request, progress, started, self._emit)
        self._running[conversation_id] = turn
        try:
            return await turn.run()
        finally:
            del self._running[conversation_id]
            turn.ended.set()

    def _refuse_busy(self, conversation_id: int) -> None:
        if self.is_running(conversation_id):
            raise BadInput(
                "This conversation is still being answered.",
                "",
                "Wait for the end of the answer, or stop it.",
            )


class _Turn:
    """One turn on its way: feeds the answer and tells how it ended."""

    def __init__(
        self,
        source: TurnSource,
        request: ChatRequest,
        progress: AnswerInProgress,
        started: TurnStarted,
        emit: Callable[[TurnNotice], None],
    ) -> None:
        self._source = source
        self._request = request
        self._progress = progress
        self._started = started
        self._answer = started.answer
        self._emit = emit
        self._task: asyncio.Task[object] | None = None
        self._stopping = False
        self.ended = asyncio.Event()

    def stop(self) -> None:
        """End the turn at its next chance; asking twice is harmless."""
        if self._task is not None and not self._stopping:
            self._stopping = True
            self._task.cancel()

    async def run(self) -> Message:
        """Stream the answer to its end, whichever that is."""
        self._task = asyncio.current_task()
        try:
            self._emit(self._started)
            await self._stream()
        except asyncio.CancelledError:
            message = self._close("complete" if self._progress.is_finished else "stopped")
            if not self._stopping or self._task is None or self._task.uncancel():
                raise  # the app itself is ending this, not the user's Stop
            return message
        except M1DeskError as error:
            return self._close("interrupted", error)
        except Exception as error:
            self._close("interrupted", _unexpected(error))
            raise
        return self._close("complete")

    async def _stream(self) -> None:
        stream = self._source.stream_turn(self._request)
        try:
            async for event in stream:
                self._take(event)
        finally:
            await _close_stream(stream)
        if not self._progress.is_finished:
            raise EngineFailed(
                "The answer broke off.",
                "The engine closed the stream before its end.",
                "Regenerate the answer, or look into the engine's log.",
            )

    def _take(self, event: TurnEvent) -> None:
        match event:
            case TextDelta(text):
                self._add("text", text)
            case ReasoningDelta(text):
                self._add("reasoning", text)
            case PrefillProgress():
                self._emit(TurnPrefill(self._answer.conversation_id, self._answer.id, event))
            case ToolCallDelta():
                self._progress.add_tool_call(event)
            case TurnFinished():
                shown = self._progress.finish(event)
                self._tell("text", shown)

    def _add(self, kind: DeltaKind, text: str) -> None:
        if text:
            self._progress.add(kind, text)
            self._tell(kind, text)

    def _tell(self, kind: DeltaKind, text: str) -> None:
        if text:
            self._emit(TurnDelta(self._answer.conversation_id, self._answer.id, kind, text))

    def _close(self, state: MessageState, error: M1DeskError | None = None) -> Message:
        if error is not None:
            _log.warning("answer %d ended with an error: %s", self._answer.id, error)
        message = self._progress.ended(state, error)
        try:
            message = self._progress.save(message)
        finally:  # what can't be saved is still shown
            self._emit(TurnEnded(self._answer.conversation_id, message))
        return message


async def _close_stream(stream: AsyncIterator[TurnEvent]) -> None:
    """Let a generator end now, so that its connection is closed before the turn has ended."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


def _refuse_empty(text: str) -> None:
    if not text.strip():
        raise BadInput("There is nothing to send.", "", "Type a message first.")


def _unexpected(error: Exception) -> M1DeskError:
    return M1DeskError(
        "The answer ended with an error of M1 Desk itself.",
        f"{type(error).__name__}: {error}",
        "Regenerate the answer; the log tells more.",
    )
