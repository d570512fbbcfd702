"""How many tokens of the context a conversation takes: counted where possible, else guessed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from m1desk.chat import Message
    from m1desk.ui.bridge import Bridge, Submission
    from m1desk.ui.viewmodels.running_answers import RunningAnswer

    CountTokens = Callable[[int], Coroutine[Any, Any, int]]

_log = logging.getLogger(__name__)

CHARACTERS_PER_TOKEN: Final = 4
"""A rule of thumb for English; only where the engine has not counted, and marked as a guess."""


def usage(messages: Sequence[Message], system_prompt: str, model: str = "") -> tuple[int, bool]:
    """Tokens of a conversation, and whether the engine counted all of them.

    The engine's count of the last answer covers all before it; what came after is estimated.
    What another model than `model` counted is a guess too: it cuts the text differently.
    """
    later = 0
    for message in reversed(messages):
        if message.stats is not None and message.stats.prompt_tokens > 0:
            counted = message.stats.prompt_tokens + message.stats.completion_tokens
            return counted + later, later == 0 and model in {"", message.model}
        later += estimate_tokens(len(message.content))
    return later + estimate_tokens(len(system_prompt)), later == 0 and not system_prompt


def usage_while_answering(
    messages: Sequence[Message], system_prompt: str, running: RunningAnswer
) -> int:
    """Estimate the tokens of a conversation whose last message is being written.

    Engines send about one piece a token, and say how long the prompt is while they read it.
    """
    if running.progress is not None:
        prompt = running.progress.total
    else:
        before = [message for message in messages if message.id != running.message.id]
        prompt = usage(before, system_prompt)[0]
    return prompt + len(running.text) + len(running.reasoning)


def estimate_tokens(characters: int) -> int:
    """Guess how many tokens so many characters are."""
    return -(-characters // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class _Question:
    """What a count holds for: another message, prompt or model makes it void."""

    conversation_id: int
    last_id: int
    system_prompt: str
    model: str


class ContextMeter(QObject):
    """Says at once what can be said, and has the engine count what it has not counted.

    `count` counts a conversation (by id) on the loop's thread; None where nobody can.

    Signals:
        changed: tokens used (int) and whether (bool) the engine counted them.
    """

    changed = Signal(object, bool)

    def __init__(
        self, bridge: Bridge, count: CountTokens | None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._count = count
        self._question: _Question | None = None
        self._counted: tuple[_Question, int] | None = None
        self._work: Submission | None = None
        self._distrusted: dict[int, int] = {}

    def distrust(self, conversation_id: int, last_id: int) -> None:
        """Trust no figure up to the message `last_id`: the system prompt was another one then."""
        self._distrusted[conversation_id] = last_id

    def show(
        self,
        conversation_id: int | None,
        messages: Sequence[Message],
        prompt: str,
        model: str,
        *,
        may_count: bool = True,
    ) -> None:
        """Tell the usage of a conversation at rest.

        `model` is the one that would answer, "" for none; without `may_count` it is not asked to
        count: a server gets a conversation when something is sent in it, and not before.
        """
        used, exact = usage(messages, prompt, model)
        question = None
        if conversation_id is not None and messages:
            last = messages[-1].id
            exact = exact and self._distrusted.get(conversation_id, 0) < last
            question = _Question(conversation_id, last, prompt, model)
        if self._counted is not None and self._counted[0] == question:
            used, exact = self._counted[1], True
        self.changed.emit(used, exact)
        if question != self._question and self._work is not None:
            self._work.cancel()
            self._work = None
        self._question = question
        if may_count and not exact and question is not None and model and self._work is None:
            self._ask(question)

    def show_running(
        self, messages: Sequence[Message], prompt: str, running: RunningAnswer
    ) -> None:
        """Tell about how much a conversation takes while its answer is written."""
        self.changed.emit(usage_while_answering(messages, prompt, running), False)

    def _ask(self, question: _Question) -> None:
        if self._count is None:
            return

        def on_done(tokens: int) -> None:
            self._work = None
            if question == self._question:
                self._counted = (question, tokens)
                self.changed.emit(tokens, True)

        def on_error(error: Exception) -> None:
            self._work = None
            if not isinstance(error, M1DeskError):
                raise error
            _log.info("the engine did not count a conversation: %s", error)

        self._work = self._bridge.submit(self._count(question.conversation_id), on_done, on_error)
