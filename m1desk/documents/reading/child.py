"""The reader process: takes orders on standard input, answers on standard output, until it ends.

    python -P -m m1desk.documents.reading.child MEMORY_BYTES

It handles hostile files, so it may be killed at any moment; it writes nothing but the members it
unpacks, connects to nothing, and starts no program but tesseract (`confinement.py`).
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, Final

from m1desk.documents.reading import faults
from m1desk.documents.reading.confinement import Confinement
from m1desk.documents.reading.formats import reader_of
from m1desk.documents.reading.messages import Order, read_order
from m1desk.documents.reading.sink import Sink, as_message
from m1desk.documents.reading.sniffing import mismatch_note, sniff
from m1desk.documents.reading.source import take
from m1desk.documents.values import ReadingError

if TYPE_CHECKING:
    from m1desk.documents.reading.source import Source

_ENDED_BY_MEMORY: Final = 3


def main(arguments: list[str]) -> int:
    """Work off orders until there is a reason to end; returns the exit status."""
    confinement = Confinement(int(arguments[0]))
    answers = _own_output()
    orders: SimpleQueue[Order] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    confinement.begin()
    while True:
        order = orders.get()
        confinement.allow(order.unpack_to)
        work = _Work(order, Sink(order, answers, lambda: confinement.wind(order.stall_seconds)))  # noqa: B023 - used up within the turn
        work.run()
        confinement.unwind()
        if work.out_of_memory:  # what it holds on to is unknown; a fresh process is better
            return _ENDED_BY_MEMORY


def _own_output() -> BinaryIO:
    """Standard output for answers alone: what a library prints there goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _listen(orders: SimpleQueue[Order]) -> None:
    """Hand on orders; when the owner closes the stream, or is gone, end at once."""
    stream = os.fdopen(os.dup(0), "rb")
    while (order := read_order(stream)) is not None:
        orders.put(order)
    os._exit(0)


class _Work:
    """One order being carried out."""

    def __init__(self, order: Order, out: Sink) -> None:
        self._order = order
        self._out = out
        self._source: Source | None = None
        self.out_of_memory = False

    def run(self) -> None:
        """Read the file, and end with the message "end", whatever happens."""
        error: ReadingError | None = None
        try:
            self._read()
        except ReadingError as raised:
            error = raised
        except MemoryError:
            self.out_of_memory = True
            self._source = None
            error = faults.too_much_memory(self._order.memory_bytes)
        except RecursionError:
            error = faults.damaged("Its parts lie too deep within each other.")
        except BrokenPipeError:  # the owner is gone
            raise
        except Exception as raised:  # noqa: BLE001 - hostile files find every fault of a library
            error = faults.damaged(f"{type(raised).__name__}: {str(raised)[:300]}")
        self._end(error)

    def _read(self) -> None:
        try:
            status = Path(self._order.path).stat(follow_symlinks=not self._order.is_member)
        except OSError as error:
            raise faults.file_fault(error) from error
        if stat.S_ISDIR(status.st_mode):
            self._out.kind("folder")
            reader_of("folder")(self._order, self._out)
            return
        if not stat.S_ISREG(status.st_mode):
            raise faults.not_a_file("a pipe, a socket, a link or a device")
        source = self._source = take(self._order)
        if not source.data:
            raise faults.empty()
        kind = sniff(source.data, source.name)
        self._out.kind(kind)
        if note := mismatch_note(source.name, kind):
            self._out.note(note)
        try:
            reader_of(kind)(source, self._out)
        except ReadingError as error:
            if error.code == "binary":
                self._out.kind("binary")
            raise

    def _end(self, error: ReadingError | None) -> None:
        facts: dict[str, object] = {}
        if self._source is not None:
            facts["sha256"] = self._source.sha256
            facts["size"] = len(self._source.data)
            facts["modified"] = self._source.modified
        self._out.send(**{"is": "end", "error": as_message(error) if error else None, **facts})


if __name__ == "__main__":
    # Not sys.exit: the listener may hold the standard input, which Python would wait for.
    os._exit(main(sys.argv[1:]))
