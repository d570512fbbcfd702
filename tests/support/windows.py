"""Windows in processes of their own, for tests that kill them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from m1desk.engines.calibration import EngineCalibration, calibration_key
from m1desk.store import Database, Folders, Measurements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SECONDS = 180.0
"""Within which a window comes to what a test waits for, on a machine that has much else to do."""

SECONDS_TO_VANISH = 20.0
"""Within which processes end whose end is sure; two would do where little else runs."""


def measured_folders(home: Path) -> Folders:
    """Folders of a user whose machine was measured before: safe settings run everywhere."""
    made = Folders.under(home)
    with Database(made.database) as database:
        safe = EngineCalibration(threads=1, self_test="safe_only")
        Measurements(database).put(calibration_key(), safe.to_dict())
    return made


@contextmanager
def running_window(
    words: Sequence[str],
    until: Callable[[psutil.Popen], bool],
    what: str,
    **environment: str,
) -> Iterator[psutil.Popen]:
    """A window that has come as far as `until` says; afterwards nothing of it is left.

    What it says on its standard error shows up with the test's own.

    Args:
        words: what follows `python -m`.
        until: whether it has got there.
        what: the same in words.
        environment: variables it gets besides those of this process.
    """
    process = psutil.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", **environment},
    )
    family: list[psutil.Process] = []

    def has_come() -> bool:
        there = until(process)
        assert there or process.poll() is None, f"the window ended before {what}"
        return there

    try:
        wait_until(has_come, what)
        family = process.children(recursive=True)
        yield process
    finally:
        for one in [process, *family]:
            if one.is_running():
                one.kill()
        process.wait()
        process.stdout.close()


def wait_until(happened: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait for something; fail, saying for what, when it does not come."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def run_record(folders: Folders) -> dict[str, dict[str, int]]:
    """What is written down of the one engine that runs: its guard's and its own number."""
    (path,) = folders.runs.glob("*.json")
    record: dict[str, dict[str, int]] = json.loads(path.read_text())
    return record


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the processes that have not ended after a moment."""
    _, left = psutil.wait_procs(processes, timeout=SECONDS_TO_VANISH)
    return [one for one in left if one.status() != psutil.STATUS_ZOMBIE]
