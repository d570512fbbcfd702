"""kill -9 of the window, the guard and the engine in mid-answer: what is kept, what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from m1desk.chat import ConversationStore, Message
from m1desk.engines.calibration import EngineCalibration, calibration_key
from m1desk.store import Database, Folders, Measurements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")

SECONDS_TO_VANISH = 2.0


@pytest.fixture
def folders(home: Path) -> Folders:
    """Folders of a user whose machine was measured before: safe settings run everywhere."""
    made = Folders.under(home)
    with Database(made.database) as database:
        safe = EngineCalibration(threads=1, self_test="safe_only")
        Measurements(database).put(calibration_key(), safe.to_dict())
    return made


@contextmanager
def answering_window(model: Path, folders: Folders) -> Iterator[psutil.Process]:
    """A real window in a process of its own, in the middle of a long answer."""
    process = psutil.Popen(
        [sys.executable, "-m", "m1desk", str(model), "--ask", "Tell me a long story."],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    family: list[psutil.Process] = []
    try:
        wait_until(lambda: len(answer(folders, default="")) > 200, "an answer begins")
        family = process.children(recursive=True)
        yield process
    finally:
        for one in [process, *family]:
            if one.is_running():
                one.kill()
        process.wait()


def wait_until(happened: object, what: str, seconds: float = 60.0) -> None:
    assert callable(happened)
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def last_message(folders: Folders) -> Message | None:
    with Database(folders.database) as database:
        store = ConversationStore(database)
        conversations = store.list_conversations()
        path = store.path(conversations[0].id) if conversations else ()
    return path[-1] if path else None


def answer(folders: Folders, default: str) -> str:
    message = last_message(folders)
    return message.content if message and message.role == "assistant" else default


def run_record(folders: Folders) -> dict[str, dict[str, int]]:
    (path,) = folders.runs.glob("*.json")
    record: dict[str, dict[str, int]] = json.loads(path.read_text())
    return record


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, left = psutil.wait_procs(processes, timeout=SECONDS_TO_VANISH)
    return [one for one in left if one.status() != psutil.STATUS_ZOMBIE]


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
