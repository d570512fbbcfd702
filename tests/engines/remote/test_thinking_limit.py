"""A limit on thinking goes to a server under the name that the server has for it."""

from __future__ import annotations

import json
from contextlib import aclosing

import httpx
import pytest

from m1desk.engines import (
    RemoteClient,
    ServedModel,
    ServerAbilities,
    ServerProfile,
    ServerSecrets,
)
from m1desk.engines.remote.abilities import ServerKind
from m1desk.engines.turn import ChatMessage, ChatRequest, SamplingParameters

ANSWER = (
    b'data: {"choices":[{"delta":{"content":"Yes"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("m1desk", "thinking_budget_tokens"),
        ("llama-server", "thinking_budget_tokens"),
        ("vllm", "thinking_token_budget"),
        ("llama-cpp-python", None),
        ("unknown", None),
    ],
)
async def test_each_server_is_told_in_its_own_words(kind: ServerKind, field: str | None) -> None:
    asked: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=ANSWER)

    client = RemoteClient(
        ServerProfile("lab", "http://127.0.0.1:1"),
        ServerSecrets(),
        ServedModel("m"),
        ServerAbilities(kind=kind),
        httpx.MockTransport(answer),
    )
    sampling = SamplingParameters(thinking_tokens=100)
    request = ChatRequest((ChatMessage("user", "Hello"),), sampling)
    async with aclosing(client.stream_turn(request)) as events:
        assert [event async for event in events]
    await client.aclose()
    (body,) = asked
    told = {name: value for name, value in body.items() if "thinking" in name}
    assert told == ({} if field is None else {field: 100})
