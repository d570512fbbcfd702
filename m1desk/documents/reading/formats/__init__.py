"""One file for each format; they run in a reader process only, and are imported there when used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from m1desk.documents.reading import faults

_READERS: Final = {
    "pdf": ("pdf", "read"),
    "docx": ("docx", "read"),
    "pptx": ("pptx", "read"),
    "xlsx": ("xlsx", "read"),
    "odt": ("odf", "read"),
    "office": ("outlook", "read"),
    "html": ("html", "read"),
    "epub": ("epub", "read"),
    "markdown": ("text", "read"),
    "text": ("text", "read"),
    "csv": ("text", "read"),
    "json": ("text", "read"),
    "code": ("text", "read"),
    "mail": ("mail", "read_mail"),
    "mailbox": ("mail", "read_mailbox"),
    "image": ("ocr", "read_picture"),
    "archive": ("archive", "read"),
    "folder": ("folder", "read"),
}
"""For each kind the module and its function."""


def reader_of(kind: str) -> Callable[[Any, Any], None]:
    """The function that reads files of a kind; raises ReadingError when there is none."""
    if kind == "rtf":
        raise faults.unsupported("A rich text file (.rtf)", "Save it as .docx, and add that.")
    if kind not in _READERS:
        raise faults.binary()
    module, function = _READERS[kind]
    reader: Callable[[Any, Any], None] = getattr(import_module(f"{__name__}.{module}"), function)
    return reader
