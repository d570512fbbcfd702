"""Conversations, messages and what is told about a running turn, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from m1desk.engines.turn import PrefillProgress, Role, SamplingParameters

DEFAULT_TITLE: Final = "New chat"
"""The title until the first user message gives one."""

MessageState = Literal["complete", "streaming", "stopped", "interrupted", "failed"]
"""`stopped`: by the user. `interrupted`: the engine or the app ended in mid-answer, what had
arrived is kept. `failed`: it ended before anything arrived."""

DeltaKind = Literal["text", "reasoning"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its messages.

    Attributes:
        created, updated: seconds since the epoch (UTC).
        model: name of the model that answered last, or "".
        leaf_id: the last message of the active branch, None while empty.
    """

    id: int
    title: str
    created: float
    updated: float
    system_prompt: str = ""
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    model: str = ""
    leaf_id: int | None = None


@dataclass(frozen=True, slots=True)
class MessageStats:
    """What an answer cost.

    Attributes:
        prompt_tokens, completion_tokens, reused_tokens: tokens; `reused_tokens` of the prompt
            were not read again.
        time_to_first_token: seconds, None if unknown.
        tokens_per_second: decode speed, None if unknown.
        prefill_tokens_per_second: prefill speed, None if unknown.
        finish_reason: "stop", "length", "tool_calls", or what the server said.
    """

    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int = 0
    time_to_first_token: float | None = None
    tokens_per_second: float | None = None
    prefill_tokens_per_second: float | None = None
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message in the tree of a conversation.

    Attributes:
        parent_id: the message it follows, None for a first one.
        reasoning: the model's thinking, kept apart from `content` and never sent back.
        created: seconds since the epoch (UTC).
        error: what went wrong, why, and what to do, one a line; "" when nothing did.
        model: name of the model that wrote it, "" for the user's own.
        sibling_index, sibling_count: place among the alternatives under the same parent,
            from 0, oldest first.
    """

    id: int
    conversation_id: int
    parent_id: int | None
    role: Role
    content: str
    reasoning: str = ""
    created: float = 0.0
    state: MessageState = "complete"
    error: str = ""
    model: str = ""
    stats: MessageStats | None = None
    sibling_index: int = 0
    sibling_count: int = 1


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A place where a search found its words.

    Attributes:
        message_id: the message, or None when the title was found.
        snippet: an excerpt around the words; the whole title for a title.
        marks: (start, end) character ranges of the found words in `snippet`.
    """

    conversation_id: int
    message_id: int | None
    title: str
    snippet: str
    marks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A turn began; `user_message` is None when an existing one is answered again."""

    conversation_id: int
    user_message: Message | None
    answer: Message


@dataclass(frozen=True, slots=True)
class TurnPrefill:
    """The engine reads the prompt."""

    conversation_id: int
    message_id: int
    progress: PrefillProgress


@dataclass(frozen=True, slots=True)
class TurnDelta:
    """More of the answer (`text`) or of the thinking (`reasoning`)."""

    conversation_id: int
    message_id: int
    kind: DeltaKind
    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over, however it went: `message.state` and `message.error` say how."""

    conversation_id: int
    message: Message


TurnNotice = TurnStarted | TurnPrefill | TurnDelta | TurnEnded
"""What a `TurnRunner` emits."""
