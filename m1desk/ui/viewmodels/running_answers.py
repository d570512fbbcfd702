"""The answers being written, in whatever conversation, with what has arrived of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m1desk.chat import Message, TurnDelta, TurnPrefill
    from m1desk.engines.turn import PrefillProgress


@dataclass(slots=True)
class RunningAnswer:
    """An answer as it began, and what has arrived of it since."""

    message: Message
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    progress: PrefillProgress | None = None

    @property
    def has_begun(self) -> bool:
        """Whether any text or thinking has arrived."""
        return bool(self.text or self.reasoning)

    def current(self) -> Message:
        """Return the message as far as it has come."""
        return replace(self.message, content="".join(self.text), reasoning="".join(self.reasoning))


class RunningAnswers:
    """At most one answer a conversation.

    The database is up to a second behind an answer; who opens its conversation meanwhile is
    shown what is kept here.
    """

    def __init__(self) -> None:
        self._by_conversation: dict[int, RunningAnswer] = {}

    def __contains__(self, conversation_id: object) -> bool:
        return conversation_id in self._by_conversation

    @property
    def is_any(self) -> bool:
        """Whether any answer is being written."""
        return bool(self._by_conversation)

    def get(self, conversation_id: int) -> RunningAnswer | None:
        """Return the answer being written in a conversation, if one is."""
        return self._by_conversation.get(conversation_id)

    def start(self, answer: Message) -> None:
        """Note that an answer begins."""
        self._by_conversation[answer.conversation_id] = RunningAnswer(answer)

    def take(self, delta: TurnDelta) -> bool:
        """Add a piece; False when no answer is known to be written there."""
        running = self.get(delta.conversation_id)
        if running is None:
            return False
        (running.text if delta.kind == "text" else running.reasoning).append(delta.text)
        return True

    def note_progress(self, event: TurnPrefill) -> None:
        """Note how far the prompt is read."""
        running = self.get(event.conversation_id)
        if running is not None:
            running.progress = event.progress

    def end(self, conversation_id: int) -> None:
        """Forget the answer of a conversation."""
        self._by_conversation.pop(conversation_id, None)

    def fill_in(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Put what has arrived in place of what the database knows."""
        known = {r.message.id: r for r in self._by_conversation.values()}
        return tuple(known[m.id].current() if m.id in known else m for m in messages)
