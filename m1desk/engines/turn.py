"""A request for an answer, and what comes back while it is written, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message as it is sent."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """How the next token is chosen; None leaves it to the engine's or the model's default.

    The defaults of MiniMax-M1 are temperature 1.0 and top_p 0.95. `thinking_tokens` is the most
    that a model may think before it answers; an engine that can't limit that does not.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    thinking_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation so far, to be answered.

    `prepared` names the prepared document it begins with, whose state need not be read again.
    """

    messages: tuple[ChatMessage, ...]
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    extra: Mapping[str, object] = field(default_factory=dict)
    prepared: str | None = None


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """The prompt is being read: `done` of `total` tokens, `reused` of them not read again."""

    done: int
    total: int
    reused: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Speed of the part that was really read; 0.0 before any time has passed."""
        return (self.done - self.reused) / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """The model calls a tool: `arguments` is JSON text."""

    index: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class PreparedUse:
    """What became of the prepared document a request named.

    Attributes:
        used: its tokens were not read again.
        reason: a stable word, one of `wire.PreparedReason`.
        message: where it was not used, why, as a sentence.
    """

    name: str
    used: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The answer is complete.

    Attributes:
        finish_reason: "stop", "length", "tool_calls", or what the server said.
        prompt_tokens, completion_tokens: the engine's own counts (tokens).
        reused_tokens: prompt tokens not read again.
        read_tokens: prompt tokens the engine computed, counted as it did; with the reused ones
            they make the whole prompt. None if it doesn't say.
        time_to_first_token: seconds from the request to the first piece of text, None if none came.
        tokens_per_second: decode speed by the engine's clock, None if it doesn't say.
        prefill_tokens_per_second: likewise, of the part that was read.
        prepared: what became of the prepared document, None if none was asked for.
    """

    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int = 0
    time_to_first_token: float | None = None
    tokens_per_second: float | None = None
    prefill_tokens_per_second: float | None = None
    prepared: PreparedUse | None = None
    read_tokens: int | None = None


TurnEvent = PrefillProgress | TextDelta | ReasoningDelta | ToolCallDelta | TurnFinished
