"""One engine of two kinds: the model asked for last is the one there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from support.job_queue import SafeSettings

from m1desk.engines import EngineState, EngineStatus, LlamaSettings, LocalEngine, VllmSettings
from m1desk.engines.environments.values import VLLM, EngineEnvironment
from m1desk.fit import load_machine
from m1desk.store import Folders

GONE = EngineEnvironment("gone", VLLM, "vllm", "0.32.0", Path("/nowhere/python"), False, None)


@pytest.fixture
def told() -> list[EngineStatus]:
    return []


@pytest.fixture
async def engine(home: Path, told: list[EngineStatus]) -> AsyncIterator[LocalEngine]:
    made = LocalEngine(
        Folders.under(home), SafeSettings(), lambda: load_machine("laptop-16"), told.append
    )
    yield made
    await made.unload()


@pytest.fixture
def llama(tiny_llama: Path) -> LlamaSettings:
    return LlamaSettings(tiny_llama, context_tokens=512, parallel=1)


def broken(folder: Path) -> VllmSettings:
    return VllmSettings(GONE, folder, "LlamaForCausalLM")


async def test_a_failure_of_one_is_told_and_the_other_goes_on(
    engine: LocalEngine, llama: LlamaSettings, tmp_path: Path
) -> None:
    assert (await engine.load(llama)).is_ready
    pid = engine.status.pid
    assert pid is not None
    assert engine.settings == llama
    failed = await engine.load(broken(tmp_path))
    assert failed.failure is not None
    assert failed.engine == "vLLM"
    assert "not there any more" in failed.failure.what
    assert engine.settings is None
    assert not psutil.pid_exists(pid)  # one model at a time
    assert (await engine.load(llama)).is_ready
    assert engine.status.engine == "llama.cpp"


async def test_of_loads_at_the_same_moment_the_last_one_counts(
    engine: LocalEngine, llama: LlamaSettings, told: list[EngineStatus], tmp_path: Path
) -> None:
    wishes: list[LlamaSettings | VllmSettings] = [llama, broken(tmp_path), llama]
    await asyncio.gather(*(engine.load(wish) for wish in wishes))
    assert engine.status.is_ready
    assert engine.settings == llama
    assert told[-1] == engine.status
    started = {status.pid for status in told if status.pid is not None}
    assert [pid for pid in started if psutil.pid_exists(pid)] == [engine.status.pid]


async def test_unloading_gives_up_whatever_was_asked_for(
    engine: LocalEngine, llama: LlamaSettings, told: list[EngineStatus]
) -> None:
    loading = asyncio.create_task(engine.load(llama))
    while not told:
        await asyncio.sleep(0.01)
    await engine.unload()
    await loading
    assert engine.status.state is EngineState.STOPPED
    assert not [one.pid for one in told if one.pid is not None and psutil.pid_exists(one.pid)]
