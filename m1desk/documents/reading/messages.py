"""What crosses between the app and a reader process: JSON in frames with a length before them.

Down goes one `Order` for each file. Up come, for each order, messages with "is" one of: "kind",
"total", "page", "missed", "empty", "note", "member", "refused", "tick" (still at work) and, last,
"end".
The reader handles hostile files, so what it says is checked like a stranger's words.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    import asyncio

FRAME_BYTES: Final = 8 << 20
"""The longest frame; a page's text is held far below it."""

PAGE_CHARACTERS: Final = 400_000
"""The longest page; at 6 bytes for a character escaped in JSON it stays within a frame."""

_HEAD: Final = struct.Struct(">I")


class FrameError(Exception):
    """A frame that is too long or is not JSON: the sender is broken or no longer itself."""


@dataclass(frozen=True, slots=True)
class Order:
    """One file or folder to read.

    Attributes:
        name: for the person and for the kind's guess; the path may be a temporary file's.
        unpack_to: the folder members are written to; nothing is written elsewhere.
        is_member: it lies in an archive, a mail or a folder.
        depth: containers around it that are not folders.
        unpack_bytes, files: that may still be unpacked or found.
        For the others see `ReadLimits` and `ReadOptions`.
    """

    path: str
    name: str
    unpack_to: str
    is_member: bool
    depth: int
    max_depth: int
    memory_bytes: int
    file_bytes: int
    pages: int
    characters: int
    unpack_bytes: int
    files: int
    ratio: float
    ocr: bool
    ocr_languages: str
    stall_seconds: float

    def to_frame(self) -> bytes:
        """The order as it is sent."""
        return to_frame(asdict(self))


def to_frame(message: Mapping[str, object]) -> bytes:
    """Pack a message; raises FrameError when it is too long."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    if len(body) > FRAME_BYTES:
        raise FrameError(f"{len(body)} bytes in one frame")
    return _HEAD.pack(len(body)) + body


def read_order(stream: BinaryIO) -> Order | None:
    """The next order; None at the end of the stream."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    body = stream.read(_HEAD.unpack(head)[0])
    return Order(**json.loads(body))


async def receive(stream: asyncio.StreamReader) -> dict[str, Any]:
    """The next message of a reader.

    Raises:
        FrameError: it is not one.
        asyncio.IncompleteReadError: the reader has ended.
    """
    length = _HEAD.unpack(await stream.readexactly(_HEAD.size))[0]
    if length > FRAME_BYTES:
        raise FrameError(f"{length} bytes in one frame")
    body = await stream.readexactly(length)
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FrameError(str(error)) from error
    if not isinstance(message, dict):
        raise FrameError("not a message")
    return message
