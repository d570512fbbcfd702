"""Preparing documents through the engine's client: against the real worker, and against others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from scripted_server import ScriptedServer, answer, data, scripted_server, stream

from m1desk.engines import (
    CheckpointPlan,
    Endpoint,
    EngineCalibration,
    EngineClient,
    EngineStatus,
    LlamaEngine,
    LlamaSettings,
    PreparedDocument,
    PrepareEvent,
    PrepareFinished,
    StateNotSaved,
    StateRefusal,
    StateSaved,
)
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    PrefillProgress,
    PreparedUse,
    SamplingParameters,
    TurnFinished,
)
from m1desk.errors import EngineRefused, EngineUnreachable
from m1desk.store import Folders

BOOK = "The cat sat on the mat and looked at 12 dogs. " * 40
OFTEN = CheckpointPlan(first_tokens=200, growth=1.25, seconds=0.0)
DONE = b"data: [DONE]\n\n"


class SafeSettings:
    """What a calibration might have found; a machine of the user's may need the safe setting."""

    def get(self, key: str) -> dict[str, object]:
        return EngineCalibration(threads=1, self_test="safe_only").to_dict()

    def put(self, key: str, value: object) -> None:
        raise AssertionError("loading measures nothing")


def book(text: str = BOOK) -> tuple[ChatMessage, ...]:
    return (ChatMessage("user", text),)


async def prepare(client: EngineClient, name: str = "book") -> list[PrepareEvent]:
    async with aclosing(client.prepare(name, book(), OFTEN)) as events:
        return [event async for event in events]


async def ask(client: EngineClient, question: str) -> TurnFinished:
    request = ChatRequest(
        book(f"{BOOK}\n\n{question}"),
        SamplingParameters(temperature=0.0, max_tokens=4),
        prepared="book",
    )
    async with aclosing(client.stream_turn(request)) as events:
        *_, end = [event async for event in events]
    assert isinstance(end, TurnFinished)
    return end


async def load(home: Path, model: Path) -> LlamaEngine:
    engine = LlamaEngine(Folders.under(home), SafeSettings(), _ignore)
    status = await engine.load(LlamaSettings(model, context_tokens=4096, parallel=2))
    assert status.is_ready, status.failure
    return engine


def _ignore(status: EngineStatus) -> None:
    del status


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[EngineClient]:
    client = EngineClient(Endpoint(server.base_url, "some-model", "secret"))
    yield client
    await client.aclose()


async def test_a_document_is_prepared_listed_asked_after_a_restart_and_deleted(
    home: Path, tiny_minimax: Path
) -> None:
    engine = await load(home, tiny_minimax)
    client = engine.client()
    assert await client.supports_prepared()
    events = await prepare(client)
    *_, end = events
    assert isinstance(end, PrepareFinished)
    assert (end.name, end.restored_tokens, end.read_tokens) == ("book", 0, end.tokens)
    saved = [event for event in events if isinstance(event, StateSaved)]
    assert saved[-1] == StateSaved(end.tokens, end.size)
    assert len(saved) > 1
    assert any(isinstance(event, PrefillProgress) for event in events)
    await engine.unload()

    engine = await load(home, tiny_minimax)
    client = engine.client()
    (document,) = await client.list_prepared()
    assert (document.name, document.tokens, document.size) == ("book", end.tokens, end.size)
    assert (document.complete, document.refusal) == (True, None)
    assert document.model == "tiny minimax"
    first = await ask(client, "Who sat there?")
    assert first.prepared == PreparedUse("book", used=True, reason="restored")
    assert first.reused_tokens == end.tokens
    assert first.prompt_tokens - first.reused_tokens < 60
    await client.delete_prepared("book")
    assert await client.list_prepared() == ()
    with pytest.raises(EngineRefused) as caught:
        await client.delete_prepared("book")
    assert caught.value.status == 404
    await engine.unload()
    assert list((Folders.under(home).data / "prepared").iterdir()) == []


async def test_every_event_of_a_preparation_is_told(
    client: EngineClient, server: ScriptedServer
) -> None:
    server.script = stream(
        data({"refused": {"reason": "damaged", "message": "It is damaged."}}),
        data({"prompt_progress": {"total": 9, "cache": 0, "processed": 4, "time_ms": 500}}),
        data({"something": "new"}),
        data({"saved": {"tokens": 4, "bytes": 100}}),
        data({"save_failed": {"reason": "disk_full", "message": "It is full."}}),
        data(
            {
                "prepared": {
                    "name": "book", "tokens": 9, "bytes": 200,
                    "restored_tokens": 0, "read_tokens": 9, "seconds": 1.5,
                }
            }
        ),
        DONE,
    )  # fmt: skip
    assert await prepare(client) == [
        StateRefusal("damaged", "It is damaged."),
        PrefillProgress(4, 9, 0, 0.5),
        StateSaved(4, 100),
        StateNotSaved("disk_full", "It is full."),
        PrepareFinished("book", 9, 200, 0, 9, 1.5),
    ]
    ((first, _, sent),) = server.requests
    assert first.startswith("POST /v1/prepared/book ")
    assert sent["messages"] == [{"role": "user", "content": BOOK}]
    assert sent["checkpoint"] == {"first_tokens": 200, "growth": 1.25, "seconds": 0.0}


async def test_a_preparation_without_an_end_is_no_success(
    client: EngineClient, server: ScriptedServer
) -> None:
    server.script = stream(data({"saved": {"tokens": 4, "bytes": 100}}), DONE)
    with pytest.raises(EngineUnreachable):
        await prepare(client)
    full = {"message": "The state could not be saved.", "type": "disk_full", "code": 500}
    server.script = stream(data({"error": full}), DONE)
    with pytest.raises(EngineRefused) as caught:
        await prepare(client)
    assert caught.value.code == "disk_full"


@pytest.mark.parametrize(
    "props",
    [
        answer("200 OK", b'{"build_info": "llama-server", "total_slots": 4}'),
        answer("200 OK", b'{"extensions": ["timings"]}'),
        answer("200 OK", b'{"extensions": "prepared"}'),
        answer("404 Not Found", b'{"detail": "Not Found"}'),
    ],
)
async def test_engines_that_keep_none_are_asked_and_believed(
    client: EngineClient, server: ScriptedServer, props: list[bytes | object]
) -> None:
    server.script = props
    assert not await client.supports_prepared()
    server.script = stream(
        data({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}), DONE
    )
    end = await ask(client, "Who?")
    assert end.prepared is not None
    assert (end.prepared.used, end.prepared.reason) == (False, "unsupported")
    assert "prepared" not in server.requests[-1][2]
    assert len(server.requests) == 2  # it was asked once


async def test_a_list_is_read_with_distrust(client: EngineClient, server: ScriptedServer) -> None:
    refused = b'{"reason": "other_model", "message": "It was."}'
    server.script = answer(
        "200 OK", b'{"data": [{"name": "a", "tokens": "x", "refused": %b}, 7, {}]}' % refused
    )
    one, empty = await client.list_prepared()
    assert one == PreparedDocument(
        "a", 0, 0, complete=False, created=0.0, model="",
        refusal=StateRefusal("other_model", "It was."),
    )  # fmt: skip
    assert empty.name == ""
    server.script = answer("200 OK", b'{"data": 5}')
    with pytest.raises(EngineRefused):
        await client.list_prepared()
