"""Which answers are being written now, and what the last one cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from m1desk.chat import MessageStats, TurnDelta, TurnEnded, TurnPrefill, TurnStarted

if TYPE_CHECKING:
    from m1desk.chat import Message
    from m1desk.engines.turn import PrefillProgress
    from m1desk.ui.bridge import Bridge


@dataclass(frozen=True, slots=True)
class Activity:
    """What goes on.

    Attributes:
        writing: conversations (by id) whose answers are being written.
        prefill: how far the engine has read the prompt of the newest of them; None when it writes.
        last: what the last finished answer cost, None before any.
    """

    writing: frozenset[int] = frozenset()
    prefill: PrefillProgress | None = None
    last: MessageStats | None = None


class ActivityViewModel(QObject):
    """Follows the turns of all conversations.

    Signals:
        changed: the new Activity, when it differs.
        turn_ended: the answer (Message) of a turn that is over, however it went.
    """

    changed = Signal(object)
    turn_ended = Signal(object)

    def __init__(self, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._activity = Activity()
        bridge.events.connect(self._on_events)

    @property
    def activity(self) -> Activity:
        """What goes on now."""
        return self._activity

    @property
    def is_writing(self) -> bool:
        """Whether any answer is being written."""
        return bool(self._activity.writing)

    def forget_last(self) -> None:
        """Drop the last answer's figures: another model is coming, and they were not its own."""
        if self._activity.last is not None:
            self._activity = replace(self._activity, last=None)
            self.changed.emit(self._activity)

    def _on_events(self, events: tuple[object, ...]) -> None:
        before = self._activity
        ended: list[Message] = []
        for event in events:
            self._activity = _after(self._activity, event)
            if isinstance(event, TurnEnded):
                ended.append(event.message)
        if self._activity != before:
            self.changed.emit(self._activity)
        for message in ended:
            self.turn_ended.emit(message)


def _after(now: Activity, event: object) -> Activity:
    if isinstance(event, TurnStarted):
        return Activity(now.writing | {event.conversation_id}, None, now.last)
    if isinstance(event, TurnPrefill):
        return Activity(now.writing, event.progress, now.last)
    if isinstance(event, TurnDelta) and now.prefill is not None:
        return Activity(now.writing, None, now.last)
    if isinstance(event, TurnEnded):
        stats = event.message.stats or now.last
        return Activity(now.writing - {event.conversation_id}, None, stats)
    return now
