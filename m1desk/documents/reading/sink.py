"""Where the readers of formats put what they find: it goes up to the app page by page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Literal

from m1desk.documents.reading import faults
from m1desk.documents.reading.cleaning import clean_lines, one_line
from m1desk.documents.reading.messages import PAGE_CHARACTERS, to_frame
from m1desk.documents.values import PageKind, ReadingError

if TYPE_CHECKING:
    from m1desk.documents.reading.messages import Order

_BLOCK: Final = 1 << 20
_SMALL: Final = 1 << 20
"""A member below this size is no bomb, however well it is packed."""


class Sink:
    """Sends what is found in one file, and holds it to the order's limits.

    Attributes:
        is_exhausted: a limit on all members together was reached; no other can be unpacked.
    """

    def __init__(self, order: Order, stream: BinaryIO, still_alive: Callable[[], None]) -> None:
        self.order = order
        self.is_exhausted = False
        self._stream = stream
        self._still_alive = still_alive
        self._pages = 0
        self._characters = 0
        self._members = 0
        self._unpacked = 0

    def send(self, **message: object) -> None:
        """Send one message, and show that the reader lives."""
        self._still_alive()
        self._stream.write(to_frame(message))
        self._stream.flush()

    def tick(self) -> None:
        """Say that work goes on, where pages take long."""
        self.send(**{"is": "tick"})

    def kind(self, kind: str) -> None:
        """What the file is, by its content."""
        self.send(**{"is": "kind", "kind": kind})

    def total(self, pages: int) -> None:
        """How many pages the file has."""
        self.send(**{"is": "total", "pages": pages})

    def note(self, text: str) -> None:
        """Something the person should know."""
        self.send(**{"is": "note", "text": clean_lines(text)})

    def page(self, number: int, kind: PageKind, text: str, label: str = "") -> None:
        """A page's clean text; one with nothing but space on it counts as empty.

        Raises:
            ReadingError: the document has more pages or text than allowed.
        """
        self._pages += 1
        if self._pages > self.order.pages:
            raise faults.too_large(f"It has more than {self.order.pages:,} pages.")
        if not text.strip():
            self.send(**{"is": "empty", "number": number})
            return
        if len(text) > PAGE_CHARACTERS:
            raise faults.too_large(f"Page {number} has {len(text):,} characters.")
        self._characters += len(text)
        if self._characters > self.order.characters:
            raise faults.too_large(f"It has more than {self.order.characters:,} characters.")
        label = one_line(label)
        self.send(**{"is": "page", "number": number, "kind": kind, "text": text, "label": label})

    def missed(self, number: int, code: Literal["failed", "scanned"], why: str) -> None:
        """A page that could not be read."""
        self._pages += 1
        self.send(**{"is": "missed", "number": number, "code": code, "why": one_line(why, 300)})

    def found(self, path: str, name: str, size: int) -> None:
        """A file in a folder, to be read by itself; raises ReadingError beyond the limit."""
        self._count_member()
        message = {"is": "member", "path": path, "name": one_line(name, 1000), "size": size}
        self.send(**message)

    def refuse(self, name: str, error: ReadingError) -> None:
        """A member that is named in the report and not read."""
        self.send(**{"is": "refused", "name": one_line(name, 1000), "error": as_message(error)})

    def unpack(self, name: str, stream: IO[bytes], packed: int | None = None) -> None:
        """Copy a member of an archive or mail out of it, to be read by itself.

        Its file gets a number for a name, so nothing in `name` can lead anywhere.

        Args:
            name: its path inside the archive, or an attachment's name.
            stream: its bytes.
            packed: its bytes inside the archive; None when that is not known.

        Raises:
            ReadingError: it is a bomb, it lies too deep, or there is no room for it.
        """
        if self.order.depth >= self.order.max_depth:
            raise faults.too_deep(self.order.max_depth)
        self._count_member()
        target = Path(self.order.unpack_to) / str(self._members)
        try:
            size = self._copy(stream, target, packed)
        except ReadingError:
            target.unlink(missing_ok=True)
            raise
        self.send(
            **{"is": "member", "path": str(target), "name": one_line(name, 1000), "size": size}
        )

    def _copy(self, stream: IO[bytes], target: Path, packed: int | None) -> int:
        size = 0
        with target.open("wb") as file:
            while block := stream.read(_BLOCK):
                size += len(block)
                self._unpacked += len(block)
                self._check(size, packed)
                try:
                    file.write(block)
                except OSError as error:
                    self.is_exhausted = True
                    raise faults.disk(error) from error
                self._still_alive()
        return size

    def _check(self, size: int, packed: int | None) -> None:
        if size > self.order.file_bytes:
            raise faults.too_large(f"It has more than {self.order.file_bytes:,} bytes.")
        if packed is not None and size > max(_SMALL, packed * self.order.ratio):
            raise faults.bomb(f"More than {size:,} bytes came out of {packed:,}.")
        if self._unpacked > self.order.unpack_bytes:
            self.is_exhausted = True
            raise faults.bomb(f"All parts have more than {self.order.unpack_bytes:,} bytes.")

    def _count_member(self) -> None:
        self._members += 1
        if self._members > self.order.files:
            self.is_exhausted = True
            raise faults.too_large(f"It holds more than {self.order.files:,} files.")


def as_message(error: ReadingError) -> dict[str, str]:
    """An error as it is sent."""
    return {"what": error.what, "why": error.why, "todo": error.todo, "code": error.code}
