"""Says what goes on, line by line on standard error, and shows the progress of programs."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

HEARTBEAT_SECONDS: Final = 10.0
"""After so long without news, a line says that work goes on."""

TAIL_LINES: Final = 25


class SetupError(Exception):
    """Setting up can't go on.

    Attributes:
        what: what happened.
        todo: what the user can do.
    """

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(what, todo)
        self.what = what
        self.todo = todo

    def report(self) -> str:
        """All of it, for the terminal."""
        return "\n".join(filter(None, (self.what, self.todo)))


class ProgramError(SetupError):
    """A program that setting up needs ended with an error; `tail` is the end of its output."""

    def __init__(self, what: str, tail: str) -> None:
        super().__init__(what)
        self.tail = tail

    def report(self) -> str:
        """The end of the output, then what happened."""
        return "\n".join(filter(None, (self.tail, self.what, self.todo)))


class Console:
    """Progress of the setup for a person; the whole output of every program goes to `log`."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._started = time.monotonic()

    def say(self, text: str = "") -> None:
        """Print one line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def note(self, text: str) -> None:
        """Print one line of detail, after the seconds since the setup began."""
        self.say(f"  {time.monotonic() - self._started:5.0f} s  {text}")

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say what begins, and, if it ends well, how long it took."""
        began = time.monotonic()
        self.say(title)
        yield
        self.note(f"done in {time.monotonic() - began:.0f} s")

    def run(
        self,
        argv: Sequence[str],
        *,
        pick: Callable[[str], str] = lambda _line: "",
        every: float = 2.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run a program to its end.

        Args:
            argv: the program and its arguments.
            pick: turns a line of output into a note worth showing, or "".
            every: show at most one note in so many seconds.
            environment: the program's environment; None is this process's own.

        Raises:
            ProgramError: it can't be started, or ended with an error.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8", errors="replace") as log:
            print(f"$ {' '.join(argv)}", file=log, flush=True)
            try:
                process = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env=environment,
                )
            except OSError as error:
                raise ProgramError(f"{argv[0]} can't be started.", str(error)) from error
            tail: list[str] = []
            for line in self._follow(process, pick, every):
                log.write(line)
                tail = [*tail[-(TAIL_LINES - 1) :], line]
        if process.returncode:
            name = " ".join(argv[:4])
            raise ProgramError(f"{name} ... ended with {process.returncode}.", "".join(tail))

    def _follow(
        self, process: subprocess.Popen[str], pick: Callable[[str], str], every: float
    ) -> Iterator[str]:
        """Yield each line the program writes, showing notes between, until it has ended."""
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        shown = time.monotonic()
        latest = ""
        try:
            while True:
                line: str | None = ""
                with contextlib.suppress(queue.Empty):
                    line = lines.get(timeout=1.0)
                if line is None:
                    break
                if line:
                    latest = pick(line) or latest
                    yield line
                quiet = time.monotonic() - shown
                if latest and quiet >= every:
                    self.note(latest)
                    shown, latest = time.monotonic(), ""
                elif quiet >= HEARTBEAT_SECONDS:
                    self.note("still working")
                    shown = time.monotonic()
        finally:
            if process.poll() is None and reader.is_alive():
                process.terminate()
            process.wait()
            reader.join()


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Move the program's output to `lines`; None ends it."""
    if process.stdout is not None:
        with process.stdout as output:
            for line in output:
                lines.put(line)
    lines.put(None)
