"""Compound files: Outlook's mails (MS-OXMSG) are read; old and locked office files are named."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import olefile

from m1desk.documents.reading import faults
from m1desk.documents.reading.decoding import decode
from m1desk.documents.reading.formats.html import blocks_of
from m1desk.documents.reading.formats.mail import send_message
from m1desk.documents.values import ReadingError

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_SUBJECT: Final = "0037"
_BODY: Final = "1000"
_HTML: Final = "1013"
_SENDER: Final = "0C1A"
_SENDER_ADDRESS: Final = "5D01"
_TO: Final = "0E04"
_CC: Final = "0E03"
_HEADERS: Final = "007D"
_DATA: Final = "3701"
_LONG_NAME: Final = "3707"
_SHORT_NAME: Final = "3704"
_OLD: Final = {
    "WordDocument": ("A document of an older Word (.doc)", ".docx"),
    "Workbook": ("A workbook of an older Excel (.xls)", ".xlsx"),
    "Book": ("A workbook of an older Excel (.xls)", ".xlsx"),
    "PowerPoint Document": ("A presentation of an older PowerPoint (.ppt)", ".pptx"),
}


def read(source: Source, out: Sink) -> None:
    """Read a mail of Outlook's; raises ReadingError for any other compound file."""
    try:
        with olefile.OleFileIO(io.BytesIO(source.data)) as file:
            if file.exists("__properties_version1.0"):
                out.total(1)
                _Mail(file).send(out)
                return
            raise _other(file)
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise faults.damaged(str(error)) from error


def _other(file: olefile.OleFileIO) -> ReadingError:
    if file.exists("EncryptedPackage"):
        return faults.encrypted("The document")
    for stream, (what, suffix) in _OLD.items():
        if file.exists(stream):
            return faults.unsupported(what, f"Save it as {suffix} in its program, and add that.")
    return faults.unsupported("This kind of compound file")


class _Mail:
    """One message: properties in streams named by their tags."""

    def __init__(self, file: olefile.OleFileIO) -> None:
        self._file = file

    def send(self, out: Sink) -> None:
        subject = self._text(_SUBJECT)
        sender = self._text(_SENDER)
        address = self._text(_SENDER_ADDRESS)
        headers = [
            ("From", f"{sender} <{address}>" if address and address != sender else sender),
            ("To", self._text(_TO)),
            ("Cc", self._text(_CC)),
            ("Date", self._date()),
            ("Subject", subject),
        ]
        send_message(out, 1, headers, self._text(_BODY) or self._html(), subject)
        for index, folder in enumerate(self._attachments(), 1):
            self._unpack(folder, index, out)

    def _text(self, tag: str, folder: str = "") -> str:
        wide = self._bytes(f"{folder}__substg1.0_{tag}001F")
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = self._bytes(f"{folder}__substg1.0_{tag}001E").rstrip(b"\0")
        return decode(narrow).text if narrow else ""

    def _html(self) -> str:
        data = self._bytes(f"__substg1.0_{_HTML}0102")
        return "\n\n".join(blocks_of(data)[0].blocks) if data else self._text(_HTML)

    def _date(self) -> str:
        """From the headers the mail came with; one never sent has none."""
        for line in self._text(_HEADERS).splitlines():
            if line.lower().startswith("date:"):
                return line[5:].strip()
        return ""

    def _bytes(self, path: str) -> bytes:
        if not self._file.exists(path):
            return b""
        with self._file.openstream(path) as stream:
            data: bytes = stream.read()
            return data

    def _attachments(self) -> Iterator[str]:
        names = {entry[0] for entry in self._file.listdir() if len(entry) > 1}
        yield from sorted(name for name in names if name.startswith("__attach_version1.0_"))

    def _unpack(self, folder: str, index: int, out: Sink) -> None:
        name = self._text(_LONG_NAME, f"{folder}/") or self._text(_SHORT_NAME, f"{folder}/")
        name = name.replace("\\", "/").rpartition("/")[2] or f"part {index}"
        try:
            if self._file.exists(f"{folder}/__substg1.0_{_DATA}000D"):
                what = "A mail or object embedded in a mail of Outlook's"
                raise faults.unsupported(what, "Save it as a file of its own, and add that.")
            out.unpack(name, io.BytesIO(self._bytes(f"{folder}/__substg1.0_{_DATA}0102")))
        except ReadingError as error:
            if out.is_exhausted:
                raise
            out.refuse(name, error)
