"""What an engine is doing, as values: its state, where it answers, and why it failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class EngineState(Enum):
    """The states of a managed engine; `states.py` holds the table of moves between them."""

    STOPPED = "stopped"
    STARTING = "starting"  # the process is being made; nothing answers yet
    LOADING = "loading"  # it answers, the weights are on their way
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers in the OpenAI dialect.

    `base_url` ends before `/v1`. The key is kept out of repr, so out of logs. Where there is a
    `socket`, it is reached through that file, and the host in `base_url` means nothing.
    """

    base_url: str
    model: str
    api_key: str = field(repr=False)
    socket: Path | None = None


@dataclass(frozen=True, slots=True)
class EngineFailure:
    """Why an engine is not running, in words for the user.

    Attributes:
        reason: a stable word: a `wire.FailureReason`, "killed", "crashed", "guard_lost",
            "not_found" (the file), "never_ready".
        what, why, todo: the message, as in `M1DeskError`.
        log_tail: the last lines the engine wrote.
    """

    reason: str
    what: str
    why: str = ""
    todo: str = ""
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """An engine as it is now.

    Attributes:
        load_fraction: 0.0 to 1.0 while LOADING.
        load_stage: what is being done meanwhile, in a few words; empty for reading the weights.
        context_tokens: the context length given (tokens), 0 until READY.
        asked_context_tokens: the context length asked for (tokens).
        failure: set when FAILED.
        engine: the program that runs the model on this machine.
        server: name of the remote server that this is about, "" for the engine of this machine.
        is_silent: a server whose last answer broke off; it may be asked again.
    """

    state: EngineState
    model_path: Path | None = None
    model_name: str = ""
    load_fraction: float = 0.0
    load_stage: str = ""
    endpoint: Endpoint | None = None
    context_tokens: int = 0
    asked_context_tokens: int = 0
    parallel: int = 1
    pid: int | None = None
    failure: EngineFailure | None = None
    engine: str = "llama.cpp"
    server: str = ""
    is_silent: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it can be asked."""
        return self.state is EngineState.READY

    @property
    def is_busy_starting(self) -> bool:
        """Whether it is on its way up."""
        return self.state in {EngineState.STARTING, EngineState.LOADING}


@dataclass(frozen=True, slots=True)
class LlamaSettings:
    """What a person chooses when loading a GGUF; None lets calibration or the model decide.

    Attributes:
        context_tokens: context length asked for (tokens), shared by all parallel requests; always
            a number, because the library would take the model's maximum for 0 (ten million for M1).
        parallel: requests served at once.
        gpu_layers: layers placed on the GPU; -1 all of them. The output counts as one more layer
            and goes there first, so n means the last n - 1 layers and the output.
        cpu_expert_layers: layers whose experts stay in main memory though the rest lies on the GPU.
        kv_type: type of the KV cache: "f16", "q8_0" or "q4_0".
        ubatch_tokens: tokens computed at once in prefill.
    """

    model_path: Path
    context_tokens: int = 8192
    parallel: int = 4
    gpu_layers: int = -1
    kv_type: str = "f16"
    ubatch_tokens: int = 512
    threads: int | None = None
    flash_attention: bool | None = None
    extra_buffers: bool | None = None
    port: int = 0
    cpu_expert_layers: tuple[int, ...] = ()
