"""Servers that others wrote: llama_cpp.server, and nginx before an engine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path

import httpx
import pytest
from support.certificates import Authority
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.worker import KEY, Worker, running_worker

from m1desk.engines import (
    Outcome,
    ServerProfile,
    ServerSecrets,
    Step,
    StepVerdict,
    connect,
    examine_server,
)
from m1desk.engines.turn import ChatMessage, ChatRequest, SamplingParameters, TurnFinished
from m1desk.store import Folders

NGINX = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
needs_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx here (Debian: nginx-light)")
SECRETS = ServerSecrets(KEY)
HELLO = ChatRequest((ChatMessage("user", "hello"),), SamplingParameters(max_tokens=4))


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama) as running:
        yield running


@pytest.fixture(scope="module")
def llama_cpp_server(tiny_llama: Path) -> Iterator[str]:
    port = free_port()
    options = {"model": tiny_llama, "host": "127.0.0.1", "port": port, "n_ctx": 512}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "llama_cpp.server", *words, "--n_threads", "1"]
    with running(command, port, {**os.environ, "API_KEY": KEY}) as url:
        yield url


async def examine(
    profile: ServerProfile, secrets: ServerSecrets = SECRETS
) -> dict[Step, StepVerdict]:
    async with aclosing(examine_server(profile, secrets, Folders.resolve())) as steps:
        return {verdict.step: verdict async for verdict in steps}


def failed_steps(verdicts: dict[Step, StepVerdict]) -> list[Step]:
    return [step for step, one in verdicts.items() if one.outcome is Outcome.FAILED]


async def test_every_step_with_llama_cpp_server(llama_cpp_server: str) -> None:
    verdicts = await examine(ServerProfile("other", llama_cpp_server))
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


@needs_nginx
async def test_an_engine_behind_nginx_with_tls_and_a_prefix(worker: Worker, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    slow = ReverseProxy(str(worker.client.base_url).rstrip("/"), piece_seconds=0.01)
    with serving(slow.app) as engine, nginx(tmp_path, authority, engine) as url:
        for prefix, outcome in (("/team", Outcome.OK), ("/held-back", Outcome.WARNING)):
            profile = ServerProfile("lab", url + prefix, ca_file=str(authority.file))
            verdicts = await examine(profile)
            assert failed_steps(verdicts) == []
            assert verdicts[Step.STREAM].outcome is outcome
        wrong = ServerProfile("lab", f"{url}/elsewhere", ca_file=str(authority.file))
        assert failed_steps(await examine(wrong)) == [Step.PATH]
        down = ServerProfile("lab", f"{url}/down", ca_file=str(authority.file))
        verdicts = await examine(down)
        assert failed_steps(verdicts) == [Step.HTTP]
        assert verdicts[Step.HTTP].why == "502 Bad Gateway"
        profile = ServerProfile("lab", f"{url}/team", ca_file=str(authority.file))
        assert failed_steps(await examine(profile, ServerSecrets())) == [Step.KEY]
        plain = ServerProfile("lab", f"{url.replace('https:', 'http:')}/team")
        verdicts = await examine(plain)
        assert verdicts[Step.PATH].todo == "Use an address with https://."


@contextmanager
def nginx(folder: Path, authority: Authority, engine: str) -> Iterator[str]:
    """An nginx with TLS: /team streams, /held-back buffers as it does untold, /down is down."""
    assert NGINX is not None
    files = authority.issue("server")
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"daemon off; {user} pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events {}\nhttp {\naccess_log off;\n" + temporary + "server {\n"
        f"listen 127.0.0.1:{port} ssl;\nssl_certificate {files.certificate};\n"
        f"ssl_certificate_key {files.key};\n"
        f"location /team/ {{ proxy_pass {engine}/; proxy_buffering off; }}\n"
        f"location /held-back/ {{ proxy_pass {engine}/; }}\n"
        f"location /down/ {{ proxy_pass http://127.0.0.1:{free_port()}/; }}\n"
        "}\n}\n"
    )
    command = [NGINX, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    with running(command, port, dict(os.environ)):
        yield f"https://127.0.0.1:{port}"


@contextmanager
def running(command: Sequence[str], port: int, environment: dict[str, str]) -> Iterator[str]:
    """A server that answers at `port`, ended afterwards."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while not _answers(url):
            assert process.poll() is None, f"{command[0]} ended"
            assert time.monotonic() < deadline, f"{command[0]} does not answer"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/v1/models", trust_env=False)
    except httpx.TransportError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
