"""What the sequences remember: cutting back, snapshots, and states set aside in ordinary memory.

All sequences share the cells of one KV cache, and every step computes over all cells in use, also
those of sequences nobody is asking just now. So the state of an idle sequence is set aside
("parked") as bytes when another one starts, and put back, exactly, when its prompt returns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from m1desk.llama_worker.context import Context
from m1desk.llama_worker.slots import Slot, Snapshot

_SETTLED_SECONDS = 0.5
"""A sequence idle for less is likely to be asked again at once: it stays where it is."""


class SequenceMemory:
    """The states of all slots, within a budget. Owned by the scheduler's thread."""

    def __init__(
        self, context: Context, slots: Sequence[Slot], *, needs_snapshots: bool, budget: int
    ) -> None:
        """`budget` is the most memory (bytes) for snapshots and parked states together."""
        self._context = context
        self._slots = slots
        self._needs_snapshots = needs_snapshots
        self._budget = budget

    @property
    def cells_used(self) -> int:
        """Tokens in the KV cache."""
        return sum(len(slot.tokens) for slot in self._slots if slot.parked is None)

    @property
    def saved_bytes(self) -> int:
        """Memory of snapshots and parked states (bytes)."""
        return sum(slot.saved_bytes for slot in self._slots)

    def enter(self, slot: Slot, position: int) -> int:
        """Make a slot ready to go on after its first `position` tokens; 0 if it must start over."""
        self._park_settled(slot)
        if slot.parked is not None and not (position and self._unpark(slot)):
            self.forget(slot)
        if position < len(slot.tokens) and not (position and self._cut(slot, position)):
            self.forget(slot)
        slot.settled_at = float("inf")
        return len(slot.tokens)

    def leave(self, slot: Slot) -> None:
        """The slot's request has ended; its state stays for the next prompt."""
        slot.settled_at = time.monotonic() + _SETTLED_SECONDS

    def _cut(self, slot: Slot, position: int) -> bool:
        if self._needs_snapshots:
            snapshot = next((one for one in slot.snapshots if one.position == position), None)
            if snapshot is None:
                return False
            if not self._context.restore_recurrent(slot.number, snapshot.data):
                return False
        if not self._context.forget(slot.number, position):
            return False
        del slot.tokens[position:]
        slot.drop_snapshots_after(position)
        return True

    def forget(self, slot: Slot) -> None:
        """Give up all that a slot holds."""
        self._context.forget(slot.number)
        slot.tokens.clear()
        slot.snapshots.clear()
        slot.parked = None

    def take_snapshot(self, slot: Slot) -> None:
        """Save the state as it is, if this model needs that to come back here."""
        if not self._needs_snapshots:
            return
        data = self._context.save_recurrent(slot.number)
        if len(data) <= self._budget:
            self._spend(len(data), keep=slot)
            slot.snapshots.append(Snapshot(len(slot.tokens), data))

    def make_room(self, wanted: int) -> bool:
        """Whether `wanted` more cells are free, after setting idle sequences aside if need be."""
        for slot in self._idle_in_cache():
            if self._free_cells() >= wanted:
                break
            if not self._park(slot):
                self.forget(slot)
        return self._free_cells() >= wanted

    def _free_cells(self) -> int:
        return self._context.context_tokens - self.cells_used

    def _idle_in_cache(self) -> list[Slot]:
        idle = [one for one in self._slots if one.is_free and one.tokens and one.parked is None]
        return sorted(idle, key=lambda one: one.last_used)

    def _park_settled(self, starting: Slot) -> None:
        now = time.monotonic()
        for slot in self._idle_in_cache():
            if slot is not starting and slot.settled_at <= now:
                self._park(slot)

    def _park(self, slot: Slot) -> bool:
        """Set a state aside; False, with the state left in place, when that exceeds the budget."""
        size = self._context.sequence_bytes(slot.number)
        if size > self._budget:
            return False
        self._spend(size, keep=slot)
        slot.parked = self._context.save_sequence(slot.number)
        self._context.forget(slot.number)
        return True

    def _unpark(self, slot: Slot) -> bool:
        parked = slot.parked
        if parked is None or not self.make_room(len(slot.tokens)):
            return False
        slot.parked = None
        return self._context.restore_sequence(slot.number, parked)

    def _spend(self, size: int, *, keep: Slot) -> None:
        """Free enough of the budget for `size` bytes: parked states first, the oldest first."""
        others = sorted(
            (one for one in self._slots if one is not keep and one.is_free),
            key=lambda one: one.last_used,
        )
        for slot in others:
            if self.saved_bytes + size > self._budget and slot.parked is not None:
                self.forget(slot)
        for slot in [*others, *self._slots]:
            while slot.snapshots and self.saved_bytes + size > self._budget:
                slot.snapshots.pop(0)
