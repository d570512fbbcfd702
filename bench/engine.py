"""The worker against a bare loop over the same library, and against llama-server if there is one.

    python bench/engine.py [--rounds N] [--model FILE.gguf] [--threads N]

All engines stay loaded and take turns, so that a change of the machine's speed hits them alike.
Only ratios are printed as results: the median over the rounds, with the smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from m1desk.llama_worker.tiny_model import BENCHMARK_MODEL, write_tiny_model  # noqa: E402
from m1desk.wire import Listening, Ready, decode_event  # noqa: E402

CONTEXT_TOKENS = 8192
PROMPT_TOKENS = 512
ANSWER_TOKENS = 64
STREAMS = 4


@dataclass(frozen=True, slots=True)
class Speed:
    prefill: float  # tokens per second
    decode: float  # tokens per second


class Engine(Protocol):
    name: str

    def measure(self, prompt: list[int]) -> Speed: ...


class BareLoop:
    name = "bare loop"

    def __init__(self, stack: ExitStack, model: Path, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable, str(Path(__file__).parent / "bare_loop.py"), str(model),
                str(CONTEXT_TOKENS), str(settings.threads), "on", settings.extra_buffers,
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(self._process.wait)
        stack.callback(self._process.kill)
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def measure(self, prompt: list[int]) -> Speed:
        assert self._process.stdin
        assert self._process.stdout
        command = {"prompt": prompt, "tokens": ANSWER_TOKENS}
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        seconds = json.loads(self._process.stdout.readline())
        return Speed(
            len(prompt) / seconds["prefill_seconds"],
            (ANSWER_TOKENS - 1) / seconds["decode_seconds"],
        )


class HttpEngine:
    """An engine measured as its user sees it: by when the pieces of the stream arrive."""

    def __init__(self, name: str, base_url: str, key: str) -> None:
        self.name = name
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=600,
            trust_env=False,
            limits=httpx.Limits(max_connections=STREAMS),
        )

    def measure(self, prompt: list[int]) -> Speed:
        began = time.perf_counter()
        times = self._stream(prompt)
        prefill = len(prompt) / (times[0] - began)
        return Speed(prefill, (len(times) - 1) / (times[-1] - times[0]))

    def measure_streams(self, prompts: list[list[int]]) -> float:
        """Tokens per second of all streams together, while all of them are being written."""
        with ThreadPoolExecutor(len(prompts)) as pool:
            streams = list(pool.map(self._stream, prompts))
        start = max(times[0] for times in streams)
        end = min(times[-1] for times in streams)
        tokens = sum(start < moment <= end for times in streams for moment in times)
        return tokens / (end - start)

    def _stream(self, prompt: list[int]) -> list[float]:
        body = {
            "prompt": prompt, "max_tokens": ANSWER_TOKENS, "temperature": 0, "top_k": 1,
            "ignore_eos": True, "stream": True, "cache_prompt": False,
        }  # fmt: skip
        times: list[float] = []
        with self._client.stream("POST", "/v1/completions", json=body) as answer:
            assert answer.status_code == 200, answer.read()
            times.extend(
                time.perf_counter() for line in answer.iter_lines() if line.startswith("data: {")
            )
        # the last chunk carries the account, not a token
        return times[:ANSWER_TOKENS]


@dataclass(frozen=True, slots=True)
class Settings:
    threads: int
    extra_buffers: str


def start_worker(stack: ExitStack, model: Path, settings: Settings) -> HttpEngine:
    key = "benchmark"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "m1desk.llama_worker", "serve", "--model", str(model),
            "--context", str(CONTEXT_TOKENS), "--parallel", str(STREAMS),
            "--threads", str(settings.threads), "--extra-buffers", settings.extra_buffers,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
        env={**os.environ, "M1DESK_API_KEY": key},
    )  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.terminate)
    port = 0
    assert process.stdout
    for line in process.stdout:
        event = decode_event(line)
        if isinstance(event, Listening):
            port = event.port
        if isinstance(event, Ready):
            return HttpEngine("worker", f"http://127.0.0.1:{port}", key)
    raise SystemExit("the worker did not start")


def start_llama_server(
    stack: ExitStack, binary: str, model: Path, settings: Settings
) -> HttpEngine:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = [
        binary, "--model", str(model), "--port", str(port), "--ctx-size", str(CONTEXT_TOKENS),
        "--parallel", str(STREAMS), "--kv-unified", "--threads", str(settings.threads),
        "--flash-attn", "on", "--no-webui", "--no-warmup",
    ]  # fmt: skip
    if settings.extra_buffers == "off":
        line.append("--no-repack")
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    base_url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            if httpx.get(f"{base_url}/health").status_code == 200:
                return HttpEngine("llama-server", base_url, "none")
        except httpx.TransportError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("llama-server did not start")


def working_extra_buffers() -> str:
    """On, unless this build of the engine dies with them on this machine."""
    line = [sys.executable, "-m", "m1desk.llama_worker", "selftest", "--extra-buffers", "on"]
    return (
        "off"
        if subprocess.run(line, cwd=ROOT, capture_output=True, check=False).returncode
        else "on"
    )


def print_ratios(title: str, ratios: list[float], goal: str) -> None:
    print(
        f"{title:<58} {statistics.median(ratios):6.3f}  "
        f"({min(ratios):.3f} to {max(ratios):.3f})  {goal}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--extra-buffers", choices=("on", "off"))
    options = parser.parse_args()
    settings = Settings(options.threads, options.extra_buffers or working_extra_buffers())
    with ExitStack() as stack:
        model = options.model
        if model is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            model = write_tiny_model(folder / "benchmark.gguf", BENCHMARK_MODEL)
        run(stack, model, settings, options.rounds)


def run(stack: ExitStack, model: Path, settings: Settings, rounds: int) -> None:
    bare = BareLoop(stack, model, settings)
    worker = start_worker(stack, model, settings)
    binary = shutil.which("llama-server")
    server = start_llama_server(stack, binary, model, settings) if binary else None
    engines: list[Engine] = [one for one in (bare, worker, server) if one]
    single: dict[str, list[Speed]] = {engine.name: [] for engine in engines}
    together: dict[str, list[float]] = {engine.name: [] for engine in (worker, server) if engine}
    for number in range(rounds + 1):  # the first round warms up and is not counted
        for engine in engines:
            speed = engine.measure(prompt_tokens(number))
            if number:
                single[engine.name].append(speed)
        for engine in (worker, server):
            if engine:
                prompts = [prompt_tokens(100 + 10 * number + one, 64) for one in range(STREAMS)]
                rate = engine.measure_streams(prompts)
                if number:
                    together[engine.name].append(rate)
        print(f"round {number} of {rounds} done", file=sys.stderr)
    report(single, together, settings, model)


def prompt_tokens(seed: int, count: int = PROMPT_TOKENS) -> list[int]:
    """Different tokens every time, so that no engine can reuse an earlier prompt."""
    return [33 + (seed * 7919 + index * 104729) % 200 for index in range(count)]


def report(
    single: dict[str, list[Speed]],
    together: dict[str, list[float]],
    settings: Settings,
    model: Path,
) -> None:
    def ratios(top: str, bottom: str, value: Callable[[Speed], float]) -> list[float]:
        pairs = zip(single[top], single[bottom], strict=True)
        return [value(a) / value(b) for a, b in pairs]

    size = model.stat().st_size / 1e6 if model.exists() else 0
    print(f"model of {size:.0f} MB, {settings.threads} threads, flash attention, extra buffers")
    print(f"{settings.extra_buffers}; {PROMPT_TOKENS} tokens read, {ANSWER_TOKENS} written\n")
    print_ratios(
        "decode, one stream: worker / bare loop",
        ratios("worker", "bare loop", lambda one: one.decode),
        "goal >= 0.97",
    )
    print_ratios(
        "prefill: worker / bare loop",
        ratios("worker", "bare loop", lambda one: one.prefill),
        "goal >= 0.97",
    )
    fourfold = [
        rate / (STREAMS * one.decode)
        for rate, one in zip(together["worker"], single["worker"], strict=True)
    ]
    print_ratios("four streams together / four times one stream, worker", fourfold, "")
    if "llama-server" not in single:
        print("llama-server is not on PATH: not compared")
        return
    print_ratios(
        "decode, one stream: worker / llama-server",
        ratios("worker", "llama-server", lambda one: one.decode),
        "goal >= 1",
    )
    print_ratios(
        "prefill: worker / llama-server",
        ratios("worker", "llama-server", lambda one: one.prefill),
        "goal >= 1",
    )
    pairs = zip(together["worker"], together["llama-server"], strict=True)
    print_ratios(
        "four streams together: worker / llama-server",
        [ours / theirs for ours, theirs in pairs],
        "goal >= 1",
    )


if __name__ == "__main__":
    main()
