"""A remote file as a stream that fetches only the bytes that are read, within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from m1desk.errors import ModelFileError

FetchRange = Callable[[int, int], bytes]
"""Gives exactly `count` bytes from `start`; raises HubError or ModelFileError."""

_FIRST_FETCH: Final = 128 * 1024
_LARGEST_FETCH: Final = 4 * 1024 * 1024
_TRANSFER_LIMIT: Final = 160 * 1024 * 1024
_SECONDS_LIMIT: Final = 120.0


class RangeStream:
    """Reads forward through a remote file in ranges that grow, holding one of them at a time.

    Reading past 160 MiB of transfer or two minutes raises ModelFileError: no header of a real
    model needs that, so the server or the file is not to be trusted.
    """

    def __init__(
        self,
        fetch: FetchRange,
        size: int,
        label: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._size = size
        self._label = label
        self._clock = clock
        self._deadline = clock() + _SECONDS_LIMIT
        self._position = 0
        self._window = b""
        self._window_start = 0
        self._next_fetch = _FIRST_FETCH
        self.transferred_bytes = 0

    def seek(self, offset: int, /) -> int:
        """Go to `offset` (bytes from the start); nothing is fetched."""
        self._position = max(offset, 0)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Read `size` bytes, fewer at the end of the file only."""
        left = max(self._size - self._position, 0)
        wanted = left if size < 0 else min(size, left)
        pieces: list[bytes] = []
        while wanted:
            piece = self._from_window(wanted) or self._refill(wanted)
            self._position += len(piece)
            wanted -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _from_window(self, wanted: int) -> bytes:
        place = self._position - self._window_start
        return self._window[place : place + wanted] if 0 <= place < len(self._window) else b""

    def _refill(self, wanted: int) -> bytes:
        count = min(max(self._next_fetch, min(wanted, _LARGEST_FETCH)), self._size - self._position)
        self.transferred_bytes += count
        if self.transferred_bytes > _TRANSFER_LIMIT or self._clock() > self._deadline:
            raise ModelFileError(
                f"The header of {self._label} could not be read from the server.",
                "It is too large, or the server too slow, for a real model.",
                "Try again later, or choose another source of this model.",
            )
        self._window = self._fetch(self._position, count)
        self._window_start = self._position
        self._next_fetch = min(2 * self._next_fetch, _LARGEST_FETCH)
        return self._window[:wanted]
