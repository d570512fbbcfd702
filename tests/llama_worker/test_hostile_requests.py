"""What nobody well-meaning sends: the worker answers in words and lives on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.gguf_surgery import STRING, read_gguf
from support.worker import KEY, Worker, command, launch, read_events, running_worker

from m1desk.wire import KEY_VARIABLE, Failed, Listening, decode_event

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama, context=4096) as running:
        yield running


@pytest.fixture(autouse=True)
def _worker_lives_on(worker: Worker) -> Iterator[None]:
    yield
    assert worker.complete("still there?", max_tokens=2)["usage"]["completion_tokens"] == 2
    wait_until_idle(worker)


def wait_until_idle(worker: Worker) -> None:
    for _ in range(500):
        busy = worker.metric("m1desk_requests_running") + worker.metric("m1desk_requests_waiting")
        if not busy:
            return
        time.sleep(0.02)
    pytest.fail("requests that nobody waits for are still served")


def port_of(worker: Worker) -> int:
    return next(event.port for event in worker.events if isinstance(event, Listening))


def listening_port(process: subprocess.Popen[bytes]) -> int:
    """Where a worker answers, once it is ready."""
    return next(event.port for event in list(read_events(process)) if isinstance(event, Listening))


def head(path: str, **headers: object) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {KEY}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(worker: Worker, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = worker.client.post("/v1/completions", json={"prompt": "x", "max_tokens": 8, **body})
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "options",
    [
        {"repeat_penalty": 1.3},
        {"repeat_penalty": 1e-30, "repeat_last_n": 1_000_000},
        {"presence_penalty": 1.5, "frequency_penalty": -1.5, "repeat_last_n": 0},
        {"temperature": 1e-40},
        {"temperature": 5, "top_p": 1e-9, "typical_p": 1e-9, "min_p": 1.0},
        {"top_k": 2**31 - 1, "top_p": 1.0, "min_p": 0.0},
        {"temperature": 1e-40, "grammar": 'root ::= "yes"'},
    ],
)
def test_every_sampling_setting_gives_an_answer(worker: Worker, options: dict[str, Any]) -> None:
    status, answer = post(worker, **options)
    assert status == 200, answer
    assert answer["usage"]["completion_tokens"] > 0


def test_penalties_keep_a_text_from_repeating_itself(worker: Worker) -> None:
    body = {"prompt": "x", "max_tokens": 60, "temperature": 0, "ignore_eos": True, "logprobs": 0}
    tokens = {}
    for penalty in (1.0, 10.0):
        answer = worker.client.post("/v1/completions", json={**body, "repeat_penalty": penalty})
        tokens[penalty] = answer.json()["choices"][0]["logprobs"]["tokens"]
    assert len(set(tokens[10.0])) > len(set(tokens[1.0]))


def test_a_grammar_that_allows_nothing_ends_the_answer_alone(worker: Worker) -> None:
    card = worker.client.get("/v1/models").json()["data"][0]
    nothing = {str(token): False for token in range(card["meta"]["n_vocab"])}
    status, answer = post(worker, grammar='root ::= "yes"', logit_bias=nothing)
    assert status == 500
    assert "logit_bias" in answer["error"]["message"]


def test_a_complete_grammar_ends_the_answer_even_if_ends_are_ignored(worker: Worker) -> None:
    _, answer = post(worker, grammar='root ::= "yes"', ignore_eos=True, max_tokens=500)
    assert answer["choices"][0] == {
        "index": 0, "text": "yes", "finish_reason": "stop", "logprobs": None,
    }  # fmt: skip


def test_a_client_that_leaves_amid_its_body_leaves_no_traceback(tiny_llama: Path) -> None:
    process = subprocess.Popen(
        command(tiny_llama),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, KEY_VARIABLE: KEY},
    )
    port = listening_port(process)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head("/v1/completions", Content_Length=1000) + b'{"prompt": ')
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head("/v1/completions", Content_Length=1000) + b'{"prompt": ')
        client.shutdown(socket.SHUT_WR)
        client.recv(1000)
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert b"Traceback" not in errors


@pytest.mark.parametrize("streams", [True, False])
def test_clients_that_leave_before_the_first_token_cost_nothing(
    worker: Worker, streams: bool
) -> None:
    body = json.dumps({"prompt": "ab " * 1200, "ignore_eos": True, "stream": streams}).encode()
    for delay in (0, 0.005, 0.01, 0.02, 0.04):
        with socket.create_connection(("127.0.0.1", port_of(worker))) as client:
            client.sendall(head("/v1/completions", Content_Length=len(body)) + body)
            time.sleep(delay)
    wait_until_idle(worker)


def test_an_announced_body_beyond_the_limit_is_refused_unread(worker: Worker) -> None:
    with socket.create_connection(("127.0.0.1", port_of(worker)), timeout=20) as client:
        client.sendall(head("/tokenize", Content_Length=10**12))
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_an_endless_body_is_cut_off_at_the_limit(worker: Worker) -> None:
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    with socket.create_connection(("127.0.0.1", port_of(worker)), timeout=20) as client:
        client.sendall(head("/tokenize", Transfer_Encoding="chunked"))
        with suppress(ConnectionError):  # the worker may hang up before it was all sent
            for _ in range(65):
                client.sendall(chunk)
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET /health HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        head("/tokenize", Transfer_Encoding="chunked") + b"zz\r\n",
        head("/tokenize", Content_Length=4, Content_Encoding="gzip") + b"\x1f\x8b\x08\x00",
        b"GET /v1/models HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(worker: Worker, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port_of(worker)), timeout=20) as client:
        client.sendall(data)
        assert client.recv(13)[:10] == b"HTTP/1.1 4"


def test_connections_that_say_nothing_harm_nobody(worker: Worker) -> None:
    idle = [socket.create_connection(("127.0.0.1", port_of(worker))) for _ in range(300)]
    try:
        assert worker.complete("x", max_tokens=1)["usage"]["completion_tokens"] == 1
    finally:
        for connection in idle:
            connection.close()


def test_a_template_that_makes_nothing_of_a_chat_refuses_it(
    tmp_path: Path, tiny_llama: Path
) -> None:
    changed = read_gguf(tiny_llama)
    changed.metadata["tokenizer.chat_template"] = (STRING, '{{ "" }}')
    with running_worker(changed.write(tmp_path / "mute.gguf")) as mute:
        body = {"messages": [{"role": "user", "content": "Hello"}]}
        answer = mute.client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 400
        assert "empty" in answer.json()["error"]["message"]
        assert mute.complete("x", max_tokens=1)["usage"]["completion_tokens"] == 1


def test_a_model_whose_numbers_are_none_says_so(tmp_path: Path, tiny_llama: Path) -> None:
    changed = read_gguf(tiny_llama)
    weights = changed.tensor("output.weight")
    weights.data = b"\xff\xff\xff\x7f" * (len(weights.data) // 4)
    with running_worker(changed.write(tmp_path / "broken.gguf")) as broken:
        answer = broken.client.post("/v1/completions", json={"prompt": "x"})
    assert answer.status_code == 500
    assert "no usable numbers" in answer.json()["error"]["message"]


def test_a_file_whose_name_is_no_text_is_served(tmp_path: Path, tiny_llama: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.gguf"))
    try:
        odd.write_bytes(tiny_llama.read_bytes())
    except OSError:
        pytest.skip("this file system takes text only")
    with running_worker(odd, alias=odd.stem) as worker:
        assert worker.complete("x", max_tokens=1)["model"] == "caf?"


_BREAKS_DOWN = """
import sys
from m1desk.llama_worker import scheduler
from m1desk.llama_worker.__main__ import main

compute = scheduler.Scheduler._step
steps = []

def step(*given):
    steps.append(1)
    if len(steps) > 20:
        raise RuntimeError("a bug on the scheduler's thread")
    compute(*given)

scheduler.Scheduler._step = step
sys.exit(main(sys.argv[1:]))
"""


def test_a_worker_that_breaks_down_tells_its_clients_and_ends_with_a_reason(
    tiny_llama: Path,
) -> None:
    import httpx  # noqa: PLC0415 - the other tests have it from the worker

    arguments = command(tiny_llama)[3:]
    with launch([sys.executable, "-c", _BREAKS_DOWN, *arguments]) as process, ExitStack() as last:
        last.callback(process.kill)
        port = listening_port(process)
        client = last.enter_context(
            httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
        )
        url = f"http://127.0.0.1:{port}/v1/completions"
        body = {"prompt": "x", "ignore_eos": True, "stream": True}
        with client.stream("POST", url, json=body, timeout=20) as answer:
            lines = [line for line in answer.iter_lines() if line]
        assert "a bug on the scheduler's thread" in lines[-2]
        assert lines[-1] == "data: [DONE]"
        output, _ = process.communicate(timeout=20)
    failed = decode_event(output.splitlines()[-1])
    assert isinstance(failed, Failed)
    assert failed.reason == "engine_error"
    assert "RuntimeError" in failed.detail
    assert process.returncode == 1
