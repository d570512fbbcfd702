"""What a caller gets from an engine's answers, good and bad, over a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from scripted_server import DROP, HANG, ScriptedServer, answer, data, scripted_server, stream

from m1desk.engines import Endpoint, EngineClient
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    PrefillProgress,
    ReasoningDelta,
    SamplingParameters,
    TextDelta,
    ToolCallDelta,
    TurnEvent,
    TurnFinished,
)
from m1desk.errors import EngineRefused, EngineUnreachable

HELLO = ChatRequest((ChatMessage("user", "hello"),))
DONE = b"data: [DONE]\n\n"


def delta(**fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def finish(reason: str) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[EngineClient]:
    client = EngineClient(Endpoint(server.base_url, "some-model", "secret"))
    yield client
    await client.aclose()


async def ask(client: EngineClient, request: ChatRequest = HELLO) -> list[TurnEvent]:
    async with aclosing(client.stream_turn(request)) as events:
        return [event async for event in events]


async def refusal(client: EngineClient) -> EngineRefused:
    with pytest.raises(EngineRefused) as caught:
        await ask(client)
    return caught.value


async def test_an_answer_comes_piece_by_piece_and_sums_up(
    client: EngineClient, server: ScriptedServer
) -> None:
    server.script = stream(
        data({"choices": [], "prompt_progress": {"total": 9, "cache": 4, "processed": 4}}),
        data(
            {
                "choices": [],
                "prompt_progress": {"total": 9, "cache": 4, "processed": 9, "time_ms": 500},
            }
        ),
        data(delta(role="assistant", content="")),
        data(delta(reasoning_content="hm")),
        data(delta(reasoning=" well")),
        data(delta(content="Good ")),
        data(delta(content="day")),
        data(finish("stop")),
        data(
            {
                "choices": [],
                "usage": {"prompt_tokens": 9, "completion_tokens": 4},
                "timings": {
                    "cache_n": 4,
                    "prompt_n": 5,
                    "prompt_per_second": 10.0,
                    "predicted_n": 4,
                    "predicted_per_second": 20.5,
                },
            }
        ),
        DONE,
    )
    *events, end = await ask(client)
    assert events == [
        PrefillProgress(4, 9, 4, 0.0),
        PrefillProgress(9, 9, 4, 0.5),
        ReasoningDelta("hm"),
        ReasoningDelta(" well"),
        TextDelta("Good "),
        TextDelta("day"),
    ]
    assert isinstance(events[1], PrefillProgress)
    assert events[1].tokens_per_second == 10.0
    assert isinstance(end, TurnFinished)
    assert (end.finish_reason, end.prompt_tokens, end.completion_tokens) == ("stop", 9, 4)
    assert (end.reused_tokens, end.read_tokens, end.tokens_per_second) == (4, 5, 20.5)
    assert end.prefill_tokens_per_second == 10.0
    assert end.time_to_first_token is not None
    assert end.time_to_first_token > 0


async def test_a_server_that_tells_less_is_understood_too(
    client: EngineClient, server: ScriptedServer
) -> None:
    server.script = stream(data(delta(content="a")), data(finish("length")), DONE)
    text, end = await ask(client)
    assert text == TextDelta("a")
    assert isinstance(end, TurnFinished)
    assert (end.finish_reason, end.prompt_tokens, end.tokens_per_second) == ("length", 0, None)
    assert end.read_tokens is None


async def test_tool_calls_come_with_their_arguments(
    client: EngineClient, server: ScriptedServer
) -> None:
    call = {"index": 1, "id": "c7", "function": {"name": "look", "arguments": '{"at": 1}'}}
    server.script = stream(data(delta(tool_calls=[call])), data(finish("tool_calls")), DONE)
    events = await ask(client)
    assert events[0] == ToolCallDelta(1, "c7", "look", '{"at": 1}')


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
async def test_it_does_not_matter_how_the_stream_is_cut(
    client: EngineClient, server: ScriptedServer, size: int, line_end: bytes
) -> None:
    text = "Grüße \u2028 \x85 你好 🙂 ende"
    whole = b": a comment\nevent: x\n" + data(delta(content=text)) + data(finish("stop")) + DONE
    whole = whole.replace(b"\n", line_end)
    server.script = stream(*(whole[at : at + size] for at in range(0, len(whole), size)))
    assert (await ask(client))[0] == TextDelta(text)


async def test_the_request_says_what_was_chosen_and_nothing_else(
    client: EngineClient, server: ScriptedServer
) -> None:
    server.script = stream(data(finish("stop")), DONE)
    sampling = SamplingParameters(temperature=0.0, max_tokens=5, stop=("end",))
    messages = (ChatMessage("system", "be kind"), ChatMessage("user", "hello"))
    await ask(client, ChatRequest(messages, sampling, {"cache_prompt": True}))
    ((line, headers, body),) = server.requests
    assert line.startswith("POST /v1/chat/completions")
    assert headers["authorization"] == "Bearer secret"
    assert body == {
        "model": "some-model",
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "hello"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "temperature": 0.0,
        "max_tokens": 5,
        "stop": ["end"],
        "cache_prompt": True,
    }


ERRORS: list[tuple[str, object, str]] = [
    ("401 Unauthorized", {"error": "Unauthorized"}, "Unauthorized"),
    ("400 Bad Request", {"error": {"message": "no such role", "type": "x"}}, "no such role"),
    ("404 Not Found", {"detail": "Not Found"}, "Not Found"),
    (
        "422 Unprocessable",
        {"detail": [{"loc": ["body", "top_p"], "msg": "must be a number"}]},
        "body.top_p: must be a number",
    ),
    ("500 Oops", {"object": "error", "message": "it broke", "code": 500}, "it broke"),
    ("418 Teapot", ["anything"], "anything"),
]


@pytest.mark.parametrize(("status", "body", "why"), ERRORS)
async def test_errors_of_every_shape_become_readable(
    client: EngineClient, server: ScriptedServer, status: str, body: object, why: str
) -> None:
    server.script = answer(status, json.dumps(body).encode())
    error = await refusal(client)
    assert error.status == int(status[:3])
    assert error.why == why
    assert error.what


async def test_a_proxys_page_is_shown_without_its_markup(
    client: EngineClient, server: ScriptedServer
) -> None:
    page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>x</h1></body></html>"
    server.script = answer("502 Bad Gateway", page, "text/html")
    error = await refusal(client)
    assert (error.status, error.why) == (502, "502 Bad Gateway")
    page = b"<html><style>p { color: red }</style><p>Sign&nbsp;in <b>first</b></p></html>"
    server.script = answer("200 OK", page, "text/html")
    error = await refusal(client)
    assert error.why == "Sign in first"
    assert "login page" in error.todo


async def test_an_error_inside_a_good_stream_is_an_error(
    client: EngineClient, server: ScriptedServer
) -> None:
    broken = {
        "error": {"message": "the engine is dead", "type": "InternalServerError", "code": 500}
    }
    server.script = stream(data(delta(content="half")), data(broken), DONE)
    received: list[TurnEvent] = []

    async def keep() -> None:
        async with aclosing(client.stream_turn(HELLO)) as events:
            async for event in events:
                received.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(EngineRefused) as caught:
        await keep()
    assert received == [TextDelta("half")]
    assert caught.value.why == "the engine is dead"
    assert caught.value.code == "InternalServerError"


async def test_too_long_a_prompt_is_said_with_both_numbers(
    client: EngineClient, server: ScriptedServer
) -> None:
    error = {
        "message": "too long",
        "type": "exceed_context_size_error",
        "code": 400,
        "n_prompt_tokens": 12_000,
        "n_ctx": 8192,
    }
    server.script = answer("400 Bad Request", json.dumps({"error": error}).encode())
    refused = await refusal(client)
    assert refused.code == "exceed_context_size_error"
    assert "12,000" in refused.why
    assert "8,192" in refused.why


@pytest.mark.parametrize(
    "script",
    [
        [DROP],
        stream(data(delta(content="half")), DROP),
        stream(data(delta(content="half"))),
        stream(data(delta(content="half")), DONE),
        stream(data(delta(content="half")), b"data: {not json\n\n"),
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\ndata"],
        [b"this is no HTTP\r\n\r\n"],
    ],
    ids=["reset", "reset later", "ends early", "done too soon", "no json", "short", "no http"],
)
async def test_a_stream_without_an_end_is_never_a_success(
    client: EngineClient, server: ScriptedServer, script: list[Any]
) -> None:
    server.script = script
    with pytest.raises(EngineUnreachable):
        await ask(client)


@pytest.mark.parametrize(
    ("script", "why", "technical"),
    [
        ([DROP], "broke off", "Error: "),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\na"],
            "broke off",
            "without sending complete message body",
        ),
        (stream(b"data: {not json\n\n"), "not what an engine sends", "line 1 column"),
    ],
    ids=["reset", "short", "no json"],
)
async def test_a_cut_stream_is_said_in_words_and_its_cause_is_logged(
    client: EngineClient,
    server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    script: list[Any],
    why: str,
    technical: str,
) -> None:
    server.script = script
    with pytest.raises(EngineUnreachable) as caught:
        await ask(client)
    error = caught.value
    assert error.what == "The answer was cut off."
    assert why in error.why
    assert "have the answer written again" in error.todo
    assert technical not in str(error)
    assert technical in caplog.text


async def test_nobody_at_the_address_is_unreachable(server: ScriptedServer) -> None:
    client = EngineClient(Endpoint("http://127.0.0.1:1", "m", ""))
    with pytest.raises(EngineUnreachable, match="does not answer"):
        await ask(client)
    await client.aclose()


async def test_closing_the_generator_closes_the_connection(
    client: EngineClient, server: ScriptedServer
) -> None:
    server.script = stream(data(delta(content="a")), HANG)
    events = client.stream_turn(HELLO)
    assert await anext(events) == TextDelta("a")
    assert not server.client_left.is_set()
    await events.aclose()
    async with asyncio.timeout(5):
        await server.client_left.wait()


async def test_cancelling_a_silent_prefill_closes_the_connection(
    client: EngineClient, server: ScriptedServer
) -> None:
    server.script = [HANG]  # not even headers yet
    asking = asyncio.create_task(ask(client))
    async with asyncio.timeout(5):
        while not server.requests:
            await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        await server.client_left.wait()


async def test_a_proxy_of_the_user_is_not_asked(
    client: EngineClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    other = EngineClient(Endpoint(server.base_url, "m", ""))
    server.script = answer("200 OK", b'{"data": [{"id": "a"}, {"id": "b"}]}')
    assert await other.models() == ("a", "b")
    await other.aclose()


async def test_tokens_are_counted_with_the_template(
    client: EngineClient, server: ScriptedServer
) -> None:
    server.script = answer("200 OK", b'{"tokens": [1, 2], "count": 2, "max_model_len": 4096}')
    assert await client.count_tokens(HELLO.messages) == 2
    (_line, _headers, body) = server.requests[0]
    assert body["messages"] == [{"role": "user", "content": "hello"}]
    assert body["count_only"] is True


@pytest.mark.parametrize("body", [b"[]", b"{}", b"<html>hi</html>", b"\xff"])
async def test_an_answer_of_another_program_is_refused(
    client: EngineClient, server: ScriptedServer, body: bytes
) -> None:
    server.script = answer("200 OK", body)
    with pytest.raises(EngineRefused, match="did not answer as an engine does"):
        await client.count_tokens(HELLO.messages)


async def test_the_key_stays_out_of_what_is_shown() -> None:
    client = EngineClient(Endpoint("http://127.0.0.1:1", "m", "secret"))
    with pytest.raises(EngineUnreachable) as caught:
        await client.props()
    assert "secret" not in f"{caught.value!r} {client._endpoint!r}"
    await client.aclose()
