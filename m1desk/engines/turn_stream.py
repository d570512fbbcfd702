"""One streamed answer in the OpenAI dialect, chunk by chunk, as the app's turn events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from m1desk.engines.json_values import as_count, as_mapping, as_number, as_text
from m1desk.engines.turn import (
    PrefillProgress,
    PreparedUse,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    TurnFinished,
)

if TYPE_CHECKING:
    from m1desk.engines.turn import ChatRequest, TurnEvent

_SAMPLING: Final = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "max_tokens",
    "seed",
)
THINKING_FIELD: Final = "thinking_budget_tokens"
"""What llama.cpp's own server, and our worker, call the limit of thinking."""


def request_body(model: str, request: ChatRequest) -> dict[str, object]:
    """Write a request for a streamed answer with progress and usage."""
    sampling = request.sampling
    chosen = {name: getattr(sampling, name) for name in _SAMPLING}
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": one.role, "content": one.content} for one in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        **{name: value for name, value in chosen.items() if value is not None},
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.thinking_tokens is not None:
        body[THINKING_FIELD] = sampling.thinking_tokens
    if request.prepared is not None:
        body["prepared"] = request.prepared
    return {**body, **request.extra}


class TurnReader:
    """Gathers what the chunks of one answer say; `finished` is None until one said it ends."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first_text: float | None = None
        self._finish_reason: str | None = None
        self._usage: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}
        self._prepared: Mapping[str, Any] = {}

    def read(self, chunk: Mapping[str, Any]) -> Iterator[TurnEvent]:
        """Yield the events of one chunk, in their order."""
        self._usage = as_mapping(chunk.get("usage")) or self._usage
        self._timings = as_mapping(chunk.get("timings")) or self._timings
        self._prepared = as_mapping(chunk.get("prepared")) or self._prepared
        progress = as_mapping(chunk.get("prompt_progress"))
        if progress:
            yield read_progress(progress)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            yield from self._read_choice(as_mapping(choice))

    def finished(self) -> TurnFinished | None:
        """Sum the answer up; None when it was never said to end."""
        if self._finish_reason is None:
            return None
        details = as_mapping(self._usage.get("prompt_tokens_details"))
        timings = self._timings
        read = as_count(timings.get("prompt_n")) + as_count(timings.get("cache_n"))
        return TurnFinished(
            finish_reason=self._finish_reason,
            prompt_tokens=as_count(self._usage.get("prompt_tokens", read)),
            completion_tokens=as_count(
                self._usage.get("completion_tokens", timings.get("predicted_n"))
            ),
            reused_tokens=as_count(timings.get("cache_n", details.get("cached_tokens"))),
            time_to_first_token=self._first_text,
            tokens_per_second=_speed(timings.get("predicted_per_second")),
            prefill_tokens_per_second=_speed(timings.get("prompt_per_second")),
            prepared=_prepared_use(self._prepared),
            read_tokens=_count_or_none(timings.get("prompt_n")),
        )

    def _read_choice(self, choice: Mapping[str, Any]) -> Iterator[TurnEvent]:
        delta = as_mapping(choice.get("delta"))
        for kind, text in (
            (ReasoningDelta, delta.get("reasoning_content") or delta.get("reasoning")),
            (TextDelta, delta.get("content")),
        ):
            if isinstance(text, str) and text:
                self._note_first_text()
                yield kind(text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._note_first_text()
            yield _tool_call(as_mapping(call))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish_reason = reason

    def _note_first_text(self) -> None:
        if self._first_text is None:
            self._first_text = time.monotonic() - self._began


def read_progress(progress: Mapping[str, Any]) -> PrefillProgress:
    """Read a `prompt_progress`."""
    return PrefillProgress(
        done=as_count(progress.get("processed")),
        total=as_count(progress.get("total")),
        reused=as_count(progress.get("cache")),
        seconds=as_number(progress.get("time_ms")) / 1000,
    )


def _prepared_use(prepared: Mapping[str, Any]) -> PreparedUse | None:
    if not prepared:
        return None
    return PreparedUse(
        name=as_text(prepared.get("name")),
        used=prepared.get("used") is True,
        reason=as_text(prepared.get("reason")),
        message=as_text(prepared.get("message")),
    )


def _tool_call(call: Mapping[str, Any]) -> ToolCallDelta:
    function = as_mapping(call.get("function"))
    return ToolCallDelta(
        index=as_count(call.get("index")),
        call_id=as_text(call.get("id")),
        name=as_text(function.get("name")),
        arguments=as_text(function.get("arguments")),
    )


def _count_or_none(value: object) -> int | None:
    return as_count(value) if isinstance(value, int | float) else None


def _speed(value: object) -> float | None:
    return as_number(value) or None
