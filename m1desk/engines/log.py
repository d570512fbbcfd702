"""An engine's log: its last lines in memory, all of it in a file of limited size."""

from __future__ import annotations

import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

TAIL_LINES: Final = 200
_LINE_BYTES: Final = 8 * 1024
_FILE_BYTES: Final = 4 * 1024 * 1024
_OLD_FILES: Final = 3
_CUT: Final = b" ... (cut)"


class LineSplitter:
    """Lines out of chunks of any size; what a line has beyond `most_bytes` is dropped."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._rest = b""
        self._overlong = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes, without their line ends."""
        *ended, rest = chunk.split(b"\n")
        lines = []
        for part in ended:
            lines.append(self._take(part).rstrip(b"\r"))
            self._rest, self._overlong = b"", False
        self._rest = self._take(rest)
        return lines

    def close(self) -> list[bytes]:
        """Return the last line if it had no end."""
        rest, self._rest, self._overlong = self._rest, b"", False
        return [rest] if rest else []

    def _take(self, part: bytes) -> bytes:
        if self._overlong:
            return self._rest
        line = self._rest + part
        if len(line) <= self._most:
            return line
        self._overlong = True
        return line[: self._most] + _CUT


class EngineLog:
    """What an engine wrote to standard error, and what it wrote elsewhere that is no event."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._splitter = LineSplitter(_LINE_BYTES)
        self._file = _LogFile(path)

    def feed(self, chunk: bytes) -> None:
        """Add a piece of standard error as it came from the pipe."""
        for line in self._splitter.feed(chunk):
            self.add(line.decode(errors="replace"))

    def add(self, line: str) -> None:
        """Add one line; of a progress bar that redraws itself, its last state."""
        text = line.rpartition("\r")[2]
        self._tail.append(text)
        self._file.add(text)

    def close(self) -> None:
        """Add the last line if it had no end, and close the file until something is added."""
        for line in self._splitter.close():
            self.add(line.decode(errors="replace"))
        self._file.close()

    def tail(self, lines: int = TAIL_LINES) -> tuple[str, ...]:
        """Return the last lines, oldest first; at most 200."""
        return tuple(self._tail)[-lines:]


class _LogFile(RotatingFileHandler):
    """A rotating file that a full disk silences instead of stopping the engine."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            maxBytes=_FILE_BYTES,
            backupCount=_OLD_FILES,
            encoding="utf-8",
            errors="replace",
            delay=True,
        )
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def add(self, text: str) -> None:
        self.emit(logging.LogRecord("engine", logging.INFO, "", 0, text, None, None))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Keep quiet: the last lines are in memory all the same."""
