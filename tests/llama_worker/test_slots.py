"""Which slot takes a prompt, and what it need not read again."""

from __future__ import annotations

from m1desk.llama_worker.slots import (
    Slot,
    Snapshot,
    choose_slot,
    common_prefix,
    reusable_tokens,
)


def test_common_prefix_counts_equal_tokens_from_the_start() -> None:
    assert common_prefix([1, 2, 3], [1, 2, 4]) == 2
    assert common_prefix([1, 2], [1, 2, 3]) == 2
    assert common_prefix([], [1]) == 0
    assert common_prefix([5], [6]) == 0


def test_last_token_of_a_prompt_is_always_read() -> None:
    slot = Slot(0, tokens=[1, 2, 3])
    assert reusable_tokens(slot, [1, 2, 3], needs_snapshots=False) == 2


def test_recurrent_memory_goes_back_to_a_snapshot_only() -> None:
    slot = Slot(0, tokens=[1, 2, 3, 4, 5], snapshots=[Snapshot(2, b""), Snapshot(4, b"")])
    assert reusable_tokens(slot, [1, 2, 3, 9, 9], needs_snapshots=True) == 2
    assert reusable_tokens(slot, [1, 9, 9], needs_snapshots=True) == 0


def test_recurrent_memory_goes_on_from_where_it_is() -> None:
    slot = Slot(0, tokens=[1, 2, 3])
    assert reusable_tokens(slot, [1, 2, 3, 4], needs_snapshots=True) == 3


def test_prompt_goes_to_the_slot_that_knows_most_of_it() -> None:
    slots = [Slot(0, tokens=[1, 2]), Slot(1, tokens=[1, 2, 3, 4]), Slot(2)]
    assert choose_slot(slots, [1, 2, 3, 4, 5], needs_snapshots=False) == (slots[1], 4)


def test_a_long_document_is_not_given_up_for_a_short_prefix_while_a_slot_is_empty() -> None:
    document = Slot(0, tokens=list(range(1000)))
    empty = Slot(1)
    assert choose_slot([document, empty], [0, 1, 2, 77], needs_snapshots=False) == (empty, 0)


def test_a_system_prompt_in_common_does_not_displace_the_newest_talk() -> None:
    newest = Slot(0, tokens=[*range(10), *([7] * 90)], last_used=9)
    oldest = Slot(1, tokens=[*range(10), *([8] * 190)], last_used=1)
    prompt = [*range(10), *([9] * 50)]
    assert choose_slot([newest, oldest], prompt, needs_snapshots=False) == (oldest, 10)


def test_without_anything_to_reuse_the_oldest_slot_is_taken() -> None:
    old, new = Slot(0, tokens=[7], last_used=1), Slot(1, tokens=[8], last_used=2)
    assert choose_slot([new, old], [1, 2], needs_snapshots=False) == (old, 0)


def test_no_slot_when_all_are_busy() -> None:
    busy = Slot(0)
    busy.generation = object()  # type: ignore[assignment] - only whether there is one counts
    assert choose_slot([busy], [1], needs_snapshots=False) is None
