"""Answers in the OpenAI dialect: the chunks of a stream, and the body of a whole answer."""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from m1desk.llama_worker.generation import Broken, Delta, Done, Event, Generation, Progress
from m1desk.llama_worker.output import Piece, Reasoning, Text, ToolCall
from m1desk.llama_worker.requests import GenerationRequest
from m1desk.llama_worker.sampling import TokenLogprob, TokenLogprobs

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request in the scheduler's hands, and where its events arrive."""

    generation: Generation
    events: asyncio.Queue[Event]
    token_bytes: Callable[[int], bytes]

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events, up to and including the last one (Done or Broken)."""
        while True:
            event = await self.events.get()
            yield event
            if isinstance(event, Done | Broken):
                return


@dataclass(slots=True)
class _Collected:
    """The parts of an answer that is not streamed."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[Json] = field(default_factory=list)
    logprobs: list[tuple[int, TokenLogprobs]] = field(default_factory=list)

    def add(self, pieces: tuple[Piece, ...]) -> None:
        for piece in pieces:
            if isinstance(piece, Text):
                self.text += piece.text
            elif isinstance(piece, Reasoning):
                self.reasoning += piece.text
            else:
                self.tool_calls.append(_tool_call(piece))


class AnswerFormat(ABC):
    """What the two endpoints have in common; each says how its own choices look."""

    object_name: str
    chunk_name: str
    id_prefix: str

    def __init__(self, model: str, request: GenerationRequest) -> None:
        self._model = model
        self._request = request
        self._id = f"{self.id_prefix}-{secrets.token_hex(12)}"
        self._created = int(time.time())

    @property
    def is_streamed(self) -> bool:
        """Whether the client asked for a stream."""
        return self._request.stream

    async def chunks(self, ticket: Ticket) -> AsyncIterator[Json]:
        """The chunks of a stream, ending with usage and timings."""
        for opening in self._opening_choices():
            yield self._chunk([opening])
        async for event in ticket:
            if isinstance(event, Progress):
                if self._request.return_progress:
                    yield self._chunk([], prompt_progress=event.progress)
            elif isinstance(event, Delta):
                for choice in self._delta_choices(ticket, event):
                    yield self._chunk([choice])
            elif isinstance(event, Done):
                for chunk in self._last_chunks(event):
                    yield chunk
            else:
                yield _error(event)

    def _last_chunks(self, done: Done) -> list[Json]:
        chunks = [self._chunk([choice]) for choice in self._piece_choices(done.pieces)]
        end = self._chunk([self._end_choice(done)])
        chunks.append(end)
        if self._request.include_usage:
            chunks.append(self._chunk([], usage=_usage(done), **_account(done)))
        else:
            end |= _account(done)
        return chunks

    async def collect(self, ticket: Ticket) -> tuple[int, Json]:
        """The HTTP status and body of a whole answer."""
        collected = _Collected()
        async for event in ticket:
            if isinstance(event, Broken):
                return 500, _error(event)
            if isinstance(event, Delta):
                collected.add(event.pieces)
                if event.logprobs is not None:
                    collected.logprobs.append((event.token, event.logprobs))
            elif isinstance(event, Done):
                collected.add(event.pieces)
                return 200, self._body(ticket, collected, event)
        raise AssertionError("a ticket ends with Done or Broken")

    def _body(self, ticket: Ticket, collected: _Collected, done: Done) -> Json:
        return {
            **self._head(self.object_name),
            "choices": [self._whole_choice(ticket, collected, done)],
            "usage": _usage(done),
            **_account(done),
        }

    def _head(self, object_name: str) -> Json:
        return {
            "id": self._id,
            "object": object_name,
            "created": self._created,
            "model": self._model,
        }

    def _chunk(self, choices: list[Json], **more: object) -> Json:
        return {**self._head(self.chunk_name), "choices": choices, **more}

    def _delta_choices(self, ticket: Ticket, delta: Delta) -> list[Json]:
        choices = self._piece_choices(delta.pieces)
        if delta.logprobs is not None:
            # the token's probability goes out with it even while its text is held back
            choices = choices or [self._empty_choice()]
            choices[0]["logprobs"] = self._logprobs(ticket, [(delta.token, delta.logprobs)])
        return choices

    def _opening_choices(self) -> list[Json]:
        return []

    @abstractmethod
    def _empty_choice(self) -> Json: ...

    @abstractmethod
    def _piece_choices(self, pieces: tuple[Piece, ...]) -> list[Json]: ...

    @abstractmethod
    def _end_choice(self, done: Done) -> Json: ...

    @abstractmethod
    def _whole_choice(self, ticket: Ticket, collected: _Collected, done: Done) -> Json: ...

    @abstractmethod
    def _logprobs(self, ticket: Ticket, tokens: list[tuple[int, TokenLogprobs]]) -> Json: ...


class ChatFormat(AnswerFormat):
    """/v1/chat/completions."""

    object_name = "chat.completion"
    chunk_name = "chat.completion.chunk"
    id_prefix = "chatcmpl"

    def _choice(self, delta: Json, finish_reason: str | None = None) -> Json:
        return {"index": 0, "delta": delta, "finish_reason": finish_reason}

    def _opening_choices(self) -> list[Json]:
        return [self._choice({"role": "assistant", "content": None})]

    def _empty_choice(self) -> Json:
        return self._choice({})

    def _piece_choices(self, pieces: tuple[Piece, ...]) -> list[Json]:
        return [self._choice(_chat_delta(piece)) for piece in pieces]

    def _end_choice(self, done: Done) -> Json:
        return self._choice({}, done.finish_reason)

    def _whole_choice(self, ticket: Ticket, collected: _Collected, done: Done) -> Json:
        message: Json = {"role": "assistant", "content": collected.text}
        if collected.reasoning:
            message["reasoning_content"] = collected.reasoning
        if collected.tool_calls:
            message["content"] = collected.text or None
            message["tool_calls"] = [
                {**call, "index": number} for number, call in enumerate(collected.tool_calls)
            ]
        choice: Json = {"index": 0, "message": message, "finish_reason": done.finish_reason}
        if self._request.logprobs is not None:
            choice["logprobs"] = self._logprobs(ticket, collected.logprobs)
        return choice

    def _logprobs(self, ticket: Ticket, tokens: list[tuple[int, TokenLogprobs]]) -> Json:
        return {
            "content": [
                {
                    **_token_entry(ticket, one.chosen),
                    "top_logprobs": [_token_entry(ticket, other) for other in one.top],
                }
                for _, one in tokens
            ]
        }


class CompletionFormat(AnswerFormat):
    """/v1/completions."""

    object_name = "text_completion"
    chunk_name = "text_completion"
    id_prefix = "cmpl"

    def _choice(self, text: str, finish_reason: str | None = None) -> Json:
        return {"index": 0, "text": text, "finish_reason": finish_reason, "logprobs": None}

    def _empty_choice(self) -> Json:
        return self._choice("")

    def _piece_choices(self, pieces: tuple[Piece, ...]) -> list[Json]:
        return [self._choice(piece.text) for piece in pieces if not isinstance(piece, ToolCall)]

    def _end_choice(self, done: Done) -> Json:
        return self._choice("", done.finish_reason)

    def _whole_choice(self, ticket: Ticket, collected: _Collected, done: Done) -> Json:
        choice = self._choice(collected.text, done.finish_reason)
        if self._request.logprobs is not None:
            choice["logprobs"] = self._logprobs(ticket, collected.logprobs)
        return choice

    def _logprobs(self, ticket: Ticket, tokens: list[tuple[int, TokenLogprobs]]) -> Json:
        return {
            "tokens": [_token_text(ticket, token) for token, _ in tokens],
            "token_logprobs": [one.chosen.logprob for _, one in tokens],
            "top_logprobs": [
                {_token_text(ticket, other.token): other.logprob for other in one.top}
                for _, one in tokens
            ],
        }


def _chat_delta(piece: Piece) -> Json:
    if isinstance(piece, Text):
        return {"content": piece.text}
    if isinstance(piece, Reasoning):
        return {"reasoning_content": piece.text}
    return {"tool_calls": [_tool_call(piece)]}


def _tool_call(call: ToolCall) -> Json:
    return {
        "index": call.index,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments_json},
    }


def _token_text(ticket: Ticket, token: int) -> str:
    return ticket.token_bytes(token).decode("utf-8", errors="replace")


def _token_entry(ticket: Ticket, one: TokenLogprob) -> Json:
    return {
        "token": _token_text(ticket, one.token),
        "logprob": one.logprob,
        "bytes": list(ticket.token_bytes(one.token)),
    }


def _usage(done: Done) -> Json:
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "total_tokens": done.prompt_tokens + done.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": done.timings["cache_n"]},
    }


def _account(done: Done) -> Json:
    """Our additions at the end: timings, and what became of a saved state if one was asked for."""
    prepared = {} if done.prepared is None else {"prepared": done.prepared}
    return {"timings": done.timings, **prepared}


def _error(broken: Broken) -> Json:
    return {
        "error": {"message": broken.message, "type": "server_error", "param": None, "code": 500}
    }
