"""The real worker with real, tiny models, through the engine's one face."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from m1desk.engines import (
    EngineCalibration,
    EngineMonitor,
    EngineState,
    EngineStatus,
    LlamaEngine,
    LlamaSettings,
)
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    PrefillProgress,
    SamplingParameters,
    TextDelta,
    TurnEvent,
    TurnFinished,
)
from m1desk.errors import EngineRefused, EngineUnreachable
from m1desk.store import Folders

CONTEXT = 1024
SHORT = SamplingParameters(temperature=0.0, max_tokens=8)


class SafeSettings:
    """What a calibration might have found; a machine of the user's may need the safe setting."""

    def get(self, key: str) -> dict[str, object]:
        return EngineCalibration(threads=2, self_test="safe_only").to_dict()

    def put(self, key: str, value: object) -> None:
        raise AssertionError("loading measures nothing")


@pytest.fixture
def told() -> list[EngineStatus]:
    return []


@pytest.fixture
async def engine(home: Path, told: list[EngineStatus]) -> AsyncIterator[LlamaEngine]:
    engine = LlamaEngine(Folders.under(home), SafeSettings(), told.append)
    yield engine
    await engine.unload()


def settings(model: Path, **changes: object) -> LlamaSettings:
    return LlamaSettings(model, context_tokens=CONTEXT, parallel=2, **changes)  # type: ignore[arg-type]


async def ask(engine: LlamaEngine, text: str, sampling: SamplingParameters) -> list[TurnEvent]:
    request = ChatRequest((ChatMessage("user", text),), sampling)
    async with aclosing(engine.client().stream_turn(request)) as events:
        return [event async for event in events]


async def test_a_model_loads_answers_counts_and_measures(
    engine: LlamaEngine, told: list[EngineStatus], tiny_llama: Path
) -> None:
    status = await engine.load(settings(tiny_llama))
    assert status.is_ready, status.failure
    assert status.context_tokens == CONTEXT
    assert any(one.state is EngineState.LOADING and one.load_fraction == 1.0 for one in told)
    client = engine.client()
    assert await client.models() == (client.model,) == (tiny_llama.stem,)
    monitor = EngineMonitor()
    monitor.update(await client.metrics())

    *_events, end = await ask(engine, "hello there", SHORT)

    assert isinstance(end, TurnFinished)
    assert end.completion_tokens == 8
    assert end.finish_reason == "length"
    assert end.tokens_per_second is not None
    count = await client.count_tokens([ChatMessage("user", "hello there")])
    assert end.prompt_tokens == count
    after = await client.metrics()
    assert after.generated_tokens == 8
    assert after.kv_tokens == CONTEXT
    assert monitor.update(after).decode_tokens_per_second > 0


async def test_the_prefill_of_a_long_prompt_is_told_as_it_goes(
    engine: LlamaEngine, tiny_llama: Path
) -> None:
    await engine.load(settings(tiny_llama, ubatch_tokens=64))
    events = await ask(engine, "x" * 400, SHORT)
    done = [event.done for event in events if isinstance(event, PrefillProgress)]
    assert done == sorted(done)
    assert len(set(done)) > 1
    end = events[-1]
    assert isinstance(end, TurnFinished)
    assert done[-1] <= end.prompt_tokens


async def test_too_long_a_prompt_is_refused_with_both_numbers_and_the_engine_lives(
    engine: LlamaEngine, tiny_llama: Path
) -> None:
    await engine.load(settings(tiny_llama))
    with pytest.raises(EngineRefused) as caught:
        await ask(engine, "x" * 5000, SHORT)
    assert caught.value.code == "exceed_context_size_error"
    assert "1,024" in caught.value.why or "512" in caught.value.why
    assert engine.status.is_ready
    assert isinstance((await ask(engine, "short", SHORT))[-1], TurnFinished)


async def test_nobody_without_the_key_is_answered(engine: LlamaEngine, tiny_llama: Path) -> None:
    status = await engine.load(settings(tiny_llama))
    assert status.endpoint is not None
    async with httpx.AsyncClient(base_url=status.endpoint.base_url, trust_env=False) as stranger:
        assert (await stranger.get("/v1/models")).status_code == 401
        assert (await stranger.get("/health")).status_code == 200


async def test_closing_an_answer_frees_its_sequence(engine: LlamaEngine, tiny_llama: Path) -> None:
    await engine.load(settings(tiny_llama))
    endless = ChatRequest((ChatMessage("user", "hi"),), SamplingParameters(max_tokens=100_000))
    events = engine.client().stream_turn(endless)
    async for event in events:
        if isinstance(event, TextDelta):
            break
    await events.aclose()
    async with asyncio.timeout(10):
        while (await engine.client().metrics()).running:
            await asyncio.sleep(0.01)


async def test_a_worker_killed_in_mid_answer_can_be_loaded_again(
    engine: LlamaEngine, tiny_llama: Path
) -> None:
    status = await engine.load(settings(tiny_llama))
    worker = status.pid
    assert worker is not None

    async def read() -> None:
        request = ChatRequest((ChatMessage("user", "hi"),), SamplingParameters(max_tokens=100_000))
        async with aclosing(engine.client().stream_turn(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    os.kill(worker, signal.SIGKILL)

    with pytest.raises(EngineUnreachable):
        await read()
    async with asyncio.timeout(10):
        while engine.status.state is not EngineState.FAILED:
            await asyncio.sleep(0.01)
    assert engine.status.failure is not None
    assert engine.status.failure.reason == "killed"
    assert (await engine.load(settings(tiny_llama))).is_ready


async def test_a_port_in_use_is_said_to_be_in_use(engine: LlamaEngine, tiny_llama: Path) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        status = await engine.load(settings(tiny_llama, port=port))
    assert status.failure is not None
    assert status.failure.reason == "port_taken"
    assert str(port) in status.failure.what


async def test_a_model_cut_short_fails_in_words(
    engine: LlamaEngine, tiny_llama: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.gguf"
    whole = tiny_llama.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    status = await engine.load(settings(cut))
    assert status.failure is not None
    assert status.failure.reason == "bad_model_file"
    assert status.failure.todo


async def test_the_minimax_architecture_is_served(engine: LlamaEngine, tiny_minimax: Path) -> None:
    status = await engine.load(settings(tiny_minimax))
    assert status.is_ready, status.failure
    assert isinstance((await ask(engine, "hello", SHORT))[-1], TurnFinished)


async def test_experts_of_a_model_without_any_are_refused_before_a_process_is_made(
    engine: LlamaEngine, tiny_llama: Path, tiny_minimax: Path
) -> None:
    for model, layers, word in (
        (tiny_llama, (0,), "has no experts"),
        (tiny_minimax, (1, 99), "layers 1 to 99"),
    ):
        status = await engine.load(settings(model, cpu_expert_layers=layers))
        assert status.failure is not None
        assert status.failure.reason == "bad_settings"
        assert word in status.failure.why
        assert status.pid is None
