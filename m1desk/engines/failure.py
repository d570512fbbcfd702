"""Why an engine is not running, found out from what it left behind, in words for the user."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from m1desk.engines.memory import MemorySnapshot, readable_bytes
from m1desk.engines.status import EngineFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.engines.process import ProcessEnd
    from m1desk.errors import M1DeskError
    from m1desk.wire import EngineExited, Failed

_NO_MEMORY: Final = re.compile(
    r"std::bad_alloc|\bMemoryError\b|out of memory|[Cc]annot allocate memory"
    r"|failed to allocate|unable to allocate|cudaMalloc failed|ErrorOutOfDeviceMemory"
)
_PORT_TAKEN: Final = re.compile(r"[Aa]ddress already in use|EADDRINUSE")
_UNKNOWN_ARCHITECTURE: Final = re.compile(r"unknown model architecture")
_LAST_WORDS: Final = re.compile(r"GGML_ASSERT\(|GGML_ABORT|what\(\):|fatal error")
_TAIL_TO_READ: Final = 60
_WINDOWS_FAULTS: Final = {
    0xC0000005: signal.SIGSEGV,  # access violation
    0xC000001D: signal.SIGILL,  # illegal instruction
    0xC0000409: signal.SIGABRT,  # fail-fast
    0xC0000017: signal.SIGABRT,  # no memory
}
_FAULTS: Final = frozenset(
    number
    for name in ("SIGSEGV", "SIGILL", "SIGBUS", "SIGFPE", "SIGABRT", "SIGSYS", "SIGTRAP")
    if (number := getattr(signal, name, None)) is not None
)
_SMALLER: Final = (
    "Load it with a smaller context length or with a q8_0 KV cache, choose a smaller variant of "
    "the model, or close other programs."
)
_DOWNLOAD_AGAIN: Final = "Verify the file, or download it again."


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """What was tried, for the words of a failure.

    Attributes:
        context_tokens: the context length asked for (tokens).
        model_bytes: size of the model file, 0 if unknown.
        extra_buffers: whether the CPU's special matrix formats were used; they crash on some
            virtual machines.
    """

    model_path: Path
    context_tokens: int
    kv_type: str = "f16"
    model_bytes: int = 0
    extra_buffers: bool = False
    port: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about an end that nobody asked for.

    Attributes:
        before: memory before the engine was started.
        lowest: memory when the least was available, as far as it was watched.
        was_ready: whether the engine had answered before.
    """

    end: ProcessEnd
    before: MemorySnapshot
    lowest: MemorySnapshot
    after: MemorySnapshot
    log_tail: tuple[str, ...]
    was_ready: bool


def explain(evidence: Evidence, facts: LoadFacts) -> EngineFailure:
    """Find the most likely cause of an end, best evidence first."""
    end = evidence.end
    if end.failed is not None:
        return _by_word(end.failed, evidence, facts)
    if end.exited is None:
        return EngineFailure(
            "guard_lost",
            "The engine was ended, because the process that watches over it was.",
            "Something outside M1 Desk ended the guard process.",
            "Load the model again.",
            evidence.log_tail,
        )
    return _by_exit(end.exited, evidence, facts)


def stalled(facts: LoadFacts, seconds: float, log_tail: tuple[str, ...]) -> EngineFailure:
    """Describe an engine that stopped doing anything at all before it was ready."""
    return EngineFailure(
        "never_ready",
        f"{facts.model_path.name} did not finish loading.",
        f"The engine did nothing for {seconds:.0f} seconds: it used no processor time, read "
        "nothing and said nothing.",
        "If the file is on a network or a removable disk, check that it can be read; then try "
        "again.",
        log_tail,
    )


def refused_greeting(
    facts: LoadFacts, error: M1DeskError, log_tail: tuple[str, ...]
) -> EngineFailure:
    """Describe an engine that came up but did not answer its first request."""
    return EngineFailure(
        "never_ready",
        f"{facts.model_path.name} was loaded, but answers nothing.",
        " ".join(part for part in (error.what, error.why) if part),
        "Load the model again. The last lines of the engine's log may say more.",
        log_tail,
    )


def not_started(what: str, log_tail: tuple[str, ...] = ()) -> EngineFailure:
    """Describe an engine whose process could not be made at all."""
    return EngineFailure(
        "engine_error",
        "The engine could not be started.",
        what,
        "Close other programs and try again; if it stays so, install M1 Desk again.",
        log_tail,
    )


def _by_word(failed: Failed, evidence: Evidence, facts: LoadFacts) -> EngineFailure:
    """Take the engine's own word for it."""
    words: dict[str, Callable[[Evidence, LoadFacts, str], EngineFailure]] = {
        "out_of_memory": _out_of_memory,
        "bad_model_file": _bad_file,
        "unknown_architecture": _unknown_architecture,
        "port_taken": _port_taken,
        "bad_settings": _bad_settings,
    }
    return words.get(failed.reason, _other)(evidence, facts, failed.detail)


def _by_exit(exited: EngineExited, evidence: Evidence, facts: LoadFacts) -> EngineFailure:
    number = exited.signal or _WINDOWS_FAULTS.get((exited.code or 0) & 0xFFFFFFFF)
    said = "\n".join(evidence.log_tail[-_TAIL_TO_READ:])
    if _NO_MEMORY.search(said) and (number is None or number in _FAULTS):
        return _out_of_memory(evidence, facts, _line_with(_NO_MEMORY, evidence.log_tail))
    if number is not None and number in _FAULTS:
        return _crashed(signal.Signals(number), evidence, facts)
    if number is not None:
        return _killed(number, evidence, facts)
    if _PORT_TAKEN.search(said):
        return _port_taken(evidence, facts, "")
    if _UNKNOWN_ARCHITECTURE.search(said):
        return _unknown_architecture(evidence, facts, "")
    last = f" Its last words: {evidence.log_tail[-1]}" if exited.code and evidence.log_tail else ""
    return _other(evidence, facts, f"It ended by itself with exit status {exited.code}.{last}")


def _out_of_memory(evidence: Evidence, facts: LoadFacts, detail: str) -> EngineFailure:
    free = readable_bytes(evidence.before.available)
    size = f"The file alone is {readable_bytes(facts.model_bytes)}; " if facts.model_bytes else ""
    why = (
        f"{size}{free} of memory were free before, and a KV cache for {facts.context_tokens:,} "
        f"tokens ({facts.kv_type}) comes on top."
    )
    return EngineFailure(
        "out_of_memory",
        f"There is not enough memory for {facts.model_path.name}.",
        f"{why} {detail}".strip(),
        _SMALLER,
        evidence.log_tail,
    )


def _bad_file(evidence: Evidence, facts: LoadFacts, detail: str) -> EngineFailure:
    return EngineFailure(
        "bad_model_file",
        f"{facts.model_path.name} is damaged or not a model.",
        detail,
        _DOWNLOAD_AGAIN,
        evidence.log_tail,
    )


def _unknown_architecture(evidence: Evidence, facts: LoadFacts, detail: str) -> EngineFailure:
    return EngineFailure(
        "unknown_architecture",
        f"The engine does not know the kind of model in {facts.model_path.name}.",
        detail,
        "Update M1 Desk, or choose a model of an architecture that llama.cpp supports.",
        evidence.log_tail,
    )


def _port_taken(evidence: Evidence, facts: LoadFacts, detail: str) -> EngineFailure:
    which = f"Port {facts.port}" if facts.port else "The port"
    return EngineFailure(
        "port_taken",
        f"{which} is in use by another program.",
        detail,
        "Choose another port, or 0 to let the system find a free one.",
        evidence.log_tail,
    )


def _bad_settings(evidence: Evidence, facts: LoadFacts, detail: str) -> EngineFailure:
    return EngineFailure(
        "bad_settings",
        f"{facts.model_path.name} can't be loaded with these settings.",
        detail,
        "Change the settings it names, or go back to the default ones.",
        evidence.log_tail,
    )


def _other(evidence: Evidence, facts: LoadFacts, detail: str) -> EngineFailure:
    when = "while it was running" if evidence.was_ready else "while it was loading"
    return EngineFailure(
        "engine_error",
        f"The engine for {facts.model_path.name} ended {when}.",
        detail,
        "Load the model again. The last lines of the engine's log may say more.",
        evidence.log_tail,
    )


def _crashed(number: signal.Signals, evidence: Evidence, facts: LoadFacts) -> EngineFailure:
    todo = "Load the model again. If it stays so, verify the file or download it again."
    why = f"It was stopped by {number.name}."
    if words := _line_with(_LAST_WORDS, evidence.log_tail[-_TAIL_TO_READ:]):
        why += f" Its last words: {words.strip()}"
    if facts.extra_buffers and number in _instruction_faults():
        why += (
            " Some processors, most of all in virtual machines, fail at the special matrix formats."
        )
        todo = "Load the model again with extra buffers off: that is the safe setting."
    return EngineFailure(
        "crashed",
        f"The engine crashed while {'running' if evidence.was_ready else 'loading'} "
        f"{facts.model_path.name}.",
        why,
        todo,
        evidence.log_tail,
    )


def _killed(number: int, evidence: Evidence, facts: LoadFacts) -> EngineFailure:
    """Tell the kernel's lack of memory from somebody's wish."""
    if number == _number_of("SIGKILL"):
        more = evidence.after.oom_kills - evidence.before.oom_kills
        if more > 0:
            return _out_of_memory(evidence, facts, "The system ended the engine to save itself.")
        if evidence.lowest.is_low:
            left, total = evidence.lowest.available, evidence.lowest.total
            detail = (
                f"When it was ended, {readable_bytes(left)} of {readable_bytes(total)} were left."
            )
            return _out_of_memory(evidence, facts, detail)
    return EngineFailure(
        "killed",
        "The engine was ended from outside.",
        f"Another program or a person sent it {_name_of(number)}.",
        "Load the model again.",
        evidence.log_tail,
    )


def _instruction_faults() -> frozenset[int]:
    return frozenset(map(_number_of, ("SIGSEGV", "SIGILL", "SIGBUS")))


def _number_of(name: str) -> int:
    return int(getattr(signal, name, -1))


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _line_with(pattern: re.Pattern[str], lines: tuple[str, ...]) -> str:
    """Return the last line that matches."""
    return next((line for line in reversed(lines) if pattern.search(line)), "")
