"""Server-sent events: the data of each event, out of chunks of bytes."""

from __future__ import annotations

from typing import Final

_MOST_BYTES: Final = 64 * 1024 * 1024


class SseDecoder:
    """Decodes a stream piece by piece (https://html.spec.whatwg.org/multipage/server-sent-events.html).

    httpx splits lines at every character that Unicode calls a line end; some of them are plain
    text inside JSON, so this splits at the three that the standard names.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    @property
    def is_within_event(self) -> bool:
        """Whether an event has begun and has not ended yet."""
        return bool(self._rest or self._data)

    def feed(self, chunk: bytes) -> list[str]:
        """Return the data of every event that `chunk` completes.

        Raises:
            ValueError: an event is larger than 64 MiB.
        """
        text = self._rest + chunk
        # a CR at the end may be half of a CRLF: it waits for the next chunk
        held = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + held
        if len(self._rest) + self._size > _MOST_BYTES:
            raise ValueError("an event is too large")
        return [data for line in lines if (data := self._take(line)) is not None]

    def _take(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data).decode("utf-8", errors="replace") if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
        return None
