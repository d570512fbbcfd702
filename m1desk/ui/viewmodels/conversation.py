"""The conversation that is open, and the answers being written in it and in others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.chat import (
    Conversation,
    Message,
    TurnDelta,
    TurnEnded,
    TurnPrefill,
    TurnStarted,
)
from m1desk.engines.status import EngineState, EngineStatus
from m1desk.engines.turn import SamplingParameters
from m1desk.ui.units import loading_text
from m1desk.ui.viewmodels.context_usage import ContextMeter
from m1desk.ui.viewmodels.running_answers import RunningAnswers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from m1desk.chat import ConversationStore, TurnRunner, TurnSource
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.context_usage import CountTokens

FIRST_MESSAGES: Final = 60
EARLIER_MESSAGES: Final = 60

_USAGE_MS: Final = 250
"""How often the context's use is told while an answer grows."""

_CONTINUE: Final = "Please continue exactly where you stopped."


@dataclass(frozen=True, slots=True)
class _Opened:
    """What was read of a conversation to show it."""

    conversation: Conversation
    messages: tuple[Message, ...]
    has_earlier: bool


class ConversationViewModel(QObject):
    """Shows one conversation and hands what is asked of it to the core.

    Signals:
        opened: the Conversation now open, or None for a new one that has nothing yet.
        reset: messages (tuple), whether there are earlier ones, id to go to or None.
        prepended: earlier messages (tuple), whether there are still earlier ones.
        cut: id of the message after which all others leave the branch, or None for all.
        added: a Message at the end.
        changed: a Message in its new state.
        fed: message id, "text" or "reasoning", more of it.
        prefilled: message id, PrefillProgress.
        answering_changed: whether (bool) an answer is being written in the open conversation.
        reason_changed: why (str) nothing can be sent now, or "".
        usage_changed: tokens used (int) and whether (bool) the engine counted them.
        total_changed: context length (int, tokens) of the loaded model, 0 without one.
        list_stale: the list of conversations should be read anew.
        failed: the exception of something that did not work.
    """

    opened = Signal(object)
    reset = Signal(object, bool, object)
    prepended = Signal(object, bool)
    cut = Signal(object)
    added = Signal(object)
    changed = Signal(object)
    fed = Signal(object, str, str)
    prefilled = Signal(object, object)
    answering_changed = Signal(bool)
    reason_changed = Signal(str)
    usage_changed = Signal(object, bool)
    total_changed = Signal(object)
    list_stale = Signal()
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        store: ConversationStore,
        runner: TurnRunner,
        count: CountTokens | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._store = store
        self._runner = runner
        self._meter = ContextMeter(bridge, count, self)
        self._meter.changed.connect(self.usage_changed)
        self._usage_due = QTimer(self)
        self._usage_due.setSingleShot(True)
        self._usage_due.setInterval(_USAGE_MS)
        self._usage_due.timeout.connect(self._tell_usage)
        self._source: TurnSource | None = None
        self._status = EngineStatus(EngineState.STOPPED)
        self._waiting_for = ""
        self._conversation: Conversation | None = None
        self._messages: list[Message] = []
        self._running = RunningAnswers()
        self._asked: set[int | None] = set()  # conversations whose turn has yet to begin
        self._opening = 0
        self._draft_settings: tuple[str, SamplingParameters] = ("", SamplingParameters())
        self._default_sampling = SamplingParameters()
        bridge.events.connect(self._on_events)

    # -- what is known ----------------------------------------------------------------------

    @property
    def conversation(self) -> Conversation | None:
        """The open conversation, None for a new one that has nothing yet."""
        return self._conversation

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages known of the active branch, oldest first."""
        return tuple(self._messages)

    @property
    def status(self) -> EngineStatus:
        """The engine as it was last told."""
        return self._status

    @property
    def is_answering(self) -> bool:
        """Whether an answer is being written in the open conversation."""
        return self._id in self._running or self._id in self._asked

    @property
    def is_any_answering(self) -> bool:
        """Whether an answer is being written in any conversation."""
        return self._running.is_any or bool(self._asked)

    @property
    def system_prompt(self) -> str:
        """The open conversation's system prompt, or that of the one about to begin."""
        return self._conversation.system_prompt if self._conversation else self._draft_settings[0]

    @property
    def sampling(self) -> SamplingParameters:
        """The open conversation's sampling, or that of the one about to begin."""
        return self._conversation.sampling if self._conversation else self._draft_settings[1]

    @property
    def reason(self) -> str:
        """Why nothing can be sent now, or ""."""
        state = self._status.state
        if state is EngineState.READY and self._source is not None:
            return ""
        if state is EngineState.STARTING:
            return self._waiting_for or "Starting the engine…"
        if state is EngineState.LOADING:
            how_far = loading_text(self._status.load_fraction, self._status.load_stage)
            return f"Loading the model… {how_far}"
        if state is EngineState.STOPPING:
            return "Unloading the model…"
        if state is EngineState.FAILED:
            return "The model stopped. Load it again to go on."
        return "Load a model to start"

    # -- what is asked ----------------------------------------------------------------------

    def set_engine(
        self, status: EngineStatus, source: TurnSource | None, waiting_for: str = ""
    ) -> None:
        """Take the engine's state, and who answers while it is ready.

        `waiting_for` says in words what a start has to wait for, "" for nothing.
        """
        self._status = status
        self._waiting_for = waiting_for
        self._source = source if status.is_ready else None
        self.reason_changed.emit(self.reason)
        self.total_changed.emit(status.context_tokens if status.is_ready else 0)
        self._tell_usage()

    def set_default_sampling(self, sampling: SamplingParameters) -> None:
        """Set what new conversations begin with."""
        self._default_sampling = sampling
        if self._conversation is None:
            self._draft_settings = (self._draft_settings[0], sampling)
            self.opened.emit(None)

    def start_new(self) -> None:
        """Show an empty conversation; it is kept once something was sent in it."""
        self._opening += 1
        self._draft_settings = ("", self._default_sampling)
        self._show(None, (), has_earlier=False, go_to=None)

    def open(self, conversation_id: int, message_id: int | None = None) -> None:
        """Show a conversation, its newest messages first, or the place of one message."""
        self._opening += 1
        opening = self._opening

        def on_done(result: _Opened) -> None:
            if opening == self._opening:
                messages = self._running.fill_in(result.messages)
                self._show(
                    result.conversation,
                    messages,
                    has_earlier=result.has_earlier,
                    go_to=message_id,
                )

        self._submit(self._open(conversation_id, message_id), on_done)

    def load_earlier(self) -> None:
        """Read more messages before the first one known."""
        if not self._messages or self._id is None:
            return
        first, opening = self._messages[0].id, self._opening

        def on_done(messages: tuple[Message, ...]) -> None:
            if opening == self._opening:
                self._messages[:0] = messages
                self.prepended.emit(messages, len(messages) == EARLIER_MESSAGES)

        self._submit(self._earlier(self._id, first), on_done)

    def send(self, text: str) -> None:
        """Ask something in the open conversation; a new one is kept from now on."""
        source = self._source
        if source is None or self.is_answering:
            return
        if self._id is None:
            self._asked.add(None)
            self.answering_changed.emit(True)
            self._bridge.submit(
                self._create(),
                lambda made: self._on_created(made, text, source),
                self._on_not_created,
            )
        else:
            self._run(self._id, self._runner.send(self._id, text, source))

    def continue_answer(self) -> None:
        """Ask the model to go on where its answer was cut off."""
        self.send(_CONTINUE)

    def regenerate(self, message_id: int) -> None:
        """Answer again, as an alternative to the answer there is."""
        if self._source is not None and self._id is not None:
            self._run(self._id, self._runner.regenerate(message_id, self._source))

    def edit(self, message_id: int, text: str) -> None:
        """Ask something else in place of a message, on a branch of its own."""
        if self._source is not None and self._id is not None:
            self._run(self._id, self._runner.edit(message_id, text, self._source))

    def stop(self) -> None:
        """End the answer being written in the open conversation; what arrived is kept."""
        if self._id is not None:
            self._submit(self._runner.stop(self._id))

    def delete_message(self, message_id: int) -> None:
        """Delete a message with what follows it."""
        if self._id is not None:
            self._submit(self._delete(self._id, message_id), self._on_reload)

    def switch_branch(self, message_id: int, step: int) -> None:
        """Show the alternative before (-1) or after (+1) a message."""
        if not self.is_answering:
            self._submit(self._switch(message_id, step), self._on_reload)

    def set_system_prompt(self, text: str) -> None:
        """Set what the model is told first, from the next answer on."""
        if text != self.system_prompt:
            self._change_settings(text, self.sampling)

    def set_sampling(self, sampling: SamplingParameters) -> None:
        """Set how answers are sampled, from the next one on."""
        if sampling != self.sampling:
            self._change_settings(self.system_prompt, sampling)

    def on_list_changed(self, conversations: tuple[Conversation, ...]) -> None:
        """Take the open conversation's new title, model and date."""
        for listed in conversations:
            if self._conversation is not None and listed.id == self._conversation.id:
                self._conversation = replace(
                    listed, system_prompt=self.system_prompt, sampling=self.sampling
                )

    def on_deleted(self, conversation_id: int) -> None:
        """Leave a conversation that is gone."""
        self._running.end(conversation_id)
        if conversation_id == self._id:
            self.start_new()

    # -- on the loop's thread ---------------------------------------------------------------

    async def _open(self, conversation_id: int, message_id: int | None) -> _Opened:
        store = self._store
        if message_id is None:
            conversation = store.get(conversation_id)
            messages = store.path(conversation_id, FIRST_MESSAGES)
            return _Opened(conversation, messages, len(messages) == FIRST_MESSAGES)
        if not self._runner.is_running(conversation_id):
            store.switch_branch(message_id)
        return _Opened(store.get(conversation_id), store.path(conversation_id), has_earlier=False)

    async def _earlier(self, conversation_id: int, before_id: int) -> tuple[Message, ...]:
        return self._store.path(conversation_id, EARLIER_MESSAGES, before_id)

    async def _create(self) -> Conversation:
        prompt, sampling = self._draft_settings
        return self._store.create(system_prompt=prompt, sampling=sampling)

    async def _delete(self, conversation_id: int, message_id: int) -> _Opened:
        await self._runner.stop(conversation_id)
        self._store.delete_message(message_id)
        return await self._open(conversation_id, None)

    async def _switch(self, message_id: int, step: int) -> _Opened:
        ids = self._store.siblings(message_id)
        wanted = ids.index(message_id) + step
        chosen = ids[max(0, min(wanted, len(ids) - 1))]
        conversation = self._store.switch_branch(chosen)
        return await self._open(conversation.id, None)

    async def _save_settings(
        self, conversation_id: int, prompt: str, sampling: SamplingParameters
    ) -> Conversation:
        self._store.set_system_prompt(conversation_id, prompt)
        return self._store.set_sampling(conversation_id, sampling)

    # -- what comes back --------------------------------------------------------------------

    @property
    def _id(self) -> int | None:
        return None if self._conversation is None else self._conversation.id

    def _submit(
        self, work: Coroutine[Any, Any, Any], on_done: Callable[[Any], None] | None = None
    ) -> None:
        self._bridge.submit(work, on_done, self.failed.emit)

    def _run(self, conversation_id: int, turn: Coroutine[Any, Any, Message]) -> None:
        """Start a turn; it counts as being answered from now on, whatever becomes of it."""

        def on_over(_: Message) -> None:
            self._asked.discard(conversation_id)
            self.answering_changed.emit(self.is_answering)

        def on_error(error: Exception) -> None:
            self._asked.discard(conversation_id)
            self.answering_changed.emit(self.is_answering)
            self.failed.emit(error)

        self._asked.add(conversation_id)
        self.answering_changed.emit(self.is_answering)
        self._bridge.submit(turn, on_over, on_error)

    def _on_not_created(self, error: Exception) -> None:
        self._asked.discard(None)
        self.answering_changed.emit(self.is_answering)
        self.failed.emit(error)

    def _on_created(self, conversation: Conversation, text: str, source: TurnSource) -> None:
        """Send the first message, to whoever was seen to answer when it was written."""
        self._asked.discard(None)
        self._opening += 1
        self._show(conversation, (), has_earlier=False, go_to=None)
        self._run(conversation.id, self._runner.send(conversation.id, text, source))

    def _on_reload(self, result: _Opened) -> None:
        if result.conversation.id == self._id:
            messages = self._running.fill_in(result.messages)
            self._show(result.conversation, messages, has_earlier=result.has_earlier, go_to=None)

    def _show(
        self,
        conversation: Conversation | None,
        messages: tuple[Message, ...],
        *,
        has_earlier: bool,
        go_to: int | None,
    ) -> None:
        self._conversation = conversation
        self._messages = list(messages)
        self.opened.emit(conversation)
        self.reset.emit(messages, has_earlier, go_to)
        if conversation is not None:
            self._tell_progress(conversation.id)
        self.answering_changed.emit(self.is_answering)
        self._tell_usage()

    def _tell_progress(self, conversation_id: int) -> None:
        """Tell how far the prompt is read of an answer that has no text yet."""
        running = self._running.get(conversation_id)
        if running is not None and running.progress is not None and not running.has_begun:
            self.prefilled.emit(running.message.id, running.progress)

    def _change_settings(self, prompt: str, sampling: SamplingParameters) -> None:
        if self._conversation is None:
            self._draft_settings = (prompt, sampling)
            return
        told_otherwise = prompt != self._conversation.system_prompt
        self._conversation = replace(self._conversation, system_prompt=prompt, sampling=sampling)
        saving = self._save_settings(self._conversation.id, prompt, sampling)
        self._submit(saving, lambda _: self._tell_usage() if told_otherwise else None)
        if told_otherwise and self._messages:
            self._meter.distrust(self._conversation.id, self._messages[-1].id)

    # -- what a turn tells ------------------------------------------------------------------

    def _on_events(self, events: tuple[object, ...]) -> None:
        deltas: dict[tuple[int, str], list[str]] = {}
        for event in events:
            if isinstance(event, TurnDelta):
                self._take_delta(event, deltas)
                continue
            if isinstance(event, TurnStarted | TurnPrefill | TurnEnded):
                self._flush(deltas)
            if isinstance(event, TurnStarted):
                self._on_started(event)
            elif isinstance(event, TurnPrefill):
                self._on_prefill(event)
            elif isinstance(event, TurnEnded):
                self._on_ended(event)
        self._flush(deltas)

    def _take_delta(self, event: TurnDelta, deltas: dict[tuple[int, str], list[str]]) -> None:
        if self._running.take(event) and event.conversation_id == self._id:
            deltas.setdefault((event.message_id, event.kind), []).append(event.text)
            if not self._usage_due.isActive():
                self._usage_due.start()

    def _flush(self, deltas: dict[tuple[int, str], list[str]]) -> None:
        """Pass on the pieces of a batch as one: a thousand signals a second would be felt."""
        for (message_id, kind), parts in deltas.items():
            self.fed.emit(message_id, kind, "".join(parts))
        deltas.clear()

    def _on_started(self, event: TurnStarted) -> None:
        self._running.start(event.answer)
        self.list_stale.emit()
        if event.conversation_id != self._id:
            return
        first = event.user_message or event.answer
        self._cut_after(first.parent_id)
        if event.user_message is not None:
            self._add(event.user_message)
        self._add(event.answer)
        self.answering_changed.emit(True)

    def _on_prefill(self, event: TurnPrefill) -> None:
        self._running.note_progress(event)
        if event.conversation_id == self._id:
            self.prefilled.emit(event.message_id, event.progress)
            self._tell_usage()

    def _on_ended(self, event: TurnEnded) -> None:
        self._running.end(event.conversation_id)
        self._asked.discard(event.conversation_id)
        self.list_stale.emit()
        if event.conversation_id != self._id:
            return
        self._messages = [event.message if m.id == event.message.id else m for m in self._messages]
        self.changed.emit(event.message)
        self.answering_changed.emit(self.is_answering)
        self._tell_usage()

    def _cut_after(self, message_id: int | None) -> None:
        ids = [message.id for message in self._messages]
        keep = ids.index(message_id) + 1 if message_id in ids else 0
        if keep < len(self._messages):
            del self._messages[keep:]
            self.cut.emit(message_id)

    def _add(self, message: Message) -> None:
        self._messages.append(message)
        self.added.emit(message)

    # -- the context ------------------------------------------------------------------------

    def _tell_usage(self) -> None:
        running = None if self._id is None else self._running.get(self._id)
        if running is not None:
            self._meter.show_running(self._messages, self.system_prompt, running)
        else:
            model = self._status.model_name if self._source is not None else ""
            self._meter.show(
                self._id,
                self._messages,
                self.system_prompt,
                model,
                may_count=not self._status.server,
            )
