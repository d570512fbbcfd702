"""A document read once: what a question costs after a restart, ours and llama-server's.

    python bench/prepared.py [--tokens N] [--model FILE.gguf] [--threads N]

Both read the same document, save its state, are ended and started again, take the state back and
are asked two questions. Printed is how many tokens each read and when its first word came.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model  # noqa: E402
from m1desk.wire import KEY_VARIABLE, Listening, Ready, decode_event  # noqa: E402

MODEL = TinyModelSpec(
    architecture="minimax-01", name="prepared benchmark", quantization="Q8_0", random_blocks=True,
    layers=4, width=256, heads=4, kv_heads=2, head_dim=64, ffn_width=512,
    experts=8, experts_used=2, context_tokens=65_536,
)  # fmt: skip
"""MiniMax-M1's architecture, about 15 million parameters: memory that can't be cut at its end."""

SENTENCE = "On page {page} the clerk noted {number} crates, two broken seals and a letter. "
QUESTIONS = ("How many crates were there?", "What was broken?")
KEY = "benchmark"
NAME = "document"


@dataclass(frozen=True, slots=True)
class Settings:
    model: Path
    folder: Path
    context: int
    threads: int
    extra_buffers: str


@dataclass(frozen=True, slots=True)
class Question:
    read_tokens: int
    reused_tokens: int
    first_word_seconds: float


@contextmanager
def worker(settings: Settings) -> Iterator[httpx.Client]:
    line = [
        sys.executable, "-m", "m1desk.llama_worker", "serve", "--model", str(settings.model),
        "--context", str(settings.context), "--parallel", "2", "--threads", str(settings.threads),
        "--extra-buffers", settings.extra_buffers, "--states", str(settings.folder / "ours"),
    ]  # fmt: skip
    environment = {**os.environ, KEY_VARIABLE: KEY}
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment
    )
    try:
        with client(_port_of(process)) as connected:
            yield connected
    finally:
        process.terminate()
        process.wait()


def _port_of(process: subprocess.Popen[bytes]) -> int:
    port = 0
    assert process.stdout
    for line in process.stdout:
        event = decode_event(line)
        if isinstance(event, Listening):
            port = event.port
        if isinstance(event, Ready):
            return port
    raise SystemExit("the worker did not start")


@contextmanager
def llama_server(binary: str, settings: Settings) -> Iterator[httpx.Client]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    states = settings.folder / "theirs"
    states.mkdir(exist_ok=True)
    line = [
        binary, "--model", str(settings.model), "--port", str(port),
        "--ctx-size", str(settings.context), "--parallel", "2", "--kv-unified",
        "--threads", str(settings.threads), "--flash-attn", "on", "--no-webui", "--no-warmup",
        "--slot-save-path", f"{states}{os.sep}",
    ]  # fmt: skip
    if settings.extra_buffers == "off":
        line.append("--no-repack")
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with client(port) as connected:
            _wait_until_ready(connected, process)
            yield connected
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(connected: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if connected.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("llama-server did not start")


def client(port: int) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=None,
        trust_env=False,
        limits=httpx.Limits(max_keepalive_connections=0),  # llama-server closes after a stream
    )


def ask(connected: httpx.Client, content: str, **more: object) -> Question:
    """Ask in a stream; the clock stops at the first piece of text."""
    body = {
        "messages": [{"role": "user", "content": content}], "stream": True, "max_tokens": 8,
        "temperature": 0, "stream_options": {"include_usage": True}, **more,
    }  # fmt: skip
    began, first, timings = time.perf_counter(), 0.0, {}
    for chunk in stream(connected, "/v1/chat/completions", body):
        timings = chunk.get("timings", timings)
        for choice in chunk.get("choices", ()):
            if not first and choice["delta"].get("content"):
                first = time.perf_counter() - began
    return Question(timings["prompt_n"], timings.get("cache_n", 0), first)


def stream(connected: httpx.Client, path: str, body: object) -> Iterator[dict[str, Any]]:
    with connected.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))


def ours(settings: Settings, document: str) -> tuple[str, list[Question]]:
    message = [{"role": "user", "content": document}]
    with worker(settings) as connected:
        *_, end = stream(connected, f"/v1/prepared/{NAME}", {"messages": message})
    made = end["prepared"]
    account = f"{made['tokens']} tokens read in {made['seconds']:.1f} s, {made['bytes']:,} bytes"
    with worker(settings) as connected:
        return account, [ask(connected, f"{document}\n\n{one}", prepared=NAME) for one in QUESTIONS]


def theirs(binary: str, settings: Settings, document: str) -> tuple[str, list[Question]]:
    with llama_server(binary, settings) as connected:
        began = time.perf_counter()
        read = ask(connected, document, id_slot=0, cache_prompt=True)
        seconds = time.perf_counter() - began
        saved = _slot(connected, "save")
    account = f"{read.read_tokens} tokens read in {seconds:.1f} s, {saved['n_written']:,} bytes"
    with llama_server(binary, settings) as connected:
        _slot(connected, "restore")
        return account, [
            ask(connected, f"{document}\n\n{one}", id_slot=0, cache_prompt=True)
            for one in QUESTIONS
        ]


def _slot(connected: httpx.Client, action: str) -> dict[str, Any]:
    answer = connected.post(f"/slots/0?action={action}", json={"filename": f"{NAME}.bin"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def make_document(tokens: int) -> str:
    """About so many tokens in the vocabulary of the models made here, of which most are letters."""
    sentences, length = [], 0
    while length < tokens * 3 // 2:
        sentences.append(SENTENCE.format(page=len(sentences) // 20, number=len(sentences) * 7))
        length += len(sentences[-1])
    return "".join(sentences)


def report(name: str, account: str, questions: list[Question]) -> None:
    print(f"{name}: {account}")
    for number, one in enumerate(questions, 1):
        print(
            f"  question {number} after a restart: {one.read_tokens:6} tokens read, "
            f"{one.reused_tokens:6} reused, first word after {one.first_word_seconds:6.2f} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--extra-buffers", choices=("on", "off"), default="off")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = options.model or write_tiny_model(folder / "benchmark.gguf", MODEL)
        settings = Settings(
            model, folder, 2 * options.tokens + 1024, options.threads, options.extra_buffers
        )
        document = make_document(options.tokens)
        report("ours", *ours(settings, document))
        binary = shutil.which("llama-server")
        if binary is None:
            print("llama-server is not on PATH: not compared")
            return
        report("llama-server", *theirs(binary, settings, document))


if __name__ == "__main__":
    main()
