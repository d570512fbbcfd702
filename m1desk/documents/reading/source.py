"""A file's bytes, taken once: what is hashed is what is read, whatever happens to the file."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from m1desk.documents.reading import faults

if TYPE_CHECKING:
    from m1desk.documents.reading.messages import Order

_TRIES: Final = 3
_BLOCK: Final = 4 << 20
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""O_NONBLOCK: should a pipe have taken the file's place, opening it must not wait for a writer."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was at one moment.

    Attributes:
        modified: seconds since the epoch.
    """

    order: Order
    data: bytes
    sha256: str
    modified: float

    @property
    def name(self) -> str:
        """Its own name, without those of the folders and archives around it."""
        return self.order.name.rpartition("/")[2]


def take(order: Order) -> Source:
    """Read the file's bytes; raises ReadingError when that can't be done whole."""
    for _ in range(_TRIES):
        try:
            before, data, after = _read_once(order)
        except OSError as error:
            raise faults.file_fault(error) from error
        if len(data) == before.st_size and _state(before) == _state(after):
            digest = hashlib.sha256(data).hexdigest()
            return Source(order, data, digest, before.st_mtime)
    raise faults.changed()


def _read_once(order: Order) -> tuple[os.stat_result, bytes, os.stat_result]:
    # A member that became a link since it was found must not lead out of its folder.
    no_link = getattr(os, "O_NOFOLLOW", 0) if order.is_member else 0
    descriptor = os.open(order.path, _FLAGS | no_link)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise faults.not_a_file("a pipe, a socket or a device")
        if before.st_size > order.file_bytes:
            limit = f"{order.file_bytes / (1 << 20):,.0f} MiB"
            raise faults.too_large(f"It has {before.st_size:,} bytes; the limit is {limit}.")
        data = _read_whole(descriptor, before.st_size)
        return before, data, os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _read_whole(descriptor: int, size: int) -> bytes:
    """All bytes, one more than `size` at most: a file that grows is never read to an end."""
    data = bytearray()
    while len(data) <= size:
        block = os.read(descriptor, min(_BLOCK, size + 1 - len(data)))
        if not block:
            break
        data += block
    return bytes(data)


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
