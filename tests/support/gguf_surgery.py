"""A GGUF taken apart and put together again, so that a test can change what it likes in it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
STRING, ARRAY = 8, 9
_ALIGNMENT = 32


@dataclass
class Tensor:
    """A tensor's entry; `shape` is as the file has it, columns first."""

    name: str
    shape: list[int]
    kind: int
    data: bytes


@dataclass
class Gguf:
    """Metadata by key as (type number, value; of arrays: (type of the entries, list)), tensors."""

    metadata: dict[str, tuple[int, Any]] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def architecture(self) -> str:
        name: str = self.metadata["general.architecture"][1]
        return name

    def tensor(self, name: str) -> Tensor:
        return next(one for one in self.tensors if one.name == name)

    def write(self, path: Path) -> Path:
        """The file, whose data is where the entries say."""
        head = io.BytesIO()
        head.write(b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.metadata)))
        for key, (kind, value) in self.metadata.items():
            _put_string(head, key)
            head.write(struct.pack("<I", kind))
            _put(head, kind, value)
        offset = 0
        for tensor in self.tensors:
            _put_string(head, tensor.name)
            head.write(struct.pack("<I", len(tensor.shape)))
            head.write(struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape))
            head.write(struct.pack("<IQ", tensor.kind, offset))
            offset += _padded(len(tensor.data))
        with path.open("wb") as file:
            file.write(head.getvalue().ljust(_padded(head.tell()), b"\0"))
            for tensor in self.tensors:
                file.write(tensor.data.ljust(_padded(len(tensor.data)), b"\0"))
        return path


def read_gguf(path: Path) -> Gguf:
    """Take a well-formed file apart."""
    raw = path.read_bytes()
    stream = io.BytesIO(raw)
    _, _, tensors, keys = struct.unpack("<4sIQQ", stream.read(24))
    gguf = Gguf()
    for _ in range(keys):
        key = _take_string(stream)
        kind = _take_scalar(stream, 4)
        gguf.metadata[key] = (kind, _take(stream, kind))
    entries = [_take_entry(stream) for _ in range(tensors)]
    start = _padded(stream.tell())
    ends = [offset for *_, offset in entries[1:]] + [len(raw) - start]
    for (name, shape, kind, offset), end in zip(entries, ends, strict=True):
        gguf.tensors.append(Tensor(name, shape, kind, raw[start + offset : start + end]))
    return gguf


def _take_entry(stream: io.BytesIO) -> tuple[str, list[int], int, int]:
    name = _take_string(stream)
    shape = [_take_scalar(stream, 10) for _ in range(_take_scalar(stream, 4))]
    return name, shape, _take_scalar(stream, 4), _take_scalar(stream, 10)


def _take(stream: io.BytesIO, kind: int) -> Any:
    if kind == STRING:
        return _take_string(stream)
    if kind == ARRAY:
        inner, count = _take_scalar(stream, 4), _take_scalar(stream, 10)
        return inner, [_take(stream, inner) for _ in range(count)]
    return _take_scalar(stream, kind)


def _take_scalar(stream: io.BytesIO, kind: int) -> Any:
    layout = "<" + _SCALARS[kind]
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))[0]


def _take_string(stream: io.BytesIO) -> str:
    return stream.read(_take_scalar(stream, 10)).decode()


def _put(stream: io.BytesIO, kind: int, value: Any) -> None:
    if kind == STRING:
        _put_string(stream, value)
    elif kind == ARRAY:
        inner, entries = value
        stream.write(struct.pack("<IQ", inner, len(entries)))
        for entry in entries:
            _put(stream, inner, entry)
    else:
        stream.write(struct.pack("<" + _SCALARS[kind], value))


def _put_string(stream: io.BytesIO, text: str) -> None:
    data = text.encode()
    stream.write(struct.pack("<Q", len(data)) + data)


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
