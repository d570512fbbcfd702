"""How much memory loading a model will take, out of its header, set against what is free now.

The engine's own allocation differs by some per cent; everything here is shown as an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from m1desk.fit.formulas import compute_bytes, kv_cache_bytes, state_bytes
from m1desk.fit.variant import ModelShape

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


@dataclass(frozen=True, slots=True)
class FreeMemory:
    """What can be used now (bytes); `gpu_bytes` is None where no GPU serves the engine.

    With `unified` the GPU computes in the machine's RAM, and both figures mean the same memory.
    """

    ram_bytes: int
    gpu_bytes: int | None = None
    unified: bool = False


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes by purpose, and the share of weights, cache and state that lies on the GPU."""

    weights_bytes: int
    kv_bytes: int
    state_bytes: int
    compute_bytes: int
    gpu_share: float = 0.0

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_bytes + self.state_bytes + self.compute_bytes

    @property
    def gpu_bytes(self) -> int:
        """What the GPU must hold."""
        if not self.gpu_share:
            return 0
        shared = self.total_bytes - self.compute_bytes
        return round(shared * self.gpu_share) + self.compute_bytes

    @property
    def ram_bytes(self) -> int:
        """What the machine's RAM must hold."""
        return self.total_bytes - self.gpu_bytes


def estimate_memory(header: GgufHeader, settings: RunSettings) -> MemoryEstimate:
    """Estimate what loading `header`'s model with `settings` takes; see `formulas`."""
    shape = ModelShape.from_header(header)
    layers = header.block_count + 1  # the output layer counts as one for the engine
    placed = layers if settings.gpu_layers < 0 else min(settings.gpu_layers, layers)
    return MemoryEstimate(
        weights_bytes=header.weights_bytes,
        kv_bytes=kv_cache_bytes(shape, settings.context_tokens, settings.kv_type),
        state_bytes=state_bytes(shape, settings.parallel),
        compute_bytes=compute_bytes(
            shape,
            settings.context_tokens,
            settings.ubatch_tokens,
            flash_attention=settings.flash_attention is not False,
            kv_type=settings.kv_type,
            outputs=settings.parallel,
        ),
        gpu_share=placed / layers,
    )


def judge(estimate: MemoryEstimate, free: FreeMemory | None) -> Verdict:
    """Say whether it fits what is free; "unknown" before the machine was looked at."""
    if free is None:
        return "unknown"
    pairs = [(estimate.ram_bytes, free.ram_bytes)]
    if free.unified:
        pairs = [(estimate.total_bytes, max(free.ram_bytes, free.gpu_bytes or 0))]
    elif free.gpu_bytes is not None:
        pairs.append((estimate.gpu_bytes, free.gpu_bytes))
    shares = [needed / available if available else 2.0 for needed, available in pairs if needed]
    worst = max(shares, default=0.0)
    return "fits" if worst <= _TIGHT else "tight" if worst <= 1.0 else "too_big"
