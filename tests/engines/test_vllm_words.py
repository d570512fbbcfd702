"""What is read from vLLM's log: how far a start is, and why it ended. The lines are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from m1desk.engines.failure import Evidence, LoadFacts
from m1desk.engines.memory import MemorySnapshot
from m1desk.engines.process import ProcessEnd
from m1desk.engines.status import EngineFailure
from m1desk.engines.vllm.failure import explain_vllm
from m1desk.engines.vllm.stages import StageReader
from m1desk.wire import EngineExited, EngineStarted, Listening, Loading, encode_event

GIB = 1 << 30
PLENTY = MemorySnapshot(20 * GIB, 32 * GIB)
API, CORE, WORKER = "(APIServer pid=28108) ", "(EngineCore pid=28427) ", "(Worker pid=28671) "
START = [
    API + "INFO 11-21 15:59:03 [api_utils.py:286] non-default args: {'model': '/tmp/tiny'}",
    API + "INFO 11-21 15:59:03 [model.py:733] Resolved architecture: LlamaForCausalLM",
    API + "INFO 11-21 15:59:03 [model.py:2152] Using max model len 512",
    CORE + "INFO 11-21 15:59:19 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config:",
    WORKER + "INFO 11-21 15:59:34 [parallel_state.py:1906] world_size=1 rank=0 local_rank=0",
    WORKER + "INFO 11-21 15:59:34 [cpu_model_runner.py:68] Starting to load model /tmp/tiny...",
    WORKER + "INFO 11-21 15:59:34 [default_loader.py:501] Loading weights took 0.02 seconds",
    CORE + "INFO 11-21 15:59:36 [kv_cache_utils.py:2327] CPU KV cache size: 65,536 tokens",
    CORE + "INFO 11-21 15:59:36 [core.py:402] init engine (profile, create kv cache) took 0.04 s",
    API + "INFO 11-21 15:59:38 [entry.py:140] Starting vLLM server on unix:/tmp/api.sock",
]


def test_a_start_is_told_stage_by_stage() -> None:
    reader = StageReader(8000)
    events = [reader.read(line.encode()) for line in START]
    told = [event for event in events if isinstance(event, Loading)]
    assert [event.stage for event in told] == [
        "reading the configuration",
        "starting the engine",
        "starting the workers",
        "connecting the workers",
        "reading the weights",
        "preparing the weights",
        "making room for the context",
        "starting the server",
    ]
    fractions = [event.fraction for event in told]
    assert fractions == sorted(set(fractions))
    assert events[2] is None
    assert events[-1] == Listening(8000, 0)


def test_versions_before_say_the_last_stage_in_other_words() -> None:
    line = API + "INFO 11-21 15:59:38 [api_server.py:1971] Starting vLLM API server 0 on http://127"
    assert StageReader(8000).read(line.encode()) == Listening(8000, 0)


def test_many_files_of_weights_are_counted() -> None:
    reader = StageReader(0)
    bar = "\rLoading safetensors checkpoint shards:  {}% Completed | {}/413 [00:00<?, ?it/s]"
    none = reader.read_error(bar.format(0, 0).encode())
    half = reader.read_error((bar.format(40, 165) + bar.format(50, 206)).encode())
    assert isinstance(none, Loading)
    assert isinstance(half, Loading)
    assert 0.4 < half.fraction < 0.5
    assert reader.read_error(bar.format(49, 203).encode()) is None, "another worker is slower"
    assert reader.read_error(b"Triton is installed") is None


def test_the_guards_word_is_understood_among_the_lines() -> None:
    event = EngineStarted(7, 1.5)
    assert StageReader(0).read(encode_event(event)) == event


def told(
    *lines: str, code: int = 1, was_ready: bool = False, after: MemorySnapshot = PLENTY
) -> EngineFailure:
    end = ProcessEnd(EngineExited(code, None), None)
    evidence = Evidence(end, PLENTY, PLENTY, after, lines, was_ready)
    return explain_vllm(evidence, LoadFacts(Path("/models/Some-Model"), context_tokens=65_536))


TIMES = "ERROR 11-21 15:58:23 [core.py:1512] "
LAST = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s)"


@pytest.mark.parametrize(
    ("line", "reason", "todo"),
    [
        (
            API + "ValueError: Model architecture MiniMaxM1ForCausalLM was supported in vLLM until "
            "v0.23.0, and is not supported anymore.",
            "unknown_architecture",
            "engines install",
        ),
        (
            CORE + TIMES + "ValueError: To serve at least one request with the models's max seq "
            "len (131072), (16.0 GiB KV cache is needed, which is larger than the available KV "
            "cache memory (7.5 GiB).",
            "out_of_memory",
            "smaller context",
        ),
        (
            WORKER + TIMES + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "out_of_memory",
            "smaller context",
        ),
        ("OSError: [Errno 98] Address already in use", "port_taken", "another port"),
        (
            WORKER + TIMES + "safetensors_rust.SafetensorError: Error while deserializing header",
            "bad_model_file",
            "download them again",
        ),
        (
            "RuntimeError: operator torchvision::nms does not exist",
            "broken_environment",
            "install it again",
        ),
        (
            "api_server.py: error: unrecognized arguments: --mamba-cache-dtype float32",
            "bad_settings",
            "Change",
        ),
    ],
)
def test_the_cause_is_found_above_the_last_words(line: str, reason: str, todo: str) -> None:
    failure = told(START[0], line, CORE + TIMES + LAST, API + LAST)
    assert failure.reason == reason
    assert todo in failure.todo
    assert "pid=" not in failure.why
    assert "15:58:23" not in failure.why
    assert failure.why in line


def test_an_unknown_cause_is_told_in_its_own_words() -> None:
    cause = "RuntimeError: Worker failed with error 'Unsupported CPU attention configuration'"
    failure = told(
        CORE + TIMES + "Traceback (most recent call last):",
        CORE + TIMES + cause,
        API + TIMES + "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.",
        code=0,
        was_ready=True,
    )
    assert failure.reason == "engine_error"
    assert "running" in failure.what
    assert failure.why == cause


def test_a_worker_that_the_kernel_killed_was_short_of_memory() -> None:
    after = MemorySnapshot(20 * GIB, 32 * GIB, oom_kills=1)
    assert told("INFO: nothing of interest", after=after).reason == "out_of_memory"


def test_without_any_words_the_exit_status_is_told() -> None:
    assert "exit status 3" in told("INFO: nothing of interest", code=3).why
