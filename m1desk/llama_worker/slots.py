"""The sequences of a context: what each holds, and how much of a new prompt is there already.

A model whose memory is attention alone can be cut back to any position. A recurrent or hybrid
model (MiniMax-M1) can't: it goes back only to a position where its state was saved. So such a
model's slots keep snapshots, taken where a later prompt is likely to part from this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from m1desk.llama_worker.generation import Generation

    Tokens = Sequence[int] | npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A saved recurrent state after `position` tokens."""

    position: int
    data: bytes


@dataclass(slots=True, eq=False)
class Slot:
    """One sequence of the context.

    Attributes:
        tokens: those in its memory, in order.
        parked: its whole state when it is not in the KV cache but set aside; so is that of a
            request that has to pause, for want of room.
        settled_at: from when on it counts as idle (seconds, monotonic).
        last_used: the scheduler's step in which a request last ended here.
    """

    number: int
    tokens: list[int] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    parked: bytes | None = None
    generation: Generation | None = None
    settled_at: float = 0.0
    last_used: int = 0

    @property
    def is_free(self) -> bool:
        """Whether no request is using it; it may still hold a reusable state."""
        return self.generation is None

    @property
    def is_running(self) -> bool:
        """Whether its request is being worked on: there is one, and it does not pause."""
        return self.generation is not None and self.parked is None

    @property
    def cells_needed(self) -> int:
        """Cells that its request takes up with its next token; 0 when it is free."""
        if self.generation is None:
            return 0
        return max(len(self.tokens), len(self.generation.prompt)) + 1

    @property
    def saved_bytes(self) -> int:
        """Memory of its snapshots and its parked state."""
        return sum(len(one.data) for one in self.snapshots) + len(self.parked or b"")

    def drop_snapshots_after(self, position: int) -> None:
        """Forget snapshots of a past that is no longer this sequence's."""
        self.snapshots = [one for one in self.snapshots if one.position <= position]


def common_prefix(left: Tokens, right: Tokens) -> int:
    """How many tokens two sequences share from their start."""
    length = min(len(left), len(right))
    if not length:
        return 0
    differs = np.asarray(left[:length]) != np.asarray(right[:length])
    first = int(differs.argmax())
    return first if differs[first] else length


def reusable_tokens(slot: Slot, prompt: Sequence[int], *, needs_snapshots: bool) -> int:
    """How many tokens of `prompt` need not be read again in this slot.

    At least the prompt's last token is always read, since its logits are wanted.
    """
    shared = min(common_prefix(slot.tokens, prompt), len(prompt) - 1)
    if not needs_snapshots or shared == len(slot.tokens):
        return shared
    return max((one.position for one in slot.snapshots if one.position <= shared), default=0)


def choose_slot(
    slots: Sequence[Slot], prompt: Sequence[int], *, needs_snapshots: bool
) -> tuple[Slot, int] | None:
    """The free slot to use and how many tokens it saves, or None when all are busy.

    A slot is taken over for its prefix if it keeps most of what it holds, so that a system prompt
    in common does not let one conversation displace another; else the longest unused one goes.
    """
    free = [slot for slot in slots if slot.is_free]
    if not free:
        return None
    saved = {
        slot.number: reusable_tokens(slot, prompt, needs_snapshots=needs_snapshots) for slot in free
    }
    best = max(free, key=lambda slot: (saved[slot.number], -len(slot.tokens)))
    reuse = saved[best.number]
    empty = [slot for slot in free if not slot.tokens]
    if reuse and 2 * reuse >= len(best.tokens):
        return best, reuse
    fallback = empty[0] if empty else min(free, key=lambda slot: slot.last_used)
    return fallback, saved[fallback.number]
