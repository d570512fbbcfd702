"""What tells a stream that is held back from one that is not, by arrivals as they were measured."""

from __future__ import annotations

import pytest

from m1desk.engines.remote.arrival import Arrival, Piece

FIRST = 0.1
"""Seconds until the first token."""


def pieces(*found: tuple[float, float, int, bool]) -> Arrival:
    return Arrival(tuple(Piece(*one) for one in found))


HELD_BACK = {
    "a buffer of 4 KiB, 14 tokens a second": pieces(
        (1.4, 1.4, 18, False), (2.7, 2.7, 19, False), (4.0, 4.0, 18, False)
    ),
    "a buffer of 4 KiB, 200 tokens a second": pieces(
        (0.19, 0.19, 18, False), (0.28, 0.28, 19, False), (0.37, 0.38, 18, True),
        (0.47, 0.47, 18, False), (0.56, 0.56, 18, False),
    ),
    "until the end": pieces((2.0, 2.01, 160, True)),
    "for a second each": pieces((1.1, 1.1, 30, True), (2.1, 2.12, 30, True), (3.1, 3.1, 30, True)),
}  # fmt: skip
AS_WRITTEN = {
    "ten tokens a second": pieces(*((FIRST + n / 10, FIRST + n / 10, 1, True) for n in range(6))),
    "a token every two seconds": pieces(*((2.0 * n, 2.0 * n, 1, True) for n in range(1, 4))),
    "hundreds of tokens a second": pieces((FIRST, 0.6, 160, True)),
    "that, after a while in the queue": pieces((0.9, 1.4, 160, True)),
    "a busy machine, on which whoever reads must wait": pieces(
        (0.15, 0.15, 97, True), (0.21, 0.21, 8, True), (0.36, 0.36, 19, True)
    ),
    "a busy machine, on which nginx must wait": pieces(
        (0.15, 0.15, 72, False), (0.2, 0.35, 19, True), (0.46, 0.46, 6, True), (0.6, 0.6, 8, True)
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", HELD_BACK)
def test_held_back(how: str) -> None:
    assert HELD_BACK[how].is_held_back(FIRST) is True


@pytest.mark.parametrize("how", AS_WRITTEN)
def test_as_it_is_written(how: str) -> None:
    assert AS_WRITTEN[how].is_held_back(FIRST) is False


def test_a_short_answer_that_comes_at_once_tells_nothing() -> None:
    assert pieces((0.3, 0.31, 160, True)).is_held_back(FIRST) is None
