"""Digests of large files: whole, for what was saved; by samples, for models and libraries."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

_BLOCK_BYTES: Final = 16 << 20
_HEAD_BYTES: Final = 16 << 20
_SAMPLES: Final = 64
_SAMPLE_BYTES: Final = 64 << 10
_DIGEST_BYTES: Final = 32
_PART: Final = re.compile(r"-(\d{5})-of-(\d{5})(\.gguf)$")


class Abandoned(Exception):
    """The digest is not wanted any more."""


def bytes_digest(data: bytes) -> str:
    """BLAKE2b (32 bytes) in hexadecimal."""
    return _blake(data).hexdigest()


def file_digest(
    path: Path, *, threads: int = 1, is_abandoned: Callable[[], bool] = lambda: False
) -> str:
    """The digest of a whole file: BLAKE2b over its length and the digests of its 16 MiB blocks.

    By blocks, so that several threads can share a state of 40 GB; one thread does about 1 GB/s.

    Raises:
        Abandoned: `is_abandoned` said so between two blocks.
        OSError: the file can't be read.
    """
    size = path.stat().st_size

    def digest(start: int) -> bytes:
        if is_abandoned():
            raise Abandoned
        return _blake(_read(path, start, _BLOCK_BYTES)).digest()

    whole = _blake(str(size).encode())
    with ThreadPoolExecutor(threads) as pool:
        for block in pool.map(digest, range(0, size, _BLOCK_BYTES)):
            whole.update(block)
    return whole.hexdigest()


def sampled_digest(paths: Iterable[Path]) -> str:
    """A digest of the files' sizes, their first 16 MiB and 64 blocks spread evenly over each.

    Reads at most 20 MiB of a file, however large. Two models of one shape differ in every block
    of their weights, and what is set in a header stands in its beginning.

    Raises:
        OSError: a file can't be read.
    """
    whole = _blake(b"")
    for path in paths:
        size = path.stat().st_size
        whole.update(f"{size}\n".encode())
        whole.update(_read(path, 0, _HEAD_BYTES))
        for start in _sample_starts(size):
            whole.update(_read(path, start, _SAMPLE_BYTES))
    return whole.hexdigest()


def model_parts(path: Path) -> tuple[Path, ...]:
    """All files of a model, in order: one, or those of a split one (`-00001-of-00006.gguf`)."""
    found = _PART.search(path.name)
    if found is None:
        return (path,)
    stem, count = path.name[: found.start()], int(found[2])
    names = (f"{stem}-{number:05d}-of-{found[2]}{found[3]}" for number in range(1, count + 1))
    return tuple(path.with_name(name) for name in names)


def _sample_starts(size: int) -> Iterator[int]:
    room = size - _SAMPLE_BYTES
    if room <= 0:
        return
    for number in range(_SAMPLES):
        yield room * number // (_SAMPLES - 1)


def _read(path: Path, start: int, count: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        parts: list[bytes] = []
        while count > 0 and (part := file.read(count)):
            parts.append(part)
            count -= len(part)
    return b"".join(parts)


def _blake(data: bytes) -> hashlib.blake2b:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES)
