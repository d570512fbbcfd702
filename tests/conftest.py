"""What every test gets: its own folders, no network, no screen, and a check for leftovers."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = [
    "support.hub",
    "support.memory_keyring",
    "support.models",
    "support.vllm_child",
    "support.vllm_environment",
    "support.vllm_cluster",
]

# Read when a library is imported, so they are set before any test module is.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

GRACE_SECONDS = 2.0
"""How long a thread or a process may take to end after its test: ending is not instant."""

PYTHON_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""Processes that Python starts once for itself and ends itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare pytest-qt's settings where pytest-qt is absent: all but tests/ui runs without Qt."""
    for name in ("qt_api", "qt_log_level_fail"):
        try:
            parser.addini(name, "of pytest-qt, which is not here")
        except ValueError:  # pytest-qt has declared them
            return


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds all the app's folders during this test (M1DESK_HOME)."""
    folder = tmp_path / "m1desk-home"
    monkeypatch.setenv("M1DESK_HOME", str(folder))
    for name in ("M1DESK_API_KEY", "HF_TOKEN", "HF_ENDPOINT", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_at_the_end() -> Iterator[None]:
    """Fail when fixtures shared by several tests leave threads or processes behind."""
    before = _running()
    yield
    _fail_on_leftovers(before, "the last test")


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest, _nothing_left_at_the_end: None) -> Iterator[None]:
    """Fail a test that leaves a thread or a child process behind.

    What module and session fixtures started is there before and is not counted.
    """
    before = _running()
    yield
    _fail_on_leftovers(before, request.node.name)


def _running() -> set[threading.Thread | psutil.Process]:
    """The threads that would keep Python from ending, and all descendants of this process."""
    threads = {thread for thread in threading.enumerate() if not thread.daemon}
    return threads | set(psutil.Process().children(recursive=True))


def _fail_on_leftovers(before: set[threading.Thread | psutil.Process], where: str) -> None:
    """Wait for what is new to end; end the processes that do not, and fail naming them."""
    deadline = time.monotonic() + GRACE_SECONDS
    while names := _names(_running() - before):
        if time.monotonic() > deadline:
            for left in _running() - before:
                if isinstance(left, psutil.Process):
                    left.kill()
            pytest.fail(f"{where} left running: " + "; ".join(names), pytrace=False)
        time.sleep(0.02)


def _names(left: set[threading.Thread | psutil.Process]) -> list[str]:
    """Each of `left` that still runs, in words."""
    names = []
    for one in left:
        if isinstance(one, threading.Thread):
            names.append(f"thread {one.name!r}")
            continue
        try:
            command = " ".join(one.cmdline())
            ended = one.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            continue
        if not ended and not any(helper in command for helper in PYTHON_HELPERS):
            names.append(f"process {one.pid} ({command[:200]})")
    return sorted(names)
