"""Reads the header of a GGUF file that nobody vouches for, in bounded time and memory."""

from __future__ import annotations

import contextlib
import math
import os
import re
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from m1desk.errors import ModelFileError
from m1desk.models.ggml_types import types_by_number
from m1desk.models.gguf_bytes import HeaderBytes
from m1desk.models.header import GgufHeader, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path, PurePath

    from m1desk.models.gguf_bytes import HeaderStream
    from m1desk.models.header import MetaValue

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_DEFAULT_ALIGNMENT: Final = 32

# Bounds far above any real model, so that a hostile file can't make the reader work or allocate.
_KEYS_LIMIT: Final = 65_536
_TENSORS_LIMIT: Final = 200_000
_KEY_BYTES: Final = 65_535
_BLOCKS_LIMIT: Final = 4_096
_PARTS_LIMIT: Final = 99_999
# What ggml itself allows (GGML_MAX_NAME with its closing zero, GGML_MAX_DIMS).
_NAME_BYTES: Final = 63
_DIMENSIONS: Final = 4
_SIGNED_MAX: Final = 2**63 - 1
# The least a key with its value, and a tensor's entry, take in the file (bytes).
_KEY_LEAST: Final = 13
_TENSOR_LEAST: Final = 24

_PART_NAME: Final = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class FilePart:
    """The header of one file."""

    version: int
    metadata: dict[str, MetaValue]
    tensors: tuple[TensorInfo, ...]
    size_bytes: int


def read_gguf_header(path: Path) -> GgufHeader:
    """Read the header of a model file; of a split model, of all its parts.

    Raises ModelFileError when the file is missing, not a GGUF, truncated, damaged, or hostile.
    The weights are not read; that they are all there is checked by the file's size.
    """
    chosen = _read_file(path)
    paths = tuple(path.with_name(name) for name in part_names(path.name, chosen))
    _check_present(path, paths)
    return joined_header(
        paths, tuple(chosen if part == path else _read_file(part) for part in paths)
    )


def joined_header(paths: tuple[Path, ...], parts: Sequence[FilePart]) -> GgufHeader:
    """Join the headers of all files of a model, in order.

    Raises ModelFileError when they don't belong together.
    """
    first = parts[0]
    tensors = tuple(
        chain.from_iterable(
            (replace(tensor, part=number) for tensor in part.tensors)
            for number, part in enumerate(parts)
        )
    )
    header = GgufHeader(
        path=paths[0],
        parts=paths,
        version=first.version,
        size_bytes=sum(part.size_bytes for part in parts),
        metadata=first.metadata,
        tensors=tensors,
    )
    _check_whole(header)
    return header


def part_number(path: PurePath) -> tuple[int, int]:
    """Which part of how many a file is by its name; (1, 1) when the name doesn't say."""
    match = _PART_NAME.match(path.name)
    return (int(match["number"]), int(match["count"])) if match else (1, 1)


def read_part(stream: HeaderStream, size: int, label: str) -> FilePart:
    """Read the header of one file of `size` bytes; `label` names it in errors."""
    source = HeaderBytes(stream, size, label)
    if size < len(_MAGIC):
        raise ModelFileError(
            f"{label} is not a model file.",
            "It is empty." if not size else f"It has only {size} bytes.",
            "Fetch it again.",
        )
    magic = source.take(len(_MAGIC))
    if magic != _MAGIC:
        raise _foreign(label, magic + source.take(min(60, source.remaining)))
    version = _version(source, label)
    tensor_count, key_count = source.number("Q"), source.number("Q")
    _check_counts(source, tensor_count, key_count)
    metadata = _metadata(source, key_count)
    entries = _tensor_entries(source, tensor_count)
    alignment = _alignment(source, metadata)
    tensors = _placed(source, entries, alignment)
    _check_complete(tensors, size, label)
    return FilePart(version, metadata, tensors, size)


def _read_file(path: Path) -> FilePart:
    with _explained(path):
        if path.exists() and not path.is_file():
            # Opening a pipe would wait for ever.
            raise ModelFileError(f"{path} is not a file.", "", "Choose a file in GGUF format.")
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            return read_part(stream, size, path.name)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelFileError(
            f"{path} can't be read.",
            f"The system says: {error.strerror or error}.",
            "Check that the file is still there and that you may read it.",
        ) from error


def _foreign(label: str, start: bytes) -> ModelFileError:
    """Name what a file is that is no GGUF."""
    stripped = start.lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        why = "It is a Git LFS pointer, which stands for a file that was not fetched."
    elif stripped.startswith((b"<!doctype", b"<html", b"<?xml")):
        why = "It is a web page, probably an error page saved in the file's place."
    elif start.startswith(b"PK"):
        why = "It is a ZIP archive or a PyTorch checkpoint."
    elif start[:4] in {b"lmgg", b"fmgg", b"tjgg"}:
        why = "It has a format of llama.cpp from before GGUF, which no engine reads any more."
    elif start[8:9] == b"{":
        why = "It looks like a safetensors file."
    else:
        why = 'It does not begin with the letters "GGUF".'
    return ModelFileError(f"{label} is not a GGUF file.", why, "Choose a file in GGUF format.")


def _version(source: HeaderBytes, label: str) -> int:
    version = source.number("I")
    if version in _VERSIONS:
        return version
    if version & 0xFFFF == 0 and version:
        why = "It is stored big-endian, for another kind of processor."
    elif version == 1:
        why = "It has version 1 of the format, which engines no longer read."
    else:
        why = f"It says that it has version {version} of the format; 2 and 3 are known."
    raise ModelFileError(f"{label} can't be used.", why, "Fetch a current GGUF of this model.")


def _check_counts(source: HeaderBytes, tensors: int, keys: int) -> None:
    room = source.remaining
    if keys > min(_KEYS_LIMIT, room // _KEY_LEAST):
        raise source.damaged(f"It announces {keys:,} metadata entries, more than it can hold.")
    if tensors > min(_TENSORS_LIMIT, room // _TENSOR_LEAST):
        raise source.damaged(f"It announces {tensors:,} tensors, more than it can hold.")


def _metadata(source: HeaderBytes, count: int) -> dict[str, MetaValue]:
    metadata: dict[str, MetaValue] = {}
    for _ in range(count):
        key = source.string(_KEY_BYTES, "A metadata key")
        if not key or key in metadata:
            raise source.damaged(f'The metadata key "{key[:80]}" is empty or occurs twice.')
        metadata[key] = source.value()
    return metadata


@dataclass(frozen=True, slots=True)
class _Entry:
    """A tensor as the header lists it; `start` counts from the start of the data (bytes)."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    start: int
    size_bytes: int


def _tensor_entries(source: HeaderBytes, count: int) -> list[_Entry]:
    entries: list[_Entry] = []
    names: set[str] = set()
    for _ in range(count):
        entry = _tensor_entry(source)
        if entry.name in names:
            raise source.damaged(f'The tensor "{entry.name}" occurs twice.')
        names.add(entry.name)
        entries.append(entry)
    return entries


def _tensor_entry(source: HeaderBytes) -> _Entry:
    name = source.string(_NAME_BYTES, "A tensor's name")
    dimensions = source.number("I")
    if dimensions > _DIMENSIONS:
        raise source.damaged(f'The tensor "{name}" has {dimensions} dimensions.')
    shape = tuple(source.number("Q") for _ in range(dimensions))
    number, start = source.number("I"), source.number("Q")
    kind = types_by_number().get(number)
    if kind is None:
        raise ModelFileError(
            f"This file can't be used: its tensor {name} has the unknown type {number}.",
            "The file is damaged, or made for a newer engine.",
            "Fetch it again, or choose another quantization of this model.",
        )
    elements = math.prod(shape)
    if elements > _SIGNED_MAX or (shape and shape[0] % kind.block_elements):
        raise source.damaged(f'The tensor "{name}" has the impossible shape {shape}.')
    size = elements // kind.block_elements * kind.block_bytes
    return _Entry(name, shape, kind.name, start, size)


def _alignment(source: HeaderBytes, metadata: dict[str, MetaValue]) -> int:
    value = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(value, int) or value < 1 or value & (value - 1):
        raise source.damaged("Its alignment is not a power of two.")
    return value


def _placed(
    source: HeaderBytes, entries: Sequence[_Entry], alignment: int
) -> tuple[TensorInfo, ...]:
    """Turn places in the data into places in the file.

    Tensors must follow each other in the order listed, as llama.cpp demands too.
    """
    data = _padded(source.position, alignment)
    expected = 0
    tensors: list[TensorInfo] = []
    for entry in entries:
        if entry.start != expected:
            raise source.damaged(f'The tensor "{entry.name}" does not follow the one before it.')
        expected = _padded(entry.start + entry.size_bytes, alignment)
        tensors.append(
            TensorInfo(
                entry.name, entry.shape, entry.type_name, data + entry.start, entry.size_bytes
            )
        )
    return tuple(tensors)


def _check_complete(tensors: Sequence[TensorInfo], size: int, label: str) -> None:
    end = max((tensor.offset + tensor.size_bytes for tensor in tensors), default=0)
    if end > size:
        raise ModelFileError(
            f"{label} is incomplete.",
            f"{end - size:,} of its {end:,} bytes are missing.",
            "Continue or repeat the download.",
        )


def _padded(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def part_names(name: str, part: FilePart) -> tuple[str, ...]:
    """Names of all files of the model that the file `name` belongs to, in order.

    Raises ModelFileError when its name does not lead to the others.
    """
    count = part.metadata.get("split.count", 1)
    if not isinstance(count, int) or count <= 1:
        return (name,)
    match = _PART_NAME.match(name)
    if match is None or int(match["count"]) != count or count > _PARTS_LIMIT:
        raise ModelFileError(
            f"{name} is one of {count} parts, but its name does not say so.",
            f"Parts must be named like model-00001-of-{count:05}.gguf to be found.",
            "Give the parts their original names again.",
        )
    stem = match["stem"]
    return tuple(f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1))


def _check_present(path: Path, paths: tuple[Path, ...]) -> None:
    """Refuse a split model some parts of which are missing."""
    if len(paths) == 1:
        return
    with _explained(path.parent):
        present = {entry.name for entry in path.parent.iterdir()}
    missing = [part.name for part in paths if part.name not in present]
    if missing:
        listed = ", ".join(missing[:3]) + (" and others" if len(missing) > 3 else "")
        raise ModelFileError(
            f"{len(missing)} of the {len(paths)} parts of this model are missing.",
            f"Not found beside {path.name}: {listed}.",
            "Fetch the missing parts into the same folder.",
        )


def _check_whole(header: GgufHeader) -> None:
    """Refuse what only shows when all parts are together."""
    if header.block_count > _BLOCKS_LIMIT:
        raise ModelFileError(
            f"{header.path.name} is damaged.",
            f"It announces {header.block_count:,} layers.",
            "Fetch the file again.",
        )
    expected = header.metadata.get("split.tensors.count")
    if isinstance(expected, int) and len(header.parts) > 1 and expected != len(header.tensors):
        raise ModelFileError(
            "The parts of this model do not belong together.",
            f"They hold {len(header.tensors):,} tensors, {expected:,} are announced.",
            "Fetch all parts again, from the same source.",
        )
