"""Answers that no engine would give: whatever a server sends, the client's errors are its own."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m1desk.engines.metrics import parse_metrics
from m1desk.engines.refusal import refusal_from_response
from m1desk.engines.sse import SseDecoder
from m1desk.engines.turn_stream import TurnReader
from m1desk.errors import EngineRefused

NAMES = st.sampled_from(
    [
        *("error", "detail", "message", "code", "type", "choices", "delta", "content", "usage"),
        *("timings", "prompt_progress", "tool_calls", "function", "n_ctx", "finish_reason"),
        *("cache_n", "prompt_tokens", "processed", "loc", "msg", "reasoning", "index", "total"),
        "prompt_n",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=30,
)


@given(chunks=st.lists(st.dictionaries(NAMES, JSON, max_size=6), max_size=4))
def test_any_chunks_can_be_read(chunks: list[dict[str, Any]]) -> None:
    reader = TurnReader()
    for chunk in chunks:
        list(reader.read(chunk))
    reader.finished()


@given(status=st.integers(200, 599), body=JSON.map(json.dumps).map(str.encode) | st.binary())
def test_any_body_makes_a_refusal(status: int, body: bytes) -> None:
    error = refusal_from_response(status, body)
    assert isinstance(error, EngineRefused)
    assert error.what
    assert len(error.why) < 600


@given(st.text() | st.from_regex(r"(?m)^m1desk_[a-z]{1,9}(\{[a-z=\",]{0,9}\})? [0-9.eNan+]{1,6}$"))
def test_any_text_is_metrics_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        parse_metrics(text, at=1.0)


@given(chunks=st.lists(st.binary(max_size=20)))
def test_any_bytes_can_be_decoded(chunks: list[bytes]) -> None:
    decoder = SseDecoder()
    for chunk in chunks:
        decoder.feed(chunk)


@pytest.mark.timeout(20)
def test_a_page_made_to_be_slow_is_read_all_the_same() -> None:
    assert refusal_from_response(502, b"<script><title>" * 100_000).status == 502


def test_deep_nesting_is_shown_as_it_came() -> None:
    assert refusal_from_response(500, b"[" * 100_000).why.startswith("[[")
