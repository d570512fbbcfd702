"""Archives: every file inside is copied out under a number and read by itself."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final

from m1desk.documents.reading import faults
from m1desk.documents.values import ReadingError

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_ENCRYPTED: Final = 0x1
_PACKERS: Final[tuple[tuple[bytes, Callable[..., Any]], ...]] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
_PACKED_ENDINGS: Final = (".gz", ".bz2", ".xz")
_OTHERS: Final = ((b"7z", "7z"), (b"Rar!", "RAR"), (b"\x28\xb5\x2f\xfd", "Zstandard"))
_BROKEN: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
"""What Python's archive modules raise on damaged data."""


def read(source: Source, out: Sink) -> None:
    """Unpack an archive's files into the order's folder.

    Raises:
        ReadingError: it is damaged, a bomb, or of a kind that is not read.
    """
    for magic, name in _OTHERS:
        if source.data.startswith(magic):
            raise faults.unsupported(f"An archive in the {name} format", "Pack it as a zip file.")
    unpacking = _Unpacking(source, out)
    try:
        if source.data.startswith(b"PK"):
            unpacking.unpack_zip()
        else:
            unpacking.unpack_tar()
    except _BROKEN as error:
        raise faults.damaged(str(error)) from error
    finally:
        unpacking.note_what_was_left()


class _Unpacking:
    """One archive being unpacked, and the count of what was left in it."""

    def __init__(self, source: Source, out: Sink) -> None:
        self._source = source
        self._out = out
        self._links = 0
        self._devices = 0

    def unpack_zip(self) -> None:
        with zipfile.ZipFile(io.BytesIO(self._source.data)) as archive:
            for entry in archive.infolist():
                if entry.is_dir():
                    continue
                if stat.S_ISLNK(entry.external_attr >> 16):
                    self._links += 1
                    continue
                self._member(entry.filename, self._open_zipped(archive, entry), entry.compress_size)

    @staticmethod
    def _open_zipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
        def opened() -> IO[bytes]:
            if entry.flag_bits & _ENCRYPTED:
                raise faults.encrypted("This file in an archive")
            return archive.open(entry)

        return opened

    def unpack_tar(self) -> None:
        """A tar file, packed or not; else a single packed file."""
        try:
            archive = tarfile.open(fileobj=io.BytesIO(self._source.data), mode="r:*")  # noqa: SIM115
        except tarfile.ReadError:
            self._unpack_single()
            return
        # The ratio is that of the whole: a packed tar file does not know its members' own.
        with archive:
            for entry in archive:
                if entry.isreg():
                    self._member(
                        entry.name, self._open_tarred(archive, entry), len(self._source.data)
                    )
                elif entry.issym() or entry.islnk():
                    self._links += 1
                elif not entry.isdir():
                    self._devices += 1

    @staticmethod
    def _open_tarred(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
        def opened() -> IO[bytes]:
            file = archive.extractfile(entry)
            return file if file is not None else io.BytesIO()

        return opened

    def _unpack_single(self) -> None:
        data = self._source.data
        for magic, opener in _PACKERS:
            if data.startswith(magic):
                name = self._source.name
                for ending in _PACKED_ENDINGS:
                    name = name.removesuffix(ending)
                self._member(name, partial(opener, io.BytesIO(data)), len(data))
                return
        raise faults.damaged("It is no archive that can be opened.")

    def _member(self, name: str, opened: Callable[[], IO[bytes]], packed: int) -> None:
        """Copy a member out; one that fails is named, and the others go on."""
        try:
            safe = _safe_name(name)
            with opened() as stream:
                self._out.unpack(safe, stream, packed)
        except ReadingError as error:
            if self._out.is_exhausted:
                raise
            self._out.refuse(name, error)
        except _BROKEN as error:
            self._out.refuse(name, faults.damaged(str(error)))

    def note_what_was_left(self) -> None:
        if self._links:
            self._out.note(f"Links in the archive were not followed ({self._links}).")
        if self._devices:
            self._out.note(f"Entries that are not files were left out ({self._devices}).")


def _safe_name(name: str) -> str:
    """A member's name as a relative one; raises ReadingError when it leads out of the archive."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", "."}]
    if ".." in parts or not parts:
        raise faults.unsafe_path(name[:200])
    if len(parts[0]) == 2 and parts[0].endswith(":"):  # a drive of Windows
        parts = parts[1:] or ["file"]
    return "/".join(parts)
