"""How fast an engine works, out of its counters at successive moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m1desk.engines.metrics import EngineMetrics


@dataclass(frozen=True, slots=True)
class EngineRates:
    """An engine between two moments.

    Attributes:
        prefill_tokens_per_second: of all requests together, reused tokens left out.
        decode_tokens_per_second: likewise.
        running, waiting: requests at the later moment.
        kv_fraction: 0.0 to 1.0 of the KV cache in use, None if unknown.
    """

    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    running: int
    waiting: int
    kv_fraction: float | None


class EngineMonitor:
    """Keeps the last counters and compares the next ones with them."""

    def __init__(self) -> None:
        self._last: EngineMetrics | None = None

    def update(self, now: EngineMetrics) -> EngineRates:
        """Compare; rates are 0.0 at first, and when the engine was started anew in between."""
        before, self._last = self._last, now
        prefill = decode = 0.0
        if before is not None and _continues(before, now):
            seconds = now.at - before.at
            prefill = (now.prompt_tokens - before.prompt_tokens) / seconds
            decode = (now.generated_tokens - before.generated_tokens) / seconds
        return EngineRates(
            prefill_tokens_per_second=prefill,
            decode_tokens_per_second=decode,
            running=now.running,
            waiting=now.waiting,
            kv_fraction=now.kv_tokens_used / now.kv_tokens if now.kv_tokens > 0 else None,
        )

    def reset(self) -> None:
        """Forget the last counters: another engine follows."""
        self._last = None


def _continues(before: EngineMetrics, now: EngineMetrics) -> bool:
    return (
        now.at > before.at
        and now.prompt_tokens >= before.prompt_tokens
        and now.generated_tokens >= before.generated_tokens
    )
