"""Servers that others wrote: llama_cpp.server, and nginx before an engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from support.certificates import Authority
from support.examining import examine, failed_steps
from support.llama_cpp_server import running_llama_cpp_server
from support.programs import free_port, needs_nginx, running_nginx
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.worker import KEY, Worker, running_worker

from m1desk.engines import (
    Outcome,
    ServerProfile,
    ServerSecrets,
    Step,
    connect,
)
from m1desk.engines.turn import ChatMessage, ChatRequest, SamplingParameters, TurnFinished
from m1desk.store import Folders

SECRETS = ServerSecrets(KEY)
HELLO = ChatRequest((ChatMessage("user", "hello"),), SamplingParameters(max_tokens=4))


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama) as running:
        yield running


@pytest.fixture(scope="module")
def llama_cpp_server(tiny_llama: Path) -> Iterator[str]:
    with running_llama_cpp_server(tiny_llama) as url:
        yield url


async def test_every_step_with_llama_cpp_server(llama_cpp_server: str) -> None:
    verdicts = await examine(ServerProfile("other", llama_cpp_server), SECRETS)
    assert failed_steps(verdicts) == []
    assert verdicts[Step.KEY].what == "The key is accepted."
    assert verdicts[Step.MODELS].outcome is Outcome.WARNING  # it does not say its context
    assert verdicts[Step.STREAM].outcome is Outcome.OK
    assert "llama-cpp-python" in verdicts[Step.ABILITIES].what
    assert "does not say how far" in verdicts[Step.ABILITIES].why


async def test_llama_cpp_server_with_a_key_that_is_wrong_or_absent(llama_cpp_server: str) -> None:
    profile = ServerProfile("other", llama_cpp_server)
    for secrets, words in ((ServerSecrets("wrong-key"), "not accept"), (ServerSecrets(), "wants")):
        verdicts = await examine(profile, secrets)
        assert failed_steps(verdicts) == [Step.KEY]
        assert words in verdicts[Step.KEY].what


async def test_a_chat_with_llama_cpp_server(llama_cpp_server: str) -> None:
    profile = ServerProfile("other", llama_cpp_server)
    async with connect(profile, SECRETS, Folders.resolve()) as client:
        async with aclosing(client.stream_turn(HELLO)) as events:
            end = [event async for event in events][-1]
        assert isinstance(end, TurnFinished)
        assert await client.count_text("hello") > 0
        assert client.abilities.counts_text_at == ("/extras/tokenize/count", "input")
        assert not client.abilities.counts_messages


async def _models(_request: Request) -> Response:
    return JSONResponse({"data": [{"id": "m", "owned_by": "llamacpp"}]})


async def _tokenize(request: Request) -> Response:
    """Count the words of "content", and where there is none nothing, without a complaint."""
    content = (await request.json()).get("content", "")
    return JSONResponse({"tokens": list(range(len(content.split())))})


async def test_a_tokenizer_that_overlooks_messages_is_not_taken_to_count_them() -> None:
    """llama-server answers so: a question about documents was refused for its odd answer."""
    app = Starlette(
        routes=[
            Route("/v1/models", _models),
            Route("/tokenize", _tokenize, methods=["POST"]),
        ]
    )
    with serving(app) as url:
        async with connect(ServerProfile("other", url), SECRETS, Folders.resolve()) as client:
            assert not client.counts_exactly
            assert await client.count_tokens(HELLO.messages) == 2 + 8  # 5 characters, one message
            assert await client.count_text("one two three") == 3


def locations(engine: str) -> dict[str, str]:
    """/team streams, /held-back buffers as nginx does untold, /down is down."""
    return {
        "/team/": f"proxy_pass {engine}/; proxy_buffering off;",
        "/held-back/": f"proxy_pass {engine}/;",
        "/down/": f"proxy_pass http://127.0.0.1:{free_port()}/;",
    }


@needs_nginx
async def test_an_engine_behind_nginx_with_tls_and_a_prefix(worker: Worker, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    slow = ReverseProxy(str(worker.client.base_url).rstrip("/"), piece_seconds=0.01)
    with (
        serving(slow.app) as engine,
        running_nginx(tmp_path, authority.issue("server"), locations(engine)) as url,
    ):
        for prefix, outcome in (("/team", Outcome.OK), ("/held-back", Outcome.WARNING)):
            profile = ServerProfile("lab", url + prefix, ca_file=str(authority.file))
            verdicts = await examine(profile, SECRETS)
            assert failed_steps(verdicts) == []
            assert verdicts[Step.STREAM].outcome is outcome
        wrong = ServerProfile("lab", f"{url}/elsewhere", ca_file=str(authority.file))
        assert failed_steps(await examine(wrong, SECRETS)) == [Step.PATH]
        down = ServerProfile("lab", f"{url}/down", ca_file=str(authority.file))
        verdicts = await examine(down, SECRETS)
        assert failed_steps(verdicts) == [Step.HTTP]
        assert verdicts[Step.HTTP].why == "502 Bad Gateway"
        profile = ServerProfile("lab", f"{url}/team", ca_file=str(authority.file))
        assert failed_steps(await examine(profile, ServerSecrets())) == [Step.KEY]
        plain = ServerProfile("lab", f"{url.replace('https:', 'http:')}/team")
        verdicts = await examine(plain, SECRETS)
        assert verdicts[Step.PATH].todo == "Use an address with https://."
