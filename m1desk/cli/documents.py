"""Documents for a command: read from files or found by name, with what was not read said."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from m1desk.cli.session import say
from m1desk.documents import (
    DocumentSets,
    DocumentsText,
    ExtractionReport,
    ReadProgress,
    ReadResult,
    lay_out,
    read_documents,
)
from m1desk.errors import BadInput
from m1desk.store import Database, Folders


@dataclass(frozen=True, slots=True)
class DocumentsHere:
    """Documents that can be asked about.

    Attributes:
        set_id: of the stored set, None for files that were only read.
    """

    text: DocumentsText
    names: tuple[str, ...]
    results: tuple[ReadResult, ...]
    set_id: int | None = None

    @property
    def reports(self) -> tuple[ExtractionReport, ...]:
        """What became of each file."""
        return tuple(result.report for result in self.results)


async def read_files(paths: Sequence[Path]) -> DocumentsHere:
    """Read files and folders, and say on standard error what was not read.

    Raises:
        BadInput: there is no text in any of them.
    """
    results = await read_documents(paths, on_progress=_show_progress)
    if sys.stderr.isatty():
        say("")
    for result in results:
        _tell_report(result.report)
    return _here(results)


def find_set(name: str) -> DocumentsHere:
    """Find a stored set by its name; raises BadInput when there is none, or it has no text."""
    with Database(Folders.resolve().database) as database:
        sets = DocumentSets(database)
        found = sets.named(" ".join(name.split()))
        if found is None:
            known = ", ".join(one.name for one in sets.all()) or "none"
            raise BadInput(
                f"There are no documents named {name}.",
                f"Known: {known}.",
                "Prepare them first: m1desk prepare FILES --name NAME",
            )
        files = [one for one in sets.files(found.id) if one.included]
    results = tuple(ReadResult(one.document, one.report) for one in files)
    return replace(_here(results), set_id=found.id)


def store_set(name: str, here: DocumentsHere) -> DocumentsHere:
    """Store what was read under a name; what the set held before gives way to it."""
    with Database(Folders.resolve().database) as database:
        sets = DocumentSets(database)
        found = sets.named(" ".join(name.split()))
        set_id = found.id if found is not None else sets.create(name)
        sets.replace(set_id, here.results)
    return replace(here, set_id=set_id)


def report_json(report: ExtractionReport) -> dict[str, object]:
    """Give a report as JSON values."""
    return {
        "name": report.name,
        "outcome": report.outcome,
        "pages_read": report.pages_read,
        "pages_empty": report.pages_empty,
        "pages_scanned": report.pages_scanned,
        "pages_failed": report.pages_failed,
        "characters": report.characters,
        "problem": str(report.problem) if report.problem else None,
        "notes": list(report.notes),
    }


def _here(results: tuple[ReadResult, ...]) -> DocumentsHere:
    documents = [result.document for result in results if result.document]
    if not documents:
        raise BadInput(
            "There is no text to ask about.",
            "No file could be read.",
            "Name files that hold text.",
        )
    return DocumentsHere(lay_out(documents), tuple(one.name for one in documents), results)


def _show_progress(progress: ReadProgress) -> None:
    if sys.stderr.isatty():
        files = f"{progress.files_done} of {progress.files_total} files"
        say(f"\rReading {files}, {progress.pages_done:,} pages", end="")


def _tell_report(report: ExtractionReport) -> None:
    """Say what became of a file: a line, and more where not all of it was read."""
    pages = f"{report.pages_read} pages" if report.pages_read != 1 else "1 page"
    say(f"  {report.name}: {report.outcome.replace('_', ' ')}, {pages}")
    if report.problem is not None:
        say(f"    {report.problem}")
    for note in report.notes:
        say(f"    {note}")
