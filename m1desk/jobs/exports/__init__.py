"""Results as files: Markdown, HTML, Word, CSV, Excel and JSON."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final

from m1desk.errors import BadInput, StorageError
from m1desk.jobs.whole_files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.jobs.values import JobResults

__all__ = ["FORMATS", "export_results"]

FORMATS: Final = {
    ".md": "Markdown",
    ".html": "HTML",
    ".docx": "Word",
    ".csv": "CSV",
    ".xlsx": "Excel",
    ".json": "JSON",
}
"""The endings that a file of results can have, and what they are called."""

_WRITERS: Final = {
    ".md": ("report", "as_markdown"),
    ".html": ("report", "as_html"),
    ".docx": ("docx", "as_docx"),
    ".csv": ("csv_file", "as_csv"),
    ".xlsx": ("xlsx", "as_xlsx"),
    ".json": ("json_file", "as_json"),
}
"""Modules and functions; a module is imported when its format is asked for."""


def export_results(results: JobResults, path: Path) -> None:
    """Write results to a file, whole or not at all; its ending says the format.

    Raises:
        BadInput: no such format, no such folder, or more rows than a workbook can have.
        StorageError: the file can't be written; what was there before is as it was.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        known = ", ".join(FORMATS)
        raise BadInput(
            f'Results can\'t be written as "{path.name}".',
            f"Its ending says no format that there is: {known}.",
            "Give the file one of these endings.",
        )
    module, name = _WRITERS[suffix]
    write: Callable[[JobResults], bytes] = getattr(import_module(f"{__name__}.{module}"), name)
    try:
        data = write(results)
    except OSError as error:  # a workbook is made in the folder for temporary files
        raise StorageError(
            f"The results can't be written as {FORMATS[suffix]}.",
            f"The system says: {error.strerror or error}.",
            "Make room on the disk.",
        ) from error
    write_whole(path, data)
