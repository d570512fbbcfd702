"""The table of an engine's states, and what listeners see of it."""

from __future__ import annotations

import itertools

import pytest

from m1desk.engines.states import MOVES, ImpossibleMove, StatusBoard
from m1desk.engines.status import EngineFailure, EngineState, EngineStatus

S = EngineState
PATHS = {
    S.STOPPED: [],
    S.STARTING: [S.STARTING],
    S.LOADING: [S.STARTING, S.LOADING],
    S.READY: [S.STARTING, S.LOADING, S.READY],
    S.STOPPING: [S.STARTING, S.STOPPING],
    S.FAILED: [S.STARTING, S.FAILED],
}
ALLOWED = {
    (S.STOPPED, S.STARTING),
    (S.STARTING, S.LOADING),
    (S.STARTING, S.STOPPING),
    (S.STARTING, S.FAILED),
    (S.LOADING, S.LOADING),
    (S.LOADING, S.READY),
    (S.LOADING, S.STOPPING),
    (S.LOADING, S.FAILED),
    (S.READY, S.STOPPING),
    (S.READY, S.FAILED),
    (S.STOPPING, S.STOPPED),
    (S.FAILED, S.STARTING),
    (S.FAILED, S.STOPPED),
}


def board_at(state: EngineState) -> tuple[StatusBoard, list[EngineStatus]]:
    told: list[EngineStatus] = []
    board = StatusBoard(told.append)
    for step in PATHS[state]:
        board.move(step)
    told.clear()
    return board, told


@pytest.mark.parametrize(("before", "after"), list(itertools.product(S, S)))
def test_only_the_moves_of_the_table_are_possible(before: EngineState, after: EngineState) -> None:
    board, told = board_at(before)
    if (before, after) in ALLOWED:
        board.move(after)
        assert [status.state for status in told] == [after]
    else:
        with pytest.raises(ImpossibleMove):
            board.move(after)
        assert board.status.state is before
        assert told == []


def test_every_state_has_a_way_back_to_stopped() -> None:
    for state in S:
        reached = {state}
        while more := {after for one in reached for after in MOVES[one]} - reached:
            reached |= more
        assert S.STOPPED in reached


def test_a_new_run_keeps_nothing_of_a_failed_one() -> None:
    board, _told = board_at(S.STARTING)
    board.move(S.FAILED, failure=EngineFailure("killed", "what"))
    board.start_over(EngineStatus(S.STARTING, model_name="next"))
    assert board.status.failure is None
    assert board.status.model_name == "next"


def test_a_running_engine_is_not_started_over() -> None:
    board, _told = board_at(S.READY)
    with pytest.raises(ImpossibleMove):
        board.start_over(EngineStatus(S.STARTING))
