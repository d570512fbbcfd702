"""What a worker, its guard and their clients say to each other beside the OpenAI dialect.

Two channels:

* The worker's and the guard's standard output: one JSON object a line, `WorkerEvent` below.
  Logs go to standard error, never to standard output.
* The HTTP face: the OpenAI dialect with the extensions that llama.cpp's own server made common,
  so that one client serves both: `return_progress` asks for `prompt_progress` in the stream,
  and the last chunk carries `timings`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypedDict

KEY_VARIABLE: Final = "M1DESK_API_KEY"
"""The environment variable that carries the bearer key to a worker."""

FailureReason = Literal[
    "out_of_memory",  # the engine could not allocate weights, KV cache or buffers
    "bad_model_file",  # truncated, damaged, not a GGUF
    "unknown_architecture",
    "port_taken",
    "bad_settings",  # contradictory or impossible settings
    "engine_error",  # anything else, said in `detail`
]


@dataclass(frozen=True, slots=True)
class Listening:
    """The HTTP face answers on 127.0.0.1:`port`; the model is not loaded yet."""

    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class Loading:
    """`fraction` (0.0 to 1.0) of the start is done.

    Attributes:
        stage: what is being done, in a few words; empty for reading the weights.
    """

    fraction: float
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """The model answers.

    Attributes:
        model: the model's id in the API.
        context_tokens: the context length given (tokens), shared by all sequences.
        parallel: how many sequences are served at once.
    """

    model: str
    context_tokens: int
    parallel: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker gives up and exits. `detail` is the engine's own account, for the log."""

    reason: FailureReason
    detail: str


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """The guard's word: the engine runs as process `pid`, created at `created` (seconds, epoch)."""

    pid: int
    created: float


@dataclass(frozen=True, slots=True)
class EngineExited:
    """The guard's word: the engine ended, with `code`, or by `signal` (one of them is None)."""

    code: int | None
    signal: int | None


WorkerEvent = Listening | Loading | Ready | Failed | EngineStarted | EngineExited

_EVENTS: Final = {
    "listening": Listening,
    "loading": Loading,
    "ready": Ready,
    "failed": Failed,
    "engine_started": EngineStarted,
    "engine_exited": EngineExited,
}
_NAMES: Final = {kind: name for name, kind in _EVENTS.items()}


def encode_event(event: WorkerEvent) -> bytes:
    """One line of JSON, ending in a newline."""
    return json.dumps({"event": _NAMES[type(event)], **asdict(event)}).encode() + b"\n"


def decode_event(line: bytes) -> WorkerEvent | None:
    """The event in one line of a worker's output, or None when the line is something else."""
    try:
        fields = json.loads(line)
        kind = _EVENTS[fields.pop("event")]
        event: WorkerEvent = kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event


class PromptProgress(TypedDict):
    """`prompt_progress` of a streamed chunk: how far the prefill is (tokens; milliseconds)."""

    total: int  # tokens of the whole prompt
    cache: int  # of them reused from an earlier state, not read again
    processed: int  # done so far, `cache` included
    time_ms: int


class Timings(TypedDict):
    """`timings` of the last chunk: what was read, what was written, how fast."""

    cache_n: int  # prompt tokens reused
    prompt_n: int  # prompt tokens read
    prompt_ms: float
    prompt_per_second: float
    predicted_n: int  # tokens written
    predicted_ms: float
    predicted_per_second: float


PreparedReason = Literal[
    "restored",  # used: read back from its file
    "in_memory",  # used: a sequence held it already
    "not_found",  # refused, this and all below; there is none of that name
    "damaged",  # a checksum differs
    "truncated",  # its size differs
    "unreadable",  # the system's refusal, or no plain file
    "outdated",  # of another format
    "other_model",
    "other_engine",
    "other_settings",
    "other_tokens",  # it was made of something else than this prompt's beginning
    "load_failed",  # the engine refused it
    "unsupported",  # this engine keeps none
    "disk_full",  # not saved
    "not_saved",  # not saved for another reason
]


class StateRefusal(TypedDict):
    """Why a saved state is not used, or was not saved: a stable word and a sentence."""

    reason: PreparedReason
    message: str


class PreparedUse(TypedDict):
    """`prepared` beside `timings`: what became of the saved state a chat asked for."""

    name: str
    used: bool  # its tokens were not read again
    reason: PreparedReason
    message: str  # a sentence where it was not used, else ""


class StateSaved(TypedDict):
    """`saved` in the stream of a preparation: from here on it would be resumed."""

    tokens: int
    bytes: int


class PreparedSummary(TypedDict):
    """`prepared` at the end of a preparation's stream."""

    name: str
    tokens: int
    bytes: int
    restored_tokens: int  # of a saved state or of a sequence in memory
    read_tokens: int
    seconds: float


class PreparedEntry(TypedDict):
    """One of GET /v1/prepared. What is refused can only be made anew, or deleted."""

    name: str
    tokens: int
    bytes: int  # of its state file
    complete: bool  # False: a checkpoint
    created: float  # seconds since the epoch
    model: str  # the name of the model it was made with
    refused: StateRefusal | None
