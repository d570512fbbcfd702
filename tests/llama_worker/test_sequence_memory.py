"""What is given up first when memory for saved states is short."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from m1desk.llama_worker.sequence_memory import SequenceMemory
from m1desk.llama_worker.slots import Slot, Snapshot

if TYPE_CHECKING:
    from m1desk.llama_worker.context import Context


class Library:
    """A context whose states are of 10 bytes."""

    def forget(self, sequence: int, start: int = 0) -> bool:
        return True

    def sequence_bytes(self, sequence: int) -> int:
        return 10

    def save_sequence(self, sequence: int) -> bytes:
        return b"x" * 10

    recurrent_bytes = sequence_bytes
    save_recurrent = save_sequence


def memory(slots: list[Slot], budget: int) -> SequenceMemory:
    library = cast("Context", Library())
    return SequenceMemory(library, slots, needs_snapshots=True, budget=budget)


def snapshots(count: int) -> list[Snapshot]:
    return [Snapshot(number, b"x" * 10) for number in range(1, count + 1)]


def test_snapshots_of_long_past_turns_go_before_a_whole_document() -> None:
    document = Slot(0, tokens=[1] * 50, parked=b"x" * 10)
    talk = Slot(1, tokens=[2] * 50, snapshots=snapshots(7))
    memory([document, talk], budget=80).take_snapshot(talk)
    assert document.parked is not None
    assert [one.position for one in talk.snapshots] == [2, 3, 4, 5, 6, 7, 50]


def test_the_sequence_unused_for_longest_goes_before_recent_snapshots() -> None:
    old = Slot(0, tokens=[1] * 50, parked=b"x" * 10, last_used=1)
    newer = Slot(1, tokens=[2] * 50, parked=b"x" * 10, last_used=2)
    talk = Slot(2, tokens=[3] * 50, snapshots=snapshots(2))
    memory([newer, old, talk], budget=40).take_snapshot(talk)
    assert (old.parked, old.tokens) == (None, [])
    assert newer.parked is not None
    assert len(talk.snapshots) == 3


def test_the_state_of_a_paused_request_is_not_given_up() -> None:
    paused = Slot(0, tokens=[1] * 50, parked=b"x" * 10)
    paused.generation = object()  # type: ignore[assignment] - only whether there is one counts
    idle = Slot(1, tokens=[2] * 50)
    assert not memory([paused, idle], budget=15).set_aside(idle)
    assert paused.parked is not None
    assert idle.tokens
