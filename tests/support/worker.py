"""A real worker process, started the way a guard starts it, and an HTTP client for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from m1desk.wire import KEY_VARIABLE, Failed, Listening, Ready, WorkerEvent, decode_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KEY = "a-key-for-tests"
PROGRAM = (sys.executable, "-m", "m1desk.llama_worker")


@dataclass
class Worker:
    """A running worker: its process, its events so far, and a client that carries the key."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    events: list[WorkerEvent] = field(default_factory=list)

    def chat(self, text: str, **more: object) -> dict[str, Any]:
        """The whole answer to one message, the likeliest tokens unless told otherwise."""
        body = {"messages": [{"role": "user", "content": text}], "temperature": 0, **more}
        answer = self.client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        whole: dict[str, Any] = answer.json()
        return whole

    def complete(self, prompt: str | list[int], **more: object) -> dict[str, Any]:
        """The whole completion of a prompt, the likeliest tokens unless told otherwise."""
        body = {"prompt": prompt, "temperature": 0, **more}
        answer = self.client.post("/v1/completions", json=body)
        assert answer.status_code == 200, answer.text
        whole: dict[str, Any] = answer.json()
        return whole

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The chunks of a streamed answer, up to [DONE]."""
        with self.client.stream("POST", path, json={**body, "stream": True}) as answer:
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if line == "data: [DONE]":
                    return
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream ended without [DONE]")

    def metric(self, name: str) -> float:
        """The value of one metric."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


def command(
    model: Path,
    *,
    context: int = 1024,
    parallel: int = 4,
    program: Sequence[str] = PROGRAM,
    **options: object,
) -> list[str]:
    """The worker's command line; `options` are its flags with underscores."""
    flags = {"context": context, "parallel": parallel, "threads": 1, "extra_buffers": "off"}
    line = [*program, "serve", "--model", str(model)]
    for name, value in {**flags, **options}.items():
        line += [f"--{name.replace('_', '-')}", str(value)]
    return line


def launch(line: list[str]) -> subprocess.Popen[bytes]:
    """Start a worker with the key in its environment and its log thrown away."""
    return subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, KEY_VARIABLE: KEY},
    )


def read_events(process: subprocess.Popen[bytes]) -> Iterator[WorkerEvent]:
    """What the worker says, until it says that it is ready or gives up."""
    assert process.stdout is not None
    for line in process.stdout:
        event = decode_event(line)
        assert event is not None, f"not an event: {line!r}"
        yield event
        if isinstance(event, Ready | Failed):
            return


@contextmanager
def running_worker(model: Path, **options: Any) -> Iterator[Worker]:
    """A worker that is ready, ended and waited for afterwards."""
    process = launch(command(model, **options))
    try:
        events = list(read_events(process))
        assert isinstance(events[-1], Ready), events
        listening = next(event for event in events if isinstance(event, Listening))
        with httpx.Client(
            base_url=f"http://127.0.0.1:{listening.port}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=60,
            trust_env=False,
        ) as client:
            yield Worker(process, client, events)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
