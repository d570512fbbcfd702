"""The one server that is used in place of this machine's engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from support.lost_node import LostNode
from support.memory_keyring import MemoryKeyring
from support.serving import serving
from support.worker import KEY, Worker, running_worker

from m1desk.engines import (
    ServerInUse,
    ServerProfile,
    ServerRecovery,
    Servers,
    ServerSecrets,
    ServerTrouble,
    StallPatience,
)
from m1desk.engines.turn import ChatMessage, ChatRequest, SamplingParameters, TurnFinished
from m1desk.errors import BadInput, EngineError, EngineStalled, EngineUnreachable
from m1desk.store import Database, Folders

HELLO = ChatRequest((ChatMessage("user", "hello"),), SamplingParameters(max_tokens=200))


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama) as running:
        yield running


@pytest.fixture
def database() -> Iterator[Database]:
    with Database(Folders.resolve().database) as made:
        yield made


@pytest.fixture
def heard() -> list[object]:
    return []


@pytest.fixture
def servers(
    database: Database, heard: list[object], memory_keyring: MemoryKeyring, worker: Worker
) -> Servers:
    made = Servers(database, Folders.resolve(), heard.append)
    url = str(worker.client.base_url).rstrip("/")
    made.store.add(ServerProfile("lab", url), ServerSecrets(KEY))
    return made


async def _listen(server: ServerInUse) -> list[object]:
    async with aclosing(server.stream_turn(HELLO)) as events:
        return [event async for event in events]


async def test_it_says_who_answers_and_shows_its_counters(servers: Servers) -> None:
    server = await servers.use("lab")
    assert server.model.endswith(" on lab")
    status = server.status
    assert (status.server, status.context_tokens) == ("lab", 1024)
    assert KEY not in repr(status)
    metrics = await server.metrics()
    assert metrics is not None
    assert metrics.kv_tokens > 0
    await servers.leave()
    assert servers.in_use is None
    await servers.close()


async def test_an_answer_that_is_being_written_ends_before_the_server_is_left(
    servers: Servers,
) -> None:
    server = await servers.use("lab")
    async with aclosing(server.stream_turn(HELLO)) as events:
        await anext(events)
        await servers.leave()
        rest = [event async for event in events]
    assert isinstance(rest[-1], TurnFinished)
    with pytest.raises(EngineUnreachable, match="not in use any more"):
        await server.count_text("hello")


async def test_a_server_that_can_not_be_reached_changes_nothing(
    servers: Servers, memory_keyring: MemoryKeyring
) -> None:
    before = await servers.use("lab")
    servers.store.add(ServerProfile("gone", "http://127.0.0.1:1"))
    with pytest.raises(EngineError, match="gone does not answer"):
        await servers.use("gone")
    assert servers.in_use is before
    memory_keyring.kept.clear()
    with pytest.raises(BadInput, match="wants a key"):
        await servers.use("lab")
    await servers.close()


async def test_a_stall_is_told_and_an_answer_after_it(
    database: Database, heard: list[object], worker: Worker
) -> None:
    patience = StallPatience(
        first_seconds=2.0, silence_seconds=0.5, look_seconds=0.1, answer_seconds=1.0
    )
    servers = Servers(database, Folders.resolve(), heard.append, patience)
    node = LostNode()
    with serving(node.app) as url:
        servers.store.add(ServerProfile("cluster", url))
        server = await servers.use("cluster")
        with pytest.raises(EngineStalled):
            await _listen(server)
        (told,) = heard
        assert isinstance(told, ServerTrouble)
        assert (told.server, type(told.error)) == ("cluster", EngineStalled)
        assert server.status.is_silent
        node.goes_on_after = node.looks
        assert isinstance((await _listen(server))[-1], TurnFinished)
        assert heard[1:] == [ServerRecovery("cluster")]
        assert not server.status.is_silent
        await servers.close()


async def test_several_answers_that_belong_together_end_before_it_is_left(servers: Servers) -> None:
    server = await servers.use("lab")
    async with server.needed():
        await servers.leave()
        assert isinstance((await _listen(server))[-1], TurnFinished)
        assert isinstance((await _listen(server))[-1], TurnFinished)
    with pytest.raises(EngineUnreachable, match="not in use any more"):
        await server.count_text("hello")
