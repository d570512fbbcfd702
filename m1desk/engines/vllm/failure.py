"""Why vLLM ended, found in its log: the cause stands far above the last line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from m1desk.engines.failure import explain
from m1desk.engines.status import EngineFailure

if TYPE_CHECKING:
    from m1desk.engines.failure import Evidence, LoadFacts

_PREFIX: Final = re.compile(
    r"^(?:\([^()]*pid=\d+\)\s*)?(?:[A-Z]+ \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\]\s*)?"
)
_ERROR: Final = re.compile(r"^(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt)\b: .+")
_EMPTY_WORDS: Final = re.compile(
    r"Engine core initialization failed|EngineCore encountered an issue|EngineDeadError"
    r"|See (?:root cause|stack trace)|WorkerProc initialization failed|cancelled"
)
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class _Cause:
    """What lines of the log mean.

    `what` is filled with the model's name.
    """

    signs: re.Pattern[str]
    reason: str
    what: str
    todo: str


_CAUSES: Final = (
    _Cause(
        re.compile(
            r"was supported in vLLM until|are not supported for now|not supported in-tree"
            r"|does not recognize this architecture|has no vLLM implementation"
        ),
        "unknown_architecture",
        "This vLLM does not know the kind of model in {name}.",
        "Install a version of vLLM that does, in an environment of its own: `m1desk engines "
        "install`.",
    ),
    _Cause(
        re.compile(
            r"out of memory|OutOfMemoryError|No available memory for the cache blocks"
            r"|larger than the available KV cache memory|[Cc]annot allocate memory"
            r"|is less than desired GPU memory utilization|std::bad_alloc|\bMemoryError\b"
        ),
        "out_of_memory",
        "There is not enough memory for {name}.",
        "Load it with a smaller context length or for fewer requests at once, choose a smaller "
        "variant of the model, or close other programs that use the GPUs.",
    ),
    _Cause(
        re.compile(r"[Aa]ddress already in use"),
        "port_taken",
        "The port is in use by another program.",
        "Choose another port, or none.",
    ),
    _Cause(
        re.compile(r"SafetensorError|deserializing header|incomplete metadata|JSONDecodeError"),
        "bad_model_file",
        "{name} is damaged.",
        "Verify the files, or download them again.",
    ),
    _Cause(
        re.compile(r"image not known|No such image|Unable to find image"),
        "broken_environment",
        "The container image of vLLM is not on this machine any more.",
        "Fetch it again, remove the environment and add it again.",
    ),
    _Cause(
        re.compile(r"unresolvable CDI devices|could not select device driver|stat nvidia\.com/gpu"),
        "broken_environment",
        "A container can't be given the GPUs of this machine.",
        "Install NVIDIA's container toolkit; podman needs its list of devices too: `nvidia-ctk "
        "cdi generate`.",
    ),
    _Cause(
        re.compile(r"ModuleNotFoundError|ImportError|undefined symbol|operator \S+ does not exist"),
        "broken_environment",
        "The environment of vLLM is broken.",
        "Test it with `m1desk engines test`, or install it again.",
    ),
    _Cause(
        re.compile(r"error: (?:unrecognized|argument)|ValidationError|Value error,|must be div"),
        "bad_settings",
        "{name} can't be loaded with these settings.",
        "Change the settings it names.",
    ),
)


def explain_vllm(evidence: Evidence, facts: LoadFacts) -> EngineFailure:
    """Find the most likely cause of an end that nobody asked for."""
    exited = evidence.end.exited
    if exited is None or exited.signal is not None:
        return explain(evidence, facts)
    name, words = facts.model_path.name, root_words(evidence.log_tail)
    if evidence.after.oom_kills > evidence.before.oom_kills:
        memory = next(one for one in _CAUSES if one.reason == "out_of_memory")
        return _failure(memory, name, "The system ended a part of it to save itself.", evidence)
    for cause in _CAUSES:
        line = next((one for one in evidence.log_tail if cause.signs.search(one)), None)
        if line is not None:
            return _failure(cause, name, _plain(line), evidence)
    when = "while it was running" if evidence.was_ready else "while it was loading"
    return EngineFailure(
        "engine_error",
        f"vLLM ended {when}: {name}.",
        words or f"It ended by itself with exit status {exited.code}.",
        "Load the model again. The engine's log says more.",
        evidence.log_tail,
    )


def root_words(lines: Sequence[str]) -> str:
    """The first error that says something of its own; "" if there is none."""
    found = (_plain(line) for line in lines)
    errors = (line for line in found if _ERROR.match(line) and not _EMPTY_WORDS.search(line))
    return next(errors, "")


def _failure(cause: _Cause, name: str, why: str, evidence: Evidence) -> EngineFailure:
    return EngineFailure(
        cause.reason, cause.what.format(name=name), why, cause.todo, evidence.log_tail
    )


def _plain(line: str) -> str:
    """A line without the process, the time and the place it comes from."""
    return _PREFIX.sub("", line).strip()[:_LONGEST]
