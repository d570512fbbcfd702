"""Closing the window while jobs run: the app may go on without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from m1desk.ui.closing import Closing, Stay
from m1desk.ui.main_window import MainWindow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme


class Ending:
    """A window whose app can go on without it; notes what closing does."""

    def __init__(self, theme: Theme, bridge: Bridge) -> None:
        self.window = MainWindow(theme)
        self.window.show()
        self.possible, self.chosen = True, False
        self.done: list[str] = []
        self.closing = Closing(
            self.window,
            bridge,
            work=lambda: "A job is running.",
            must_ask=lambda: True,
            stay=Stay(lambda: self.possible, lambda: self.chosen, self._go_on),
            save=lambda: self.done.append("saved"),
            wind_up=self._wind_up,
            finish=lambda: self.done.append("finished"),
        )

    def _go_on(self) -> None:
        self.window.hide()
        self.done.append("went on")

    async def _wind_up(self) -> None:
        self.done.append("wound up")

    def choose(self, text: str) -> None:
        question = self.closing.question
        assert question is not None
        next(b for b in question.buttons() if text in b.text()).click()


@pytest.fixture
def ending(theme: Theme, bridge: Bridge) -> Iterator[Ending]:
    made = Ending(theme, bridge)
    yield made
    made.window.allow_close()
    made.window.close()
    made.window.deleteLater()


def test_the_app_goes_on_without_its_window_when_that_is_answered(ending: Ending) -> None:
    ending.window.close()
    ending.choose("keep working")
    assert ending.done == ["saved", "went on"]
    assert not ending.window.isVisible()


def test_it_goes_on_without_being_asked_when_that_is_chosen(ending: Ending) -> None:
    ending.chosen = True
    ending.window.close()
    assert ending.closing.question is None
    assert ending.done == ["saved", "went on"]


def test_without_jobs_there_is_nothing_to_go_on_with(ending: Ending, qtbot: QtBot) -> None:
    ending.possible, ending.chosen = False, True
    ending.window.close()
    question = ending.closing.question
    assert question is not None
    assert not any("keep working" in b.text() for b in question.buttons())
    ending.choose("Stop and quit")
    qtbot.waitUntil(lambda: ending.done == ["saved", "wound up", "finished"], timeout=30_000)


def test_what_went_on_can_still_be_ended(ending: Ending, qtbot: QtBot) -> None:
    ending.window.close()
    ending.choose("keep working")
    ending.closing.close_now()
    qtbot.waitUntil(lambda: ending.done[-1] == "finished", timeout=30_000)
