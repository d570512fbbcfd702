"""Reading: files and folders become documents of pages, in processes that may die of them.

The names are imported when they are first asked for: a reader process is a module of this package,
and has to start without waiting for what only its owner needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.documents.reading.reader import read_documents
    from m1desk.documents.reading.work_folder import sweep_work_folders

__all__ = ["read_documents", "sweep_work_folders"]

_HOMES: Final = {"read_documents": "reader", "sweep_work_folders": "work_folder"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
