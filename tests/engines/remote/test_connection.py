"""A remote server asked like an engine of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from support.certificates import Authority, self_signed
from support.lost_node import LostNode
from support.reverse_proxy import ReverseProxy
from support.serving import serving, shaking_hands
from support.worker import KEY, Worker, running_worker

from m1desk.engines import RemoteClient, ServerProfile, ServerSecrets, connect
from m1desk.engines.remote.transport import RetryPolicy
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    PrefillProgress,
    SamplingParameters,
    TurnEvent,
    TurnFinished,
)
from m1desk.errors import EngineRefused, EngineUnreachable
from m1desk.store import Folders

SECRETS = ServerSecrets(KEY)
MESSAGES = (ChatMessage("user", "Tell me a story about a lighthouse."),)
HELLO = ChatRequest(MESSAGES, SamplingParameters(temperature=0.0, max_tokens=8))


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama) as running:
        yield running


@pytest.fixture(scope="module")
def address(worker: Worker) -> str:
    return str(worker.client.base_url).rstrip("/")


async def ask(client: RemoteClient, request: ChatRequest = HELLO) -> list[TurnEvent]:
    async with aclosing(client.stream_turn(request)) as events:
        return [event async for event in events]


async def test_a_chat_through_a_proxy_with_tls_a_prefix_and_a_header(
    address: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    proxy = ReverseProxy(address, prefix="/team")
    with serving(proxy.app, authority.issue("server")) as url:
        profile = ServerProfile(
            "lab", f"{url}/team", ca_file=str(authority.file), headers=(("X-Team", "lab"),)
        )
        async with connect(profile, SECRETS, Folders.resolve()) as client:
            assert client.model == "tiny llama"
            assert client.context_tokens == 1024
            *events, end = await ask(client)
            assert isinstance(end, TurnFinished)
            assert end.completion_tokens == 8
            assert any(isinstance(event, PrefillProgress) for event in events)
            counted = await client.count_tokens(MESSAGES)
            assert counted == end.prompt_tokens
            assert 0 < await client.count_text(MESSAGES[0].content) < counted
            assert (await client.metrics()).generated_tokens >= 8
            abilities = client.abilities
    assert (abilities.kind, abilities.prefill_progress) == ("m1desk", True)
    assert all(one["x-team"] == "lab" for one in proxy.heard)


async def test_where_only_the_api_is_let_through_lengths_are_estimates(address: str) -> None:
    with serving(ReverseProxy(address, only=("/v1",)).app) as url:
        async with connect(ServerProfile("lab", url), SECRETS, Folders.resolve()) as client:
            assert not client.abilities.counts_messages
            assert client.abilities.counts_text_at is None
            end = (await ask(client))[-1]
            assert isinstance(end, TurnFinished)
            assert await client.count_tokens(MESSAGES) == 10 + 8  # 35 characters, one message
            assert await client.count_text("漢字") == 2
            assert not client.abilities.metrics


async def test_a_server_that_refuses_to_be_asked_for_progress_is_asked_without() -> None:
    node = LostNode(refuses_progress=True)
    with serving(node.app) as url:
        async with connect(ServerProfile("strict", url), SECRETS, Folders.resolve()) as client:
            assert isinstance((await ask(client))[-1], TurnFinished)
            assert isinstance((await ask(client))[-1], TurnFinished)
            assert client.abilities.prefill_progress is not True
    assert ["return_progress" in body for body in node.asked] == [True, False, False]


async def test_half_an_answer_is_never_asked_for_again() -> None:
    node = LostNode(breaks_off=True)
    with serving(node.app) as url:
        async with connect(ServerProfile("lab", url), SECRETS, Folders.resolve()) as client:
            with pytest.raises(EngineUnreachable, match="The connection to lab was lost"):
                await ask(client)
    assert len(node.asked) == 1


async def test_a_model_that_the_server_has_not(address: str) -> None:
    profile = ServerProfile("lab", address, model="huge")
    with pytest.raises(EngineRefused, match=r"lab has no model huge\. It has: tiny llama"):
        await _only_connect(profile)


async def test_a_wrong_key_is_not_repeated_in_the_error(address: str) -> None:
    with pytest.raises(EngineRefused) as caught:
        await _only_connect(ServerProfile("lab", address), ServerSecrets("wrong-key-12345"))
    assert caught.value.status == 401
    assert "wrong-key-12345" not in str(caught.value)


async def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    with (
        shaking_hands(self_signed(tmp_path, "own")) as url,
        pytest.raises(EngineUnreachable, match="signed by itself"),
    ):
        await _only_connect(ServerProfile("lab", url))


async def test_a_server_that_is_started_a_little_later_is_waited_for(address: str) -> None:
    proxy = ReverseProxy(address, down=True)
    with serving(proxy.app) as url:
        profile = ServerProfile("lab", url)

        async def start() -> None:
            while not proxy.heard:
                await asyncio.sleep(0.01)
            proxy.down = False

        starting = asyncio.create_task(start())
        async with connect(profile, SECRETS, Folders.resolve()) as client:
            assert isinstance((await ask(client))[-1], TurnFinished)
        await starting
        proxy.down = True
        with pytest.raises(EngineRefused, match="502 Bad Gateway"):
            await _only_connect(profile, SECRETS, RetryPolicy(tries=1))


async def _only_connect(
    profile: ServerProfile,
    secrets: ServerSecrets = SECRETS,
    retries: RetryPolicy | None = None,
) -> None:
    async with connect(profile, secrets, Folders.resolve(), retries=retries):
        pytest.fail("this must not work")
