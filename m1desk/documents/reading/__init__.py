"""Reading: files and folders become documents of pages, in processes that may die of them.

The name is imported when it is first asked for: a reader process is a module of this package, and
has to start without waiting for what only its owner needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m1desk.documents.reading.reader import read_documents

__all__ = ["read_documents"]


def __getattr__(name: str) -> object:
    if name == "read_documents":
        from m1desk.documents.reading.reader import read_documents  # noqa: PLC0415 - see above

        return read_documents
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
