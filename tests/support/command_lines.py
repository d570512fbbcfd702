"""The command lines of all processes below this one, for tests that look for secrets in them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Command lines of every process below this one, seen often enough to miss none that lasts."""
    seen: set[str] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            for process in psutil.Process().children(recursive=True):
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.05)

    thread = threading.Thread(target=watch, name="command lines")
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
