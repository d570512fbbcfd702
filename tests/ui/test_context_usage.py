"""How much of the context a conversation takes: what the engine counted, what is a guess."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from m1desk.chat import Message, MessageStats
from m1desk.engines.turn import PrefillProgress
from m1desk.errors import EngineFailed
from m1desk.ui.viewmodels.context_usage import ContextMeter, usage, usage_while_answering
from m1desk.ui.viewmodels.running_answers import RunningAnswer

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from m1desk.ui.bridge import Bridge

QUESTION = Message(1, 1, None, "user", "x" * 40)
STOPPED = Message(2, 1, 1, "assistant", "y" * 80, state="stopped", model="tiny")
COUNTED = Message(2, 1, 1, "assistant", "y", model="tiny", stats=MessageStats(100, 50))


class Counter:
    """Counts what it is asked, as the engine would; `error` fails instead."""

    def __init__(self, tokens: int = 777, error: Exception | None = None) -> None:
        self.tokens = tokens
        self.error = error
        self.asked: list[int] = []

    async def count(self, conversation_id: int) -> int:
        self.asked.append(conversation_id)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.tokens


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def told() -> list[tuple[int, bool]]:
    return []


@pytest.fixture
def meter(bridge: Bridge, counter: Counter, told: list[tuple[int, bool]]) -> ContextMeter:
    made = ContextMeter(bridge, counter.count)
    made.changed.connect(lambda used, exact: told.append((used, exact)))
    return made


def settle(qtbot: QtBot, bridge: Bridge) -> None:
    """Wait until the loop has done what was submitted before."""
    passed: list[bool] = []

    async def later() -> bool:
        await asyncio.sleep(0.02)
        return True

    bridge.submit(later(), passed.append)
    qtbot.waitUntil(lambda: bool(passed))


def test_another_models_count_is_a_guess() -> None:
    assert usage([QUESTION, COUNTED], "", "tiny") == (150, True)
    assert usage([QUESTION, COUNTED], "", "") == (150, True)
    assert usage([QUESTION, COUNTED], "", "another") == (150, False)


def test_while_an_answer_is_written_every_piece_counts() -> None:
    running = RunningAnswer(STOPPED, text=["a", "b"], reasoning=["c"])
    assert usage_while_answering([QUESTION, STOPPED], "", running) == 10 + 3
    running.progress = PrefillProgress(10, 90, 0, 0.1)
    assert usage_while_answering([QUESTION, STOPPED], "", running) == 90 + 3


def test_what_has_no_figures_is_guessed_at_once_and_counted_when_a_model_is_ready(
    meter: ContextMeter, counter: Counter, told: list[tuple[int, bool]], qtbot: QtBot
) -> None:
    meter.show(1, [QUESTION, STOPPED], "", "")
    assert told == [(30, False)]
    assert counter.asked == []
    meter.show(1, [QUESTION, STOPPED], "", "tiny")
    qtbot.waitUntil(lambda: told[-1] == (777, True))
    meter.show(1, [QUESTION, STOPPED], "", "tiny")
    assert told[-1] == (777, True)
    assert counter.asked == [1]


def test_figures_of_the_loaded_model_are_not_counted_again(
    meter: ContextMeter,
    counter: Counter,
    told: list[tuple[int, bool]],
    qtbot: QtBot,
    bridge: Bridge,
) -> None:
    meter.show(1, [QUESTION, COUNTED], "", "tiny")
    settle(qtbot, bridge)
    assert told == [(150, True)]
    assert counter.asked == []


def test_another_system_prompt_has_it_counted_anew(
    meter: ContextMeter, told: list[tuple[int, bool]], qtbot: QtBot
) -> None:
    meter.show(1, [QUESTION, COUNTED], "", "tiny")
    meter.distrust(1, COUNTED.id)
    meter.show(1, [QUESTION, COUNTED], "Be brief.", "tiny")
    assert told[-1] == (150, False)
    qtbot.waitUntil(lambda: told[-1] == (777, True))


def test_a_count_that_comes_too_late_is_not_shown(
    meter: ContextMeter,
    told: list[tuple[int, bool]],
    qtbot: QtBot,
    bridge: Bridge,
) -> None:
    meter.show(1, [QUESTION, STOPPED], "", "tiny")
    meter.show(None, [], "", "tiny")
    settle(qtbot, bridge)
    assert told[-1] == (0, True)


def test_an_engine_that_can_not_count_leaves_the_guess(
    meter: ContextMeter,
    counter: Counter,
    told: list[tuple[int, bool]],
    qtbot: QtBot,
    bridge: Bridge,
) -> None:
    counter.error = EngineFailed("It went away.")
    meter.show(1, [QUESTION, STOPPED], "", "tiny")
    qtbot.waitUntil(lambda: counter.asked == [1])
    settle(qtbot, bridge)
    assert told == [(30, False)]
