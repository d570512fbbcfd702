"""One answer while it is written: what has arrived, saved now and then and at every end."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from m1desk.chat.values import MessageStats
from m1desk.engines.turn import ToolCallDelta, TurnFinished
from m1desk.errors import BadInput, StorageError

if TYPE_CHECKING:
    from m1desk.chat.conversations import ConversationStore
    from m1desk.chat.values import DeltaKind, Message, MessageState
    from m1desk.errors import M1DeskError

_log = logging.getLogger(__name__)


class AnswerInProgress:
    """Collects an answer's pieces and keeps the database at most `interval` seconds behind."""

    def __init__(self, store: ConversationStore, message: Message, interval: float) -> None:
        self._store = store
        self._message = message
        self._interval = interval
        self._pieces: dict[DeltaKind, list[str]] = {"text": [], "reasoning": []}
        self._calls: dict[int, _ToolCall] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._finished: TurnFinished | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the engine said that the answer is complete."""
        return self._finished is not None

    def add(self, kind: DeltaKind, text: str) -> None:
        """Take another piece; it is saved within the interval."""
        self._pieces[kind].append(text)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._interval, self._save)

    def add_tool_call(self, delta: ToolCallDelta) -> None:
        """Take another piece of a tool call."""
        self._calls.setdefault(delta.index, _ToolCall()).add(delta)

    def finish(self, finished: TurnFinished) -> str:
        """Note the engine's figures; returns text still to be shown: the tool calls, as JSON.

        Nothing here runs tools yet, so a call that the model makes on its own is shown.
        """
        self._finished = finished
        calls = "".join(call.as_markdown() for _, call in sorted(self._calls.items()))
        if calls:
            self._pieces["text"].append(calls)
        return calls

    def ended(self, state: MessageState, error: M1DeskError | None = None) -> Message:
        """Say how the answer ended; nothing is saved yet."""
        self._cancel_timer()
        text, reasoning = self._text("text"), self._text("reasoning")
        if state == "interrupted" and not text and not reasoning:
            state = "failed"
        return replace(
            self._message,
            content=text,
            reasoning=reasoning,
            state=state,
            error="" if error is None else f"{error.what}\n{error.why}\n{error.todo}",
            stats=self._stats(),
        )

    def save(self, ended: Message) -> Message:
        """Save the answer as it ended and return it as stored; raises StorageError."""
        try:
            return self._store.update_answer(
                ended.id,
                content=ended.content,
                reasoning=ended.reasoning,
                state=ended.state,
                error=ended.error,
                stats=ended.stats,
            )
        except BadInput:
            return ended  # it was deleted while it was being written

    def _text(self, kind: DeltaKind) -> str:
        pieces = self._pieces[kind]
        pieces[:] = ["".join(pieces)]
        return pieces[0]

    def _stats(self) -> MessageStats | None:
        done = self._finished
        if done is None:
            return None
        return MessageStats(
            prompt_tokens=done.prompt_tokens,
            completion_tokens=done.completion_tokens,
            reused_tokens=done.reused_tokens,
            time_to_first_token=done.time_to_first_token,
            tokens_per_second=done.tokens_per_second,
            prefill_tokens_per_second=done.prefill_tokens_per_second,
            finish_reason=done.finish_reason,
        )

    def _save(self) -> None:
        self._timer = None
        try:
            self._store.update_answer(
                self._message.id,
                content=self._text("text"),
                reasoning=self._text("reasoning"),
                state="streaming",
            )
        except StorageError:
            # The answer goes on in memory; if its end can't be saved either, that is said.
            _log.exception("a partial answer could not be saved")
        except BadInput:
            _log.info("the answer being written was deleted")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _ToolCall:
    """A tool call put together from its pieces."""

    def __init__(self) -> None:
        self._name = ""
        self._arguments: list[str] = []

    def add(self, delta: ToolCallDelta) -> None:
        self._name = delta.name or self._name
        self._arguments.append(delta.arguments)

    def as_markdown(self) -> str:
        arguments = "".join(self._arguments)
        try:
            call = json.dumps({"name": self._name, "arguments": json.loads(arguments or "{}")})
        except ValueError:
            call = f"{self._name}({arguments})"
        return f"\n\n```json\n{call}\n```\n"
