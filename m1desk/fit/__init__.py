"""What fits: the memory a model will take, set against what is free."""

from __future__ import annotations

from m1desk.fit.memory import (
    FreeMemory,
    MemoryEstimate,
    RunSettings,
    Verdict,
    estimate_memory,
    judge,
)

__all__ = [
    "FreeMemory",
    "MemoryEstimate",
    "RunSettings",
    "Verdict",
    "estimate_memory",
    "judge",
]
