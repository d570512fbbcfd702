"""A second start brings the first window forward."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PySide6.QtNetwork import QLocalSocket

from m1desk.store import Folders, InstanceLock
from m1desk.ui.single_instance import FirstWindow, call_first

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot


@pytest.fixture
def name(home: Path) -> str:
    return InstanceLock(Folders.under(home)).name


@pytest.fixture
def first(name: str, qtbot: QtBot) -> Iterator[FirstWindow]:
    window = FirstWindow(name)
    yield window
    window.close()


SECOND_START = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from m1desk.ui.single_instance import call_first
app = QCoreApplication([])
sys.exit(0 if call_first(sys.argv[1], Path(sys.argv[2]) if sys.argv[2] else None) else 7)
"""


def start_again(name: str, model: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the app "a second time", up to the call to the first window."""
    return subprocess.Popen([sys.executable, "-c", SECOND_START, name, str(model or "")])


def test_the_second_start_is_answered_and_hands_over_its_model(
    first: FirstWindow, name: str, tmp_path: Path, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(first.called, timeout=30_000) as called:
        second = start_again(name, tmp_path / "a model.gguf")
    assert second.wait(30) == 0
    assert called.args == [str(tmp_path / "a model.gguf")]


def test_a_second_start_without_a_model_only_calls(
    first: FirstWindow, name: str, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(first.called, timeout=30_000) as called:
        second = start_again(name)
    assert second.wait(30) == 0
    assert called.args == [""]


def test_nobody_answers_where_no_window_is_open(name: str, qtbot: QtBot) -> None:
    assert not call_first(name, None, timeout_ms=50)


def test_a_socket_left_by_a_killed_window_is_taken_over(name: str, qtbot: QtBot) -> None:
    killed = FirstWindow(name)
    second = FirstWindow(name)
    with qtbot.waitSignal(second.called, timeout=30_000):
        third = start_again(name)
    assert third.wait(30) == 0
    killed.close()
    second.close()


@pytest.mark.parametrize("message", [b"nonsense\n", b"[]\n", b'{"model": 7}\n', b"\xff\n"])
def test_what_is_not_our_message_calls_nobody(
    first: FirstWindow, name: str, message: bytes, qtbot: QtBot
) -> None:
    called: list[str] = []
    first.called.connect(called.append)
    socket = QLocalSocket()
    socket.connectToServer(name)
    socket.write(message)
    qtbot.waitUntil(lambda: socket.bytesAvailable() > 0)  # it was read and answered
    assert called == []
