"""A real vLLM from its start to its end: progress, chat, counters, unloading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from crowd import MARK, Crowd, crowd
from support.tiny_checkpoint import write_tiny_checkpoint
from support.vllm_child import (
    CONTEXT_TOKENS,
    names_in_shared_memory,
    quick_settings,
    shared_by,
)

from m1desk.engines import EngineClient, EngineMonitor, EngineRates, EngineState, EngineStatus
from m1desk.engines.environments.values import EngineEnvironment
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    SamplingParameters,
    TextDelta,
    TurnFinished,
)
from m1desk.engines.vllm.engine import VllmEngine
from m1desk.engines.vllm.settings import VllmSettings
from m1desk.fit import load_machine
from m1desk.store import Folders

pytestmark = pytest.mark.timeout(1800)
LONG = SamplingParameters(temperature=0.0, max_tokens=400)


class Bench:
    """An engine, what it told, and its processes as seen from outside."""

    def __init__(self, home: Path, people: Crowd) -> None:
        self.folders = Folders.under(home)
        self.told: list[EngineStatus] = []
        self.people = people
        self.shared: set[str] = set()
        self.engine = VllmEngine(
            self.folders, lambda: load_machine("desktop-64-rtx-4090"), self._on_status
        )

    def _on_status(self, status: EngineStatus) -> None:
        self.told.append(status)
        self.shared |= shared_by(self.people.living())

    def look(self) -> None:
        self.shared |= shared_by(self.people.living())

    def check_nothing_is_left(self) -> None:
        assert self.people.wait_for(0, 10) == 0
        assert self.shared & names_in_shared_memory() == set()
        assert list(self.folders.runs.iterdir()) == []


@pytest.fixture
async def bench(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    with crowd() as people:
        monkeypatch.setenv(MARK, people.mark)
        bench = Bench(home, people)
        yield bench
        await bench.engine.unload()


@pytest.fixture
def settings(cpu_vllm: EngineEnvironment, tmp_path: Path) -> VllmSettings:
    return quick_settings(cpu_vllm, write_tiny_checkpoint(tmp_path / "tiny"))


def question(sampling: SamplingParameters) -> ChatRequest:
    return ChatRequest((ChatMessage("user", "hello"),), sampling, extra={"ignore_eos": True})


def is_writing(rates: EngineRates) -> bool:
    return rates.running == 1 and (rates.kv_fraction or 0.0) > 0


def is_counted(rates: EngineRates) -> bool:
    return rates.decode_tokens_per_second > 0


async def check_answer(client: EngineClient) -> None:
    text, finished = "", None
    async with aclosing(client.stream_turn(question(LONG))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            elif isinstance(event, TurnFinished):
                finished = event
    assert finished is not None
    assert text
    assert finished.completion_tokens == LONG.max_tokens


async def test_it_starts_chats_is_watched_and_stops(bench: Bench, settings: VllmSettings) -> None:
    status = await bench.engine.load(replace(settings, one_process=False))
    bench.look()
    assert status.is_ready, status.failure
    assert status.context_tokens == CONTEXT_TOKENS
    fractions = [one.load_fraction for one in bench.told]
    assert fractions == sorted(fractions)
    stages = [one.load_stage for one in bench.told if one.state is EngineState.LOADING]
    assert {"reading the weights", "making room for the context"} <= set(stages)
    assert stages[-1] == "waiting for a first answer"

    client, monitor = bench.engine.client(), EngineMonitor()
    assert await client.models() == ("tiny",)
    first = monitor.update(await client.metrics())
    assert (first.running, first.kv_fraction) == (0, 0.0)
    seen: list[EngineRates] = []

    async def watch() -> None:
        while True:
            seen.append(monitor.update(await client.metrics()))

    # A tiny model may have written all of an answer before its server has time to tell the
    # counters, so it is asked until they were read in the middle of one.
    watching = asyncio.create_task(watch())
    async with asyncio.timeout(600):
        while not (any(map(is_writing, seen)) and any(map(is_counted, seen))):
            await check_answer(client)
    watching.cancel()
    assert all(one.kv_fraction is not None and one.kv_fraction < 1 for one in seen)
    bench.look()
    assert bench.shared, "this vLLM shares no memory: the tests of what it leaves test nothing"

    await bench.engine.unload()
    assert bench.engine.status.state is EngineState.STOPPED
    bench.check_nothing_is_left()
