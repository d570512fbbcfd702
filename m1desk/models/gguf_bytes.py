"""The bytes of a GGUF, read within bounds: nothing in the file decides how much is taken."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Protocol

from m1desk.errors import ModelFileError
from m1desk.models.header import SkippedValue

if TYPE_CHECKING:
    from m1desk.models.header import MetaValue

HEADER_LIMIT: Final = 128 * 1024 * 1024
"""No header is read beyond this many bytes; the largest known ones have about 20 MB."""

_STRING_KEPT: Final = 1024 * 1024
_ELEMENTS_KEPT: Final = 1024
_ELEMENT_KEPT: Final = 64 * 1024
_STRINGS_LIMIT: Final = 4_000_000
_CHUNK: Final = 1024 * 1024

_STRING: Final = 8
_ARRAY: Final = 9
# Number in the file -> name and code of `struct`, for values of fixed size.
_SCALARS: Final = {
    0: ("uint8", "B"),
    1: ("int8", "b"),
    2: ("uint16", "H"),
    3: ("int16", "h"),
    4: ("uint32", "I"),
    5: ("int32", "i"),
    6: ("float32", "f"),
    7: ("bool", "?"),
    10: ("uint64", "Q"),
    11: ("int64", "q"),
    12: ("float64", "d"),
}


class HeaderStream(Protocol):
    """What a header is read from: an open file, or a remote one."""

    def read(self, size: int, /) -> bytes:
        """Read `size` bytes, fewer at the end only."""

    def seek(self, offset: int, /) -> int:
        """Go to `offset` (bytes from the start)."""


class HeaderBytes:
    """Reads forward through a header; raises ModelFileError at its end, or at a bound."""

    def __init__(self, stream: HeaderStream, size: int, label: str) -> None:
        self._stream = stream
        self._size = size
        self._label = label
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bytes from here to the end of the file."""
        return self._size - self.position

    def damaged(self, why: str) -> ModelFileError:
        """Make the error for a header that contradicts itself."""
        return ModelFileError(
            f"{self._label} is damaged.",
            why,
            "Fetch the file again, and compare its checksum if the source gives one.",
        )

    def take(self, count: int) -> bytes:
        """Read exactly `count` bytes."""
        self._claim(count)
        data = self._stream.read(count)
        if len(data) != count:
            raise self._ended(count - len(data))
        return data

    def number(self, code: str) -> int:
        """Read one number by its code of `struct`, little-endian."""
        value: int = struct.unpack("<" + code, self.take(struct.calcsize(code)))[0]
        return value

    def string(self, limit: int, what: str) -> str:
        """Read a string of at most `limit` bytes; bytes that are not UTF-8 are replaced."""
        length = self.number("Q")
        if length > limit:
            raise self.damaged(f"{what} has a length of {length:,} bytes.")
        return self.take(length).decode("utf-8", "replace")

    def value(self) -> MetaValue:
        """Read a type and a value of it."""
        kind = self.number("I")
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array()
        code = self._scalar_code(kind)
        result: bool | int | float = struct.unpack("<" + code, self.take(struct.calcsize(code)))[0]
        return result

    def _text(self) -> str | SkippedValue:
        length = self.number("Q")
        if length > _STRING_KEPT:
            self._skip(length)
            return SkippedValue("string", length)
        return self.take(length).decode("utf-8", "replace")

    def _array(self) -> MetaValue:
        kind, count = self.number("I"), self.number("Q")
        if kind == _ARRAY:
            raise self.damaged("It holds an array of arrays, which the format's readers refuse.")
        if kind == _STRING:
            return self._strings(count)
        code = self._scalar_code(kind)
        size = struct.calcsize(code) * count
        if count > _ELEMENTS_KEPT:
            self._skip(size)
            return SkippedValue(_SCALARS[kind][0], count)
        return struct.unpack(f"<{count}{code}", self.take(size))

    def _strings(self, count: int) -> MetaValue:
        if count > _STRINGS_LIMIT or count * 8 > self.remaining:
            raise self.damaged(f"It announces an array of {count:,} strings.")
        if count > _ELEMENTS_KEPT:
            self._skip_strings(count)
            return SkippedValue("string", count)
        return tuple(self.string(_ELEMENT_KEPT, "A string in an array") for _ in range(count))

    def _skip_strings(self, count: int) -> None:
        """Pass over `count` strings; a vocabulary has hundreds of thousands, so in big bites."""
        length_of = struct.Struct("<Q").unpack_from
        while count:
            chunk = self._stream.read(min(_CHUNK, max(self.remaining, 0)))
            place, end = 0, len(chunk) - 8
            while count and place <= end:
                place += 8 + length_of(chunk, place)[0]
                count -= 1
            if not place:
                raise self._ended(8)
            self._claim(place)
            self._stream.seek(self.position)

    def _skip(self, count: int) -> None:
        self._claim(count)
        self._stream.seek(self.position)

    def _claim(self, count: int) -> None:
        if count > self.remaining:
            raise self._ended(count - self.remaining)
        if self.position + count > HEADER_LIMIT:
            raise self.damaged(f"Its header is larger than {HEADER_LIMIT:,} bytes.")
        self.position += count

    def _ended(self, missing: int) -> ModelFileError:
        return ModelFileError(
            f"{self._label} ends in the middle of its header.",
            f"At least {missing:,} bytes are missing: the file is truncated or damaged.",
            "Fetch it again; a download may have broken off.",
        )

    def _scalar_code(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise self.damaged(f"It holds a value of the unknown type {kind}.")
        return _SCALARS[kind][1]
