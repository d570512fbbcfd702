"""What nobody caught is shown; closing asks, ends the work, and never waits for ever."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QLabel, QPlainTextEdit

from m1desk.ui import closing as closing_module
from m1desk.ui.closing import Closing
from m1desk.ui.errors_dialog import UnexpectedErrorDialog
from m1desk.ui.errors_hook import ErrorHook
from m1desk.ui.main_window import MainWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme


@pytest.fixture
def hook(qtbot: QtBot) -> Iterator[ErrorHook]:
    made = ErrorHook()
    yield made
    made.remove()


def fail() -> None:
    raise ValueError("a fault of ours")


def test_an_exception_in_a_slot_is_shown(hook: ErrorHook, qtbot: QtBot) -> None:
    with qtbot.waitSignal(hook.caught) as caught:
        QTimer.singleShot(0, fail)
    assert caught.args is not None
    assert caught.args[0] == "ValueError: a fault of ours"
    assert "Traceback" in caught.args[1]


def test_an_exception_in_a_thread_is_shown(hook: ErrorHook, qtbot: QtBot) -> None:
    with qtbot.waitSignal(hook.caught) as caught:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert caught.args is not None
    assert caught.args[0] == "ValueError: a fault of ours"


def test_several_errors_share_one_dialog(qtbot: QtBot) -> None:
    dialog = UnexpectedErrorDialog()
    for _ in range(30):
        dialog.add("ValueError: x", "the account")
    shown = " ".join(label.text() for label in dialog.findChildren(QLabel))
    assert "(30 times)" in shown
    field = dialog.findChild(QPlainTextEdit)
    assert isinstance(field, QPlainTextEdit)
    assert field.toPlainText().count("the account") == 20
    dialog.close()


class Ending:
    """A window with `work` under way; notes what closing does."""

    def __init__(self, theme: Theme, bridge: Bridge) -> None:
        self.window = MainWindow(theme)
        self.window.show()
        self.work = ""
        self.asks = True
        self.done: list[str] = []
        self.wind_up: Callable[[], Coroutine[None, None, None]] = self._wind_up
        self.closing = Closing(
            self.window,
            bridge,
            work=lambda: self.work,
            must_ask=lambda: self.asks,
            save=lambda: self.done.append("saved"),
            wind_up=lambda: self.wind_up(),  # noqa: PLW0108 - looked up when it is called
            finish=lambda: self.done.append("finished"),
        )

    async def _wind_up(self) -> None:
        self.done.append("wound up")


@pytest.fixture
def ending(theme: Theme, bridge: Bridge, qtbot: QtBot) -> Iterator[Ending]:
    made = Ending(theme, bridge)
    yield made
    made.window.allow_close()
    made.window.close()
    made.window.deleteLater()


def test_an_idle_window_closes_at_once(ending: Ending, qtbot: QtBot) -> None:
    ending.window.close()
    assert not ending.window.isVisible()  # hidden before the engine has ended
    qtbot.waitUntil(lambda: "finished" in ending.done)
    assert ending.done == ["saved", "wound up", "finished"]


def test_closing_during_work_asks_first(ending: Ending, qtbot: QtBot) -> None:
    ending.work = "An answer is being written."
    ending.window.close()
    question = ending.closing.question
    assert question is not None
    assert question.text() == "An answer is being written."
    assert ending.done == []
    ending.window.close()  # asked once, not twice
    assert ending.closing.question is question
    next(b for b in question.buttons() if b.text() == "Stop and quit").click()
    qtbot.waitUntil(lambda: "finished" in ending.done)


def test_closing_does_not_ask_when_the_settings_say_so(ending: Ending, qtbot: QtBot) -> None:
    ending.work = "An answer is being written."
    ending.asks = False
    ending.window.close()
    assert ending.closing.question is None
    qtbot.waitUntil(lambda: "finished" in ending.done)


def test_an_engine_that_does_not_end_can_not_hold_the_app(
    ending: Ending, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(closing_module, "_LIMIT_MS", 50)
    ending.wind_up = hang
    ending.window.close()
    qtbot.waitUntil(lambda: "finished" in ending.done)


def test_an_error_while_ending_can_not_hold_the_app(ending: Ending, qtbot: QtBot) -> None:
    async def fault() -> None:
        raise ValueError

    ending.wind_up = fault
    ending.window.close()
    qtbot.waitUntil(lambda: ending.done == ["saved", "finished"])


def test_the_frame_needs_none_of_the_heavy_libraries() -> None:
    """They are imported after the first paint, or the window would open late."""
    code = (
        "import m1desk.app, sys; heavy = {'numpy', 'pyqtgraph', 'httpx', 'markdown_it',"
        " 'huggingface_hub', 'pygments', 'psutil'}; print(*heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
