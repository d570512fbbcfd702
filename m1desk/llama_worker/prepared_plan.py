"""When a preparation saves its state on the way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckpointPlan:
    """When the state of a long prompt is saved on the way.

    Intervals grow with what is there, so that all checkpoints together write only a few times
    what the last one does (with 1.25: five times).

    Attributes:
        first_tokens: the shortest interval (tokens).
        growth: the least ratio of a checkpoint's tokens to those of the one before.
        seconds: the least time from the end of one save to the next.
    """

    first_tokens: int = 4096
    growth: float = 1.25
    seconds: float = 60.0

    def next_position(self, position: int) -> int:
        """From which token on another checkpoint is due after one at `position`."""
        return max(position + self.first_tokens, int(position * self.growth))
