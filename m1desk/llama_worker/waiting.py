"""The requests that wait for a sequence and for room in the KV cache, and who is next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from m1desk.llama_worker.generation import Generation
from m1desk.llama_worker.slots import Slot, choose_slot

_MOST_OVERTAKEN = 16
"""How many later requests may begin before one that does not fit beside those being served."""


class WaitingLine:
    """Requests in the order of their arrival. Owned by the scheduler's thread."""

    def __init__(
        self, slots: Sequence[Slot], *, context_tokens: int, needs_snapshots: bool
    ) -> None:
        self._slots = slots
        self._context_tokens = context_tokens
        self._needs_snapshots = needs_snapshots
        self._waiting: deque[Generation] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Generation]:
        return iter(tuple(self._waiting))

    def extend(self, generations: Iterable[Generation]) -> None:
        """Queue new requests."""
        self._waiting.extend(generations)

    def put_back(self, generation: Generation) -> None:
        """Let a request that had begun wait again, before all others."""
        self._waiting.appendleft(generation)

    def drop_cancelled(self) -> None:
        """Forget those given up."""
        for generation in self:
            if generation.cancelled:
                self._waiting.remove(generation)
                generation.sampler.close()

    def take_next(self) -> tuple[Generation, Slot, int] | None:
        """The next request, its slot and how many tokens it saves; None when none can begin.

        A prompt that has no room for now is overtaken by others, but not for ever.
        """
        passed: list[Generation] = []
        for generation in self:
            if self._fits(generation):
                choice = self._choose_slot(generation)
                if choice is None:
                    return None
                self._waiting.remove(generation)
                for one in passed:
                    one.overtaken += 1
                return generation, *choice
            if generation.overtaken >= _MOST_OVERTAKEN:
                return None
            passed.append(generation)
        return None

    def _fits(self, generation: Generation) -> bool:
        """Whether its prompt and one more token fit beside what the active requests need."""
        needed = sum(slot.cells_needed for slot in self._slots)
        return not needed or needed + len(generation.prompt) + 1 <= self._context_tokens

    def _choose_slot(self, generation: Generation) -> tuple[Slot, int] | None:
        if generation.reuse_prefix:
            return choose_slot(
                self._slots, generation.prompt, needs_snapshots=self._needs_snapshots
            )
        free = [slot for slot in self._slots if slot.is_free]
        return (min(free, key=lambda slot: slot.last_used), 0) if free else None
