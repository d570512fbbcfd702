"""How long the engine will still read: each token costs more the more stand before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from m1desk.engines import StateNotSaved, StateRefusal, StateSaved
from m1desk.engines.turn import PrefillProgress

if TYPE_CHECKING:
    from m1desk.engines import PrepareEvent

_FEWEST_POINTS: Final = 4
_MOST_POINTS: Final = 400


@dataclass(frozen=True, slots=True)
class EngineReading:
    """How far the engine is with the documents and the question.

    Attributes:
        done, total, reused: tokens, the reused ones among those done.
        tokens_per_second: of what was really read so far; 0.0 before any time has passed.
        seconds_left: by the growth of the cost so far; None while nothing can be said.
        saved_tokens: up to here the reading goes on after a crash.
        note: why something saved was not used, or could not be saved; "".
    """

    done: int = 0
    total: int = 0
    reused: int = 0
    tokens_per_second: float = 0.0
    seconds_left: float | None = None
    saved_tokens: int = 0
    note: str = ""


class ReadingClock:
    """Fits the cost of a token at depth n to a + b·n, and sums it over the tokens still to come.

    Attention looks back at everything before a token, so b > 0 for most models; it is 0 for
    those whose layers keep a state of one size.
    """

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []  # depth in the middle, seconds a token
        self._last: tuple[int, float] | None = None

    def add(self, progress: PrefillProgress) -> float | None:
        """Take note of the progress; return the seconds left, None while nothing can be said."""
        if self._last is None or progress.done < self._last[0]:
            self._points, self._last = [], (progress.reused, 0.0)
        done, seconds = self._last
        tokens, took = progress.done - done, progress.seconds - seconds
        if tokens > 0 and took > 0:
            self._points.append((done + tokens / 2, took / tokens))
            del self._points[:-_MOST_POINTS]
            self._last = (progress.done, progress.seconds)
        if not self._points:
            return None
        return self._left(progress.done, progress.total)

    def _left(self, done: int, total: int) -> float:
        tokens = max(0, total - done)
        middle = (done + total) / 2
        count = len(self._points)
        mean_depth = sum(depth for depth, _ in self._points) / count
        mean_cost = sum(cost for _, cost in self._points) / count
        spread = sum((depth - mean_depth) ** 2 for depth, _ in self._points)
        if count < _FEWEST_POINTS or not spread:
            return tokens * mean_cost
        growth = sum((d - mean_depth) * (c - mean_cost) for d, c in self._points) / spread
        return tokens * (mean_cost + max(0.0, growth) * (middle - mean_depth))


def reading_after(now: EngineReading, clock: ReadingClock, event: PrepareEvent) -> EngineReading:
    """How far the reading is after an event."""
    match event:
        case PrefillProgress():
            return replace(
                now,
                done=event.done,
                total=event.total,
                reused=event.reused,
                tokens_per_second=event.tokens_per_second,
                seconds_left=clock.add(event),
            )
        case StateSaved(tokens):
            return replace(now, saved_tokens=tokens)
        case StateRefusal(_, message):
            note = f"What was prepared before can't be used: {message} It is read again."
            return replace(now, note=note)
        case StateNotSaved(_, message):
            return replace(now, note=f"What is read can't be kept for later: {message}")
    return now
