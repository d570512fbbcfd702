"""One streamed answer in the OpenAI dialect, chunk by chunk, as the app's turn events."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from m1desk.engines.turn import (
    PrefillProgress,
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
    return {**body, **request.extra}


class TurnReader:
    """Gathers what the chunks of one answer say; `finished` is None until one said it ends."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first_text: float | None = None
        self._finish_reason: str | None = None
        self._usage: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}

    def read(self, chunk: Mapping[str, Any]) -> Iterator[TurnEvent]:
        """Yield the events of one chunk, in their order."""
        self._usage = _mapping(chunk.get("usage")) or self._usage
        self._timings = _mapping(chunk.get("timings")) or self._timings
        progress = _mapping(chunk.get("prompt_progress"))
        if progress:
            yield PrefillProgress(
                done=_count(progress.get("processed")),
                total=_count(progress.get("total")),
                reused=_count(progress.get("cache")),
                seconds=_number(progress.get("time_ms")) / 1000,
            )
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            yield from self._read_choice(_mapping(choice))

    def finished(self) -> TurnFinished | None:
        """Sum the answer up; None when it was never said to end."""
        if self._finish_reason is None:
            return None
        details = _mapping(self._usage.get("prompt_tokens_details"))
        timings = self._timings
        read = _count(timings.get("prompt_n")) + _count(timings.get("cache_n"))
        return TurnFinished(
            finish_reason=self._finish_reason,
            prompt_tokens=_count(self._usage.get("prompt_tokens", read)),
            completion_tokens=_count(
                self._usage.get("completion_tokens", timings.get("predicted_n"))
            ),
            reused_tokens=_count(timings.get("cache_n", details.get("cached_tokens"))),
            time_to_first_token=self._first_text,
            tokens_per_second=_speed(timings.get("predicted_per_second")),
            prefill_tokens_per_second=_speed(timings.get("prompt_per_second")),
        )

    def _read_choice(self, choice: Mapping[str, Any]) -> Iterator[TurnEvent]:
        delta = _mapping(choice.get("delta"))
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
            yield _tool_call(_mapping(call))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish_reason = reason

    def _note_first_text(self) -> None:
        if self._first_text is None:
            self._first_text = time.monotonic() - self._began


def _tool_call(call: Mapping[str, Any]) -> ToolCallDelta:
    function = _mapping(call.get("function"))
    return ToolCallDelta(
        index=_count(call.get("index")),
        call_id=_text(call.get("id")),
        name=_text(function.get("name")),
        arguments=_text(function.get("arguments")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float:
    """Take a number as it is meant; what is none, or not finite, counts as 0."""
    if not isinstance(value, int | float):
        return 0.0
    try:
        return float(value) if math.isfinite(value) else 0.0
    except OverflowError:  # JSON's whole numbers have no limit
        return 0.0


def _count(value: object) -> int:
    return int(_number(value))


def _speed(value: object) -> float | None:
    return _number(value) or None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
