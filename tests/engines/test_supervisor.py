"""How engines that misbehave come out, seen by whoever loads a model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from crowd import MARK, Crowd, crowd, standin

from m1desk.engines import EngineState, EngineStatus, LlamaEngine, LlamaSettings, Patience
from m1desk.engines.turn import ChatMessage, ChatRequest
from m1desk.errors import EngineFailed, EngineUnreachable
from m1desk.store import Folders

SHORT = Patience(silence_seconds=0.6, sample_seconds=0.05, grace_seconds=0.3)
HELLO = ChatRequest((ChatMessage("user", "hello"),))
S = EngineState


class NothingMeasured:
    def get(self, key: str) -> dict[str, object] | None:
        return None

    def put(self, key: str, value: object) -> None:
        raise AssertionError("loading measures nothing")


class Bench:
    """An engine with a stand-in worker, and all that was said of it."""

    def __init__(self, home: Path, model: Path, people: Crowd) -> None:
        self.folders = Folders.under(home)
        self.model = model
        self.people = people
        self.told: list[EngineStatus] = []
        self.engines: list[LlamaEngine] = []

    def engine(self, behaviour: str, patience: Patience | None = None) -> LlamaEngine:
        engine = LlamaEngine(
            self.folders,
            NothingMeasured(),
            self.told.append,
            patience=patience,
            worker=standin(behaviour),
        )
        self.engines.append(engine)
        return engine

    async def load(self, behaviour: str, patience: Patience | None = None) -> EngineStatus:
        return await self.engine(behaviour, patience).load(self.settings())

    def settings(self, **changes: object) -> LlamaSettings:
        return LlamaSettings(self.model, **changes)  # type: ignore[arg-type]

    def states(self) -> list[EngineState]:
        """The states told, a repeated one once."""
        states = [status.state for status in self.told]
        return [
            state for index, state in enumerate(states) if index == 0 or states[index - 1] != state
        ]


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    with crowd() as found:
        monkeypatch.setenv(MARK, found.mark)
        yield found


@pytest.fixture
async def bench(home: Path, tiny_llama: Path, people: Crowd) -> AsyncIterator[Bench]:
    bench = Bench(home, tiny_llama, people)
    yield bench
    for engine in bench.engines:
        await engine.unload()
    assert people.count() == 0
    assert list(bench.folders.runs.iterdir()) == []


async def until(engine: LlamaEngine, state: EngineState) -> None:
    async with asyncio.timeout(20):
        while engine.status.state is not state:
            await asyncio.sleep(0.01)


async def test_an_engine_goes_from_stopped_to_ready_and_back(bench: Bench) -> None:
    engine = bench.engine("ready")
    status = await engine.load(bench.settings())
    assert status.is_ready
    assert status.context_tokens == 4096
    assert status.asked_context_tokens == 8192
    assert status.endpoint is not None
    assert bench.people.count() == 2  # the guard and the engine
    await engine.unload()
    assert bench.people.count() == 0
    assert bench.states() == [S.STARTING, S.LOADING, S.READY, S.STOPPING, S.STOPPED]
    assert engine.status == EngineStatus(S.STOPPED)


@pytest.mark.parametrize("behaviour", ["deaf", "family"])
async def test_an_engine_that_ignores_requests_to_end_is_ended(
    bench: Bench, behaviour: str
) -> None:
    engine = bench.engine(behaviour, SHORT)
    await engine.load(bench.settings())
    await engine.unload()
    assert bench.people.count() == 0
    assert engine.status.state is S.STOPPED


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("dies-by:SIGSEGV", "crashed"),
        ("dies-by:SIGILL", "crashed"),
        ("dies-by:SIGKILL", "killed"),
        ("bad-alloc", "out_of_memory"),
        ("exits:3", "engine_error"),
        ("exits:0", "engine_error"),
        ("orphans", "engine_error"),
        ("gives-up:out_of_memory", "out_of_memory"),
        ("gives-up:bad_model_file", "bad_model_file"),
        ("gives-up:unknown_architecture", "unknown_architecture"),
        ("gives-up:port_taken", "port_taken"),
    ],
)
async def test_an_end_while_loading_is_a_failure_with_its_reason(
    bench: Bench, behaviour: str, reason: str
) -> None:
    status = await bench.load(behaviour)
    assert status.state is S.FAILED
    assert status.failure is not None
    assert status.failure.reason == reason
    assert status.failure.what
    assert bench.people.count() == 0


async def test_the_last_words_are_kept(bench: Bench) -> None:
    engine = bench.engine("dies-by:SIGSEGV")
    status = await engine.load(bench.settings())
    assert status.failure is not None
    assert status.failure.log_tail[-1] == "last words"
    assert engine.log_lines()[-1] == "last words"
    assert "last words" in engine.log_path.read_text()


async def test_a_silent_engine_is_stuck_even_when_it_closed_its_output(bench: Bench) -> None:
    status = await bench.load("silent", SHORT)
    assert status.failure is not None
    assert status.failure.reason == "never_ready"


async def test_a_busy_engine_may_take_longer_than_anybody_waits_for_silence(bench: Bench) -> None:
    status = await bench.load("busy:1.5", SHORT)
    assert status.is_ready


async def test_lines_of_any_length_do_no_harm(bench: Bench) -> None:
    engine = bench.engine("loud")
    status = await engine.load(bench.settings())
    assert status.is_ready
    assert "after the long line" in engine.log_lines()
    assert max(map(len, engine.log_lines())) < 100_000


async def test_a_worker_killed_in_mid_answer_is_a_failure_and_can_be_loaded_again(
    bench: Bench,
) -> None:
    engine = bench.engine("answers-slowly")
    status = await engine.load(bench.settings())
    assert status.pid is not None
    worker = status.pid
    words = 0

    async def read() -> None:
        nonlocal words
        async with aclosing(engine.client().stream_turn(HELLO)) as events:
            async for _event in events:
                words += 1
                if words == 3:
                    os.kill(worker, signal.SIGKILL)

    with pytest.raises(EngineUnreachable) as caught:
        await read()
    assert "cut off" in caught.value.what
    await until(engine, S.FAILED)
    assert engine.status.failure is not None
    assert engine.status.failure.reason == "killed"
    assert engine.status.endpoint is None
    assert words >= 3
    assert (await engine.load(bench.settings())).is_ready


async def test_a_lost_guard_is_noticed_and_nothing_is_left(bench: Bench) -> None:
    engine = bench.engine("family")
    status = await engine.load(bench.settings())
    assert status.pid is not None
    (record,) = bench.folders.runs.glob("*.json")
    os.kill(json.loads(record.read_text())["guard"]["pid"], signal.SIGKILL)
    await until(engine, S.FAILED)
    assert engine.status.failure is not None
    assert engine.status.failure.reason == "guard_lost"
    assert bench.people.wait_for(0, 2.0) == 0


def test_an_engine_runs_on_a_loop_beside_the_main_thread(
    home: Path, tiny_llama: Path, people: Crowd
) -> None:
    """As it does in the window, where the main thread is Qt's."""
    states: list[EngineState] = []

    async def load_and_unload() -> None:
        engine = Bench(home, tiny_llama, people).engine("ready")
        states.append((await engine.load(LlamaSettings(tiny_llama))).state)
        await engine.unload()
        states.append(engine.status.state)

    thread = threading.Thread(target=lambda: asyncio.run(load_and_unload()))
    thread.start()
    thread.join(60)
    assert states == [S.READY, S.STOPPED]


async def test_loading_replaces_what_is_loaded(bench: Bench) -> None:
    engine = bench.engine("ready")
    first = await engine.load(bench.settings())
    second = await engine.load(bench.settings())
    assert second.is_ready
    assert first.pid != second.pid
    assert bench.people.count() == 2


async def test_unloading_in_the_middle_of_a_start_ends_it(bench: Bench) -> None:
    engine = bench.engine("busy:60")
    loading = asyncio.create_task(engine.load(bench.settings()))
    async with asyncio.timeout(20):
        while bench.people.count() < 2:
            await asyncio.sleep(0.01)
    await engine.unload()
    assert (await loading).state is S.STOPPED
    assert bench.people.count() == 0


@pytest.mark.parametrize("ticks", [1, 2, 3, 5, 10, 30])
async def test_unloading_at_any_moment_leaves_nothing(bench: Bench, ticks: int) -> None:
    engine = bench.engine("ready")
    loading = asyncio.create_task(engine.load(bench.settings()))
    for _ in range(ticks):
        await asyncio.sleep(0)
    await engine.unload()
    assert (await loading).state is S.STOPPED
    assert engine.status.state is S.STOPPED


async def test_the_last_of_several_loads_wins(bench: Bench) -> None:
    engine = bench.engine("ready")
    loads = [asyncio.create_task(engine.load(bench.settings())) for _ in range(3)]
    statuses = await asyncio.gather(*loads)
    assert [status.state for status in statuses[:2]] == [S.STOPPED, S.STOPPED]
    assert statuses[2].is_ready
    assert bench.people.count() == 2


async def test_a_cancelled_load_leaves_nothing(bench: Bench) -> None:
    engine = bench.engine("busy:60")
    loading = asyncio.create_task(engine.load(bench.settings()))
    async with asyncio.timeout(20):
        while bench.people.count() < 2:
            await asyncio.sleep(0.01)
    loading.cancel()
    with suppress(asyncio.CancelledError):
        await loading
    assert engine.status.state is S.STOPPED
    assert bench.people.count() == 0


async def test_the_key_is_in_the_environment_and_nowhere_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QT_PLUGIN_PATH", "/somewhere")
    engine = bench.engine("shows-environment")
    status = await engine.load(bench.settings())
    assert status.endpoint is not None
    key = status.endpoint.api_key
    assert len(key) >= 32
    (line,) = [line for line in engine.log_lines() if line.startswith("ENVIRONMENT")]
    names = json.loads(line.removeprefix("ENVIRONMENT "))
    assert "M1DESK_API_KEY" in names
    assert not [name for name in names if name.startswith("QT_")]
    assert all(key not in " ".join(process.cmdline()) for process in bench.people.living())
    assert key not in engine.log_path.read_text() + repr(status)
    (record,) = bench.folders.runs.glob("*.json")
    assert key not in record.read_text()


async def test_a_missing_file_is_said_to_be_missing(bench: Bench) -> None:
    engine = bench.engine("ready")
    status = await engine.load(LlamaSettings(bench.model.with_name("gone.gguf")))
    assert status.state is S.FAILED
    assert status.failure is not None
    assert status.failure.reason == "not_found"
    assert "gone.gguf" in status.failure.what


async def test_a_file_that_is_no_model_never_reaches_an_engine(
    bench: Bench, tmp_path: Path
) -> None:
    foreign = tmp_path / "holiday.gguf"
    foreign.write_bytes(b"\x89PNG" + bytes(1000))
    status = await bench.engine("ready").load(LlamaSettings(foreign))
    assert status.failure is not None
    assert status.failure.reason == "bad_model_file"
    assert bench.people.count() == 0
    assert bench.states() == [S.STARTING, S.FAILED]


@pytest.mark.parametrize(
    "changes",
    [
        {"context_tokens": 0},
        {"parallel": 0},
        {"kv_type": "q3_x"},
        {"kv_type": "q8_0", "flash_attention": False},
    ],
)
async def test_impossible_settings_are_refused_in_words(
    bench: Bench, changes: dict[str, object]
) -> None:
    status = await bench.engine("ready").load(bench.settings(**changes))
    assert status.failure is not None
    assert status.failure.reason == "bad_settings"
    assert status.failure.why


async def test_without_a_model_there_is_no_client(bench: Bench) -> None:
    engine = bench.engine("exits:3")
    with pytest.raises(EngineFailed, match="No model is loaded"):
        engine.client()
    await engine.load(bench.settings())
    with pytest.raises(EngineFailed, match="ended while it was loading"):
        engine.client()


async def test_a_worker_that_is_not_there_is_a_failure(bench: Bench) -> None:
    engine = LlamaEngine(
        bench.folders, NothingMeasured(), bench.told.append, worker=("/nowhere/worker",)
    )
    status = await engine.load(bench.settings())
    assert status.failure is not None
    assert "/nowhere/worker" in status.failure.why
