"""kill -9 of the window, the guard and the engine in mid-answer: what is kept, what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.windows import alive, measured_folders, run_record, running_window, wait_until

from m1desk.chat import ConversationStore, Message
from m1desk.store import Database, Folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psutil

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")


@pytest.fixture
def folders(home: Path) -> Folders:
    return measured_folders(home)


@contextmanager
def answering_window(model: Path, folders: Folders) -> Iterator[psutil.Popen]:
    """A real window in a process of its own, in the middle of a long answer."""
    words = ("m1desk", str(model), "--ask", "Tell me a long story.")

    def has_begun(_: psutil.Popen) -> bool:
        return len(answer(folders, default="")) > 200

    with running_window(words, has_begun, "an answer begins") as window:
        yield window


def last_message(folders: Folders) -> Message | None:
    with Database(folders.database) as database:
        store = ConversationStore(database)
        conversations = store.list_conversations()
        path = store.path(conversations[0].id) if conversations else ()
    return path[-1] if path else None


def answer(folders: Folders, default: str) -> str:
    message = last_message(folders)
    return message.content if message and message.role == "assistant" else default


def test_a_killed_window_leaves_no_process_and_keeps_the_partial_answer(
    tiny_llama: Path, folders: Folders
) -> None:
    with answering_window(tiny_llama, folders) as window:
        family = window.children(recursive=True)
        assert len(family) >= 2  # the guard and the engine
        window.kill()
        assert alive(family) == []
    with Database(folders.database) as database:
        assert ConversationStore(database).recover_interrupted() == 1
    message = last_message(folders)
    assert message is not None
    assert message.state == "interrupted"
    assert len(message.content) > 200


@pytest.mark.parametrize("victim", ["engine", "guard"])
def test_a_killed_child_takes_the_other_along_and_the_window_keeps_the_answer(
    tiny_llama: Path, folders: Folders, victim: str
) -> None:
    with answering_window(tiny_llama, folders) as window:
        family = window.children(recursive=True)
        os.kill(run_record(folders)[victim]["pid"], signal.SIGKILL)
        assert alive(family) == []

        def is_interrupted() -> bool:
            message = last_message(folders)
            return message is not None and message.state == "interrupted"

        wait_until(is_interrupted, "the answer counts as interrupted", 10)
        message = last_message(folders)
        assert message is not None
        assert len(message.content) > 200
        assert len(message.error.splitlines()) == 3  # what, why, what to do
        assert window.is_running()
        window.terminate()
        assert window.wait(10) == 0


def test_the_next_start_sweeps_what_a_double_kill_left(tiny_llama: Path, folders: Folders) -> None:
    with answering_window(tiny_llama, folders) as window:
        family = window.children(recursive=True)
        guard = run_record(folders)["guard"]["pid"]
        os.kill(guard, signal.SIGSTOP)  # it can't do its duty any more
        window.kill()
        time.sleep(0.5)
        os.kill(guard, signal.SIGKILL)
        subprocess.run(
            [sys.executable, "-m", "m1desk", "doctor", "--no-measure"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        assert alive(family) == []
    assert list(folders.runs.glob("*.json")) == []
