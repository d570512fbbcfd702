"""What a crash may cost of a long preparation, and so when its state is saved on the way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of a reading: after `tokens` tokens, at `time` (seconds, monotonic)."""

    tokens: int = 0
    time: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class CheckpointPlan:
    """How long an interval is: the most reading that a crash may cost, but for a last step.

    An interval is over when both its tokens and its time are. Two checkpoints are taken in it:
    while one is put on the disk, the other half is read. Intervals grow with what is there, so
    that all checkpoints together write only a few times what the last one does (with 1.5: five
    times).

    Attributes:
        first_tokens: the fewest tokens of an interval.
        growth: the least ratio of the tokens at its end to those at its beginning.
        seconds: the least time it takes.
    """

    first_tokens: int = 8192
    growth: float = 1.5
    seconds: float = 120.0

    def is_over(self, since: Mark, now: Mark) -> bool:
        """Whether an interval that began at `since` has ended."""
        return self._has_passed(1.0, since, now)

    def is_half_over(self, since: Mark, now: Mark) -> bool:
        """Whether half of an interval that began at `since` has passed."""
        return self._has_passed(0.5, since, now)

    def _has_passed(self, share: float, since: Mark, now: Mark) -> bool:
        tokens = max(self.first_tokens, (self.growth - 1) * since.tokens)
        return (
            now.tokens - since.tokens >= share * tokens
            and now.time - since.time >= share * self.seconds
        )
