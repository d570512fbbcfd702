"""A second start brings the first window forward."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtNetwork import QLocalSocket

from m1desk.store import Folders, InstanceLock
from m1desk.ui.single_instance import Call, FirstWindow, call_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot


ROOT = Path(__file__).resolve().parents[2]


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
from m1desk.ui.single_instance import Call, call_first
app = QCoreApplication([])
name, model, *documents = sys.argv[1:]
call = Call.of(Path(model) if model else None, map(Path, documents))
sys.exit(0 if call_first(name, call) else 7)
"""


def start_again(
    name: str, model: Path | None = None, *documents: str, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start the app "a second time", up to the call to the first window."""
    words = [name, str(model or ""), *documents]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", SECOND_START, *words], cwd=cwd, env=environment)


def test_the_second_start_is_answered_and_hands_over_its_model(
    first: FirstWindow, name: str, tmp_path: Path, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(first.called, timeout=30_000) as called:
        second = start_again(name, tmp_path / "a model.gguf")
    assert second.wait(30) == 0
    assert called.args == [Call(tmp_path / "a model.gguf")]


def test_the_second_start_hands_over_documents_as_the_first_window_finds_them(
    first: FirstWindow, name: str, tmp_path: Path, qtbot: QtBot
) -> None:
    many = [f"{'long' * 20} {number}.pdf" for number in range(1_000)]
    with qtbot.waitSignal(first.called, timeout=30_000) as called:
        second = start_again(name, None, "here", *many, cwd=tmp_path)
    assert second.wait(30) == 0
    (call,) = called.args
    assert call.model is None
    assert call.documents == tuple(tmp_path / one for one in ("here", *many))


def test_a_second_start_without_a_model_only_calls(
    first: FirstWindow, name: str, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(first.called, timeout=30_000) as called:
        second = start_again(name)
    assert second.wait(30) == 0
    assert called.args == [Call()]


def test_nobody_answers_where_no_window_is_open(name: str, qtbot: QtBot) -> None:
    assert not call_first(name, Call(), timeout_ms=50)


def test_a_socket_left_by_a_killed_window_is_taken_over(name: str, qtbot: QtBot) -> None:
    killed = FirstWindow(name)
    second = FirstWindow(name)
    with qtbot.waitSignal(second.called, timeout=30_000):
        third = start_again(name)
    assert third.wait(30) == 0
    killed.close()
    second.close()


@pytest.mark.parametrize(
    "message",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"model": 7}\n',
        b'{"model": "", "documents": "a"}\n',
        b'{"model": "", "documents": [7]}\n',
        b"\xff\n",
    ],
)
def test_what_is_not_our_message_calls_nobody(
    first: FirstWindow, name: str, message: bytes, qtbot: QtBot
) -> None:
    called: list[Call] = []
    first.called.connect(called.append)
    socket = QLocalSocket()
    socket.connectToServer(name)
    socket.write(message)
    qtbot.waitUntil(lambda: socket.bytesAvailable() > 0)  # it was read and answered
    assert called == []
