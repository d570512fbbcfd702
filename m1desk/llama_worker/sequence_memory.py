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
from m1desk.llama_worker.states import SavedState

_RECENT_SNAPSHOTS = 4
"""Of the last two turns: one where the last message may be edited, one at the prompt's end."""
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
        """Make a slot ready to go on after its first `position` tokens; 0 if it must start over.

        The slot is already its request's, so that nobody makes room at its expense.
        """
        self._park_settled(slot)
        if slot.parked is not None and not (position and self.bring_back(slot)):
            self.forget(slot)
        if position < len(slot.tokens) and not (position and self._cut(slot, position)):
            self.forget(slot)
        slot.settled_at = float("inf")
        return len(slot.tokens)

    def enter_saved(self, slot: Slot, saved: SavedState) -> int:
        """Put a state from a file in place of what a slot holds; 0 if the library refuses it.

        The caller has verified the file. A later prompt may part from this one right behind it.
        """
        self.enter(slot, 0)
        if not self.make_room(saved.count):
            return 0
        if not self._context.load_file(slot.number, saved.path, saved.count):
            self.forget(slot)
            return 0
        slot.tokens = saved.tokens.tolist()
        self.take_snapshot(slot)
        return saved.count

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
        size = self._context.recurrent_bytes(slot.number)
        if self._spend(size, keep=slot):
            data = self._context.save_recurrent(slot.number)
            slot.snapshots.append(Snapshot(len(slot.tokens), data))

    def make_room(self, wanted: int) -> bool:
        """Whether `wanted` more cells are free, after setting idle sequences aside if need be."""
        for slot in self._idle_in_cache():
            if self._free_cells() >= wanted:
                break
            if not self.set_aside(slot):
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
                self.set_aside(slot)

    def set_aside(self, slot: Slot) -> bool:
        """Park a state outside the cache; False, with it left in place, if over the budget."""
        size = self._context.sequence_bytes(slot.number)
        if not self._spend(size, keep=slot):
            return False
        slot.parked = self._context.save_sequence(slot.number)
        self._context.forget(slot.number)
        return True

    def bring_back(self, slot: Slot) -> bool:
        """Put a parked state back into the cache; False if there is no room, or it is lost."""
        parked = slot.parked
        if parked is None or not self.make_room(len(slot.tokens)):
            return False
        slot.parked = None
        return self._context.restore_sequence(slot.number, parked)

    def _spend(self, size: int, *, keep: Slot) -> bool:
        """Free enough of the budget for `size` bytes, what is least likely to be missed first.

        Returns whether there is enough now; what requests being served need is never given up.
        Least missed are snapshots of turns long past, then whole sequences that nobody has asked
        for longest (but reading one again takes longest), then the other snapshots.
        """
        if size > self._budget:
            return False
        others = sorted(
            (one for one in self._slots if one is not keep and one.is_free),
            key=lambda one: one.last_used,
        )
        everybody = [*others, *(one for one in self._slots if one not in others)]
        for slot in everybody:
            self._drop_snapshots(slot, size, spare=_RECENT_SNAPSHOTS)
        for slot in others:
            if self.saved_bytes + size > self._budget and slot.parked is not None:
                self.forget(slot)
        for slot in everybody:
            self._drop_snapshots(slot, size, spare=0)
        return self.saved_bytes + size <= self._budget

    def _drop_snapshots(self, slot: Slot, size: int, *, spare: int) -> None:
        while len(slot.snapshots) > spare and self.saved_bytes + size > self._budget:
            slot.snapshots.pop(0)
