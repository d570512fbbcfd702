"""What a user is told about an engine's end, from what it left behind."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import get_args

import pytest

from m1desk.engines.failure import Evidence, LoadFacts, explain, stalled
from m1desk.engines.memory import MemorySnapshot, readable_bytes
from m1desk.engines.process import ProcessEnd
from m1desk.engines.status import EngineFailure
from m1desk.wire import EngineExited, Failed, FailureReason

GIB = 1024**3
PLENTY = MemorySnapshot(20 * GIB, 32 * GIB)
FACTS = LoadFacts(
    Path("/models/some.gguf"), context_tokens=65_536, kv_type="f16", model_bytes=24 * GIB, port=8080
)


def told(
    *,
    code: int | None = None,
    by: int | None = None,
    log: tuple[str, ...] = (),
    facts: LoadFacts = FACTS,
    lowest: MemorySnapshot = PLENTY,
    after: MemorySnapshot = PLENTY,
    end: ProcessEnd | None = None,
    was_ready: bool = False,
) -> EngineFailure:
    happened = end or ProcessEnd(EngineExited(code, by), None)
    return explain(Evidence(happened, PLENTY, lowest, after, log, was_ready), facts)


def words(failure: EngineFailure) -> str:
    return f"{failure.what} {failure.why} {failure.todo}"


@pytest.mark.parametrize("reason", get_args(FailureReason))
def test_the_engines_own_word_counts_most(reason: FailureReason) -> None:
    end = ProcessEnd(EngineExited(1, None), Failed(reason, "tensor 7 is short"))
    failure = told(end=end, log=("std::bad_alloc",))
    assert failure.reason == reason
    assert "tensor 7 is short" in failure.why
    assert failure.what
    assert failure.todo


def test_too_little_memory_is_said_with_both_sizes_and_what_helps() -> None:
    failure = told(end=ProcessEnd(None, Failed("out_of_memory", "")))
    assert "24.0 GiB" in failure.why
    assert "20.0 GiB" in failure.why
    assert "65,536 tokens" in failure.why
    assert "smaller context" in failure.todo
    assert "q8_0" in failure.todo
    assert "smaller variant" in failure.todo


@pytest.mark.parametrize(
    "line",
    [
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 17179869184",
        "CUDA error: out of memory",
        "MemoryError",
    ],
)
def test_an_abort_after_a_failed_allocation_is_lack_of_memory(line: str) -> None:
    failure = told(by=signal.SIGABRT, log=(line, "stack trace"))
    assert failure.reason == "out_of_memory"
    assert line in failure.why


def test_a_kill_is_lack_of_memory_when_the_kernel_counted_one() -> None:
    after = MemorySnapshot(20 * GIB, 32 * GIB, oom_kills=1)
    assert told(by=signal.SIGKILL, after=after).reason == "out_of_memory"


def test_a_kill_is_lack_of_memory_when_hardly_any_was_left() -> None:
    failure = told(by=signal.SIGKILL, lowest=MemorySnapshot(GIB // 10, 32 * GIB))
    assert failure.reason == "out_of_memory"
    assert "102 MiB of 32.0 GiB" in failure.why


def test_any_other_kill_came_from_outside() -> None:
    failure = told(by=signal.SIGKILL)
    assert failure.reason == "killed"
    assert "SIGKILL" in failure.why
    assert told(by=signal.SIGTERM).reason == "killed"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGILL])
def test_a_crash_with_extra_buffers_suggests_the_safe_setting(number: signal.Signals) -> None:
    risky = LoadFacts(Path("/m.gguf"), 4096, extra_buffers=True)
    failure = told(by=number, facts=risky)
    assert failure.reason == "crashed"
    assert number.name in failure.why
    assert "extra buffers off" in failure.todo
    assert "extra buffers" not in words(told(by=number))


def test_a_crash_repeats_the_engines_last_words() -> None:
    log = ("loading", "/src/ggml.c:77: GGML_ASSERT(n_expert_used > 0) failed", "more")
    failure = told(by=signal.SIGABRT, log=log)
    assert failure.reason == "crashed"
    assert "n_expert_used > 0" in failure.why


def test_a_crash_on_windows_is_known_by_its_exit_status() -> None:
    assert "SIGILL" in told(code=0xC000001D).why
    assert told(code=-1073741819).reason == "crashed"


def test_a_lost_guard_is_said_to_be_lost() -> None:
    assert told(end=ProcessEnd(None, None)).reason == "guard_lost"


def test_the_log_tells_when_the_engine_did_not() -> None:
    taken = told(code=1, log=("[Errno 98] Address already in use",))
    assert taken.reason == "port_taken"
    assert "8080" in taken.what
    unknown = told(code=1, log=("error: unknown model architecture: 'nonesuch'",))
    assert unknown.reason == "unknown_architecture"
    assert told(code=1, log=("MemoryError",)).reason == "out_of_memory"


def test_an_end_without_a_cause_says_how_and_when() -> None:
    assert "while it was loading" in told(code=3).what
    failure = told(code=0, was_ready=True, log=("a", "b"))
    assert "while it was running" in failure.what
    assert "exit status 0" in failure.why
    assert failure.log_tail == ("a", "b")
    assert "SyntaxError: oops" in told(code=1, log=("File x", "SyntaxError: oops")).why


def test_a_stuck_engine_is_said_to_have_done_nothing() -> None:
    failure = stalled(FACTS, 120, ("last",))
    assert failure.reason == "never_ready"
    assert "120 seconds" in failure.why


def test_sizes_are_written_as_people_read_them() -> None:
    assert readable_bytes(310 * 1024**2) == "310 MiB"
    assert readable_bytes(int(4.2 * GIB)) == "4.2 GiB"
