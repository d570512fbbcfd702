"""What loading a model with given settings takes, as the planner counts it, against what is free.

`plan` looks for the best place of each part; here each part lies where the settings put it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from m1desk.fit.machines import system_reserve
from m1desk.fit.placement import (
    GPU_OVERHEAD_BYTES,
    WORKER_OVERHEAD_BYTES,
    Needs,
    Wished,
    needs_of,
)
from m1desk.fit.variant import Variant, variant_from_header

if TYPE_CHECKING:
    from m1desk.models import GgufHeader

Verdict = Literal["fits", "tight", "too_big", "unknown"]

_TIGHT: Final = 0.9
"""Share of the free memory above which other programs begin to suffer."""


class RunSettings(Protocol):
    """What of an engine's settings decides about memory; see `engines.LlamaSettings`."""

    @property
    def context_tokens(self) -> int:
        """Context length (tokens)."""

    @property
    def parallel(self) -> int:
        """Requests served at once."""

    @property
    def gpu_layers(self) -> int:
        """Layers on the GPU; -1 for all."""

    @property
    def kv_type(self) -> str:
        """Type of the KV cache."""

    @property
    def ubatch_tokens(self) -> int:
        """Tokens computed at once."""

    @property
    def flash_attention(self) -> bool | None:
        """None lets calibration decide."""

    @property
    def cpu_expert_layers(self) -> tuple[int, ...]:
        """Layers whose experts stay in main memory."""


@dataclass(frozen=True, slots=True)
class FreeMemory:
    """What a model may take now (bytes); `gpu_bytes` is None where no GPU serves the engine.

    With `unified` the GPU computes in the machine's RAM, and both figures mean the same memory.
    """

    ram_bytes: int
    gpu_bytes: int | None = None
    unified: bool = False

    @classmethod
    def beside(cls, used_ram: int, ram: int, gpu: int | None, *, unified: bool) -> FreeMemory:
        """What is left beside others' memory and the system's reserve (bytes)."""
        return cls(max(0, ram - used_ram - system_reserve(ram)), gpu, unified=unified)


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes by purpose, and by place with what the engine takes beside the model.

    Attributes:
        gpu_bytes: what the GPUs must hold, the driver's part included; 0 without one.
        ram_bytes: what the machine's RAM must hold, the engine's process included.
    """

    needs: Needs
    gpu_bytes: int
    ram_bytes: int


def estimate_memory(header: GgufHeader, settings: RunSettings) -> MemoryEstimate:
    """What loading `header`'s model with `settings` takes: the planner's own figures.

    Several GPUs are counted as one. Raises BadInput for an unknown type of KV cache.
    """
    variant = variant_from_header(header)
    needs = needs_of(variant, _wished(settings))
    layers = max(variant.shape.layers, 1)
    asked = layers + 1 if settings.gpu_layers < 0 else min(settings.gpu_layers, layers + 1)
    if not asked:
        return MemoryEstimate(needs, 0, needs.total + WORKER_OVERHEAD_BYTES)
    first = layers + 1 - asked  # the output is the last of layers + 1, and goes there first
    share = (layers - first) / layers
    weights = _gpu_weights(variant, first, settings.cpu_expert_layers)
    cache = round((needs.kv_cache + needs.state) * share)
    in_ram = needs.weights - weights + needs.kv_cache + needs.state - cache
    return MemoryEstimate(
        needs,
        gpu_bytes=weights + cache + needs.compute + GPU_OVERHEAD_BYTES,
        ram_bytes=in_ram + (needs.compute if first else 0) + WORKER_OVERHEAD_BYTES,
    )


def judge(estimate: MemoryEstimate, free: FreeMemory | None) -> Verdict:
    """Say whether it fits what is free; "unknown" before the machine was looked at."""
    if free is None:
        return "unknown"
    pairs = [(estimate.ram_bytes, free.ram_bytes)]
    if free.unified:
        both = estimate.ram_bytes + estimate.gpu_bytes
        pairs = [(both, max(free.ram_bytes, free.gpu_bytes or 0))]
    elif free.gpu_bytes is not None:
        pairs.append((estimate.gpu_bytes, free.gpu_bytes))
    shares = [needed / available if available else 2.0 for needed, available in pairs if needed]
    worst = max(shares, default=0.0)
    return "fits" if worst <= _TIGHT else "tight" if worst <= 1.0 else "too_big"


def _wished(settings: RunSettings) -> Wished:
    return Wished(
        settings.context_tokens,
        parallel=settings.parallel,
        kv_type=settings.kv_type,
        ubatch_tokens=settings.ubatch_tokens,
        flash_attention=settings.flash_attention is not False,
    )


def _gpu_weights(variant: Variant, first: int, cpu_expert_layers: tuple[int, ...]) -> int:
    """Bytes of the weights from layer `first` on and of the output, without experts left in RAM."""
    layers = max(variant.shape.layers, 1)
    tables = variant.embedding_bytes + variant.output_bytes
    dense = (variant.weights_bytes - variant.expert_bytes - tables) / layers
    experts = variant.expert_bytes / layers
    on_gpu = range(first, layers)
    with_experts = len(set(on_gpu) - set(cpu_expert_layers))
    return round(len(on_gpu) * dense + with_experts * experts) + variant.output_bytes
