"""What a reader says about one file, gathered into a document and a report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from m1desk.documents.reading import faults
from m1desk.documents.reading.sniffing import kind_by_name
from m1desk.documents.values import (
    PAGE_PROBLEMS_KEPT,
    Document,
    ExtractionReport,
    MediaKind,
    Outcome,
    Page,
    PageKind,
    PageProblem,
    ReadingError,
    ReadResult,
)

_NOTES_KEPT: Final = 50
_CONTAINERS: Final = frozenset({"archive", "folder"})
_PAGE_KINDS: Final = frozenset(get_args(PageKind))
_KINDS: Final = frozenset(get_args(MediaKind))


class Gathering:
    """One file while it is read.

    Args:
        path: the file on disk that the person knows.
        modified: its time (seconds since the epoch) when another file is read in its stead, a
            member's temporary one; None for the time of the file that is read.

    Attributes:
        kind: of the file; by its name until its content was looked at.
        characters: read so far.
    """

    def __init__(self, path: Path, name: str, modified: float | None = None) -> None:
        self._path = path
        self._name = name
        self._started = time.monotonic()
        self._pages: list[Page] = []
        self._total: int | None = None
        self._empty = 0
        self._missed = {"failed": 0, "scanned": 0}
        self._problems: list[PageProblem] = []
        self._notes: list[str] = []
        self._members = 0
        self._error: ReadingError | None = None
        self._sha256 = ""
        self._size = 0
        self._given_modified = modified
        self._modified = 0.0
        self.kind: MediaKind = kind_by_name(name)
        self.characters = 0

    @property
    def is_container(self) -> bool:
        """Whether it holds files and no text of its own."""
        return self.kind in _CONTAINERS

    @property
    def pages_read(self) -> int:
        """Pages with text so far."""
        return len(self._pages)

    @property
    def share(self) -> float:
        """How much of its pages was gone through, from 0 to 1; 0 while their number is unknown."""
        return min(1.0, self._seen() / self._total) if self._total else 0.0

    def take(self, message: Mapping[str, Any]) -> None:
        """Take note of a message; raises KeyError, TypeError or ValueError when it is nonsense."""
        match message["is"]:
            case "kind":
                self.kind = message["kind"] if message["kind"] in _KINDS else "unknown"
            case "total":
                self._total = max(0, int(message["pages"]))
            case "page":
                self._take_page(message)
            case "empty":
                self._empty += 1
            case "missed":
                self._miss(message)
            case "note":
                self.note(str(message["text"]))
            case "member" | "refused":
                self._members += 1
            case "end":
                self._end(message)

    def note(self, text: str) -> None:
        """Add a note, once."""
        if len(self._notes) < _NOTES_KEPT and text not in self._notes:
            self._notes.append(text)

    def fail(self, error: ReadingError) -> None:
        """The reader did not come to an end."""
        self._error = error

    def result(self) -> ReadResult:
        """The file's document, if it has text, and its report."""
        failed = self._missed["failed"] + self._unreached()
        if self.is_container:
            self.note(f"Files inside: {self._members}.")
        report = ExtractionReport(
            path=self._path,
            name=self._name,
            kind=self.kind,
            outcome=self._outcome(failed),
            pages_total=self._pages_total(),
            pages_read=len(self._pages),
            pages_empty=self._empty,
            pages_scanned=self._missed["scanned"],
            pages_failed=failed,
            page_problems=tuple(self._problems),
            characters=self.characters,
            seconds=time.monotonic() - self._started,
            problem=self._error or self._page_problem(failed),
            notes=tuple(self._notes),
        )
        return ReadResult(self._document(), report)

    def _document(self) -> Document | None:
        if not self._pages:
            return None
        pages = tuple(self._pages)
        return Document(
            self._name, self._path, self.kind, pages, self._sha256, self._size, self._modified
        )

    def _take_page(self, message: Mapping[str, Any]) -> None:
        number, kind, text = int(message["number"]), message["kind"], str(message["text"])
        if kind not in _PAGE_KINDS or (self._pages and number <= self._pages[-1].number):
            raise ValueError(f"page {number} of kind {kind!r}")
        self._pages.append(Page(number, kind, text, str(message["label"])))
        self.characters += len(text)

    def _miss(self, message: Mapping[str, Any]) -> None:
        number, code, why = int(message["number"]), message["code"], str(message["why"])
        self._missed[code] += 1
        if len(self._problems) < PAGE_PROBLEMS_KEPT:
            self._problems.append(PageProblem(number, code, why))

    def _end(self, message: Mapping[str, Any]) -> None:
        self._sha256 = str(message.get("sha256", ""))
        self._size = int(message.get("size", 0))
        stated = float(message.get("modified", 0.0))
        self._modified = stated if self._given_modified is None else self._given_modified
        if error := message["error"]:
            words = (str(error["what"]), str(error["why"]), str(error["todo"]))
            self._error = ReadingError(*words, code=str(error["code"]))

    def _seen(self) -> int:
        return len(self._pages) + self._empty + sum(self._missed.values())

    def _pages_total(self) -> int | None:
        if self._total is not None or self._error is not None or self.is_container:
            return self._total
        return self._seen()

    def _unreached(self) -> int:
        """Pages that were known to be there when reading ended early."""
        return max(0, (self._total or 0) - self._seen()) if self._error else 0

    def _outcome(self, failed: int) -> Outcome:
        if self._error is not None:
            return self._outcome_of_error(self._error)
        if self._pages:
            return "partly_read" if failed or self._missed["scanned"] else "read"
        if self._missed["scanned"]:
            return "scanned"
        if failed:
            return "unreadable"
        return "read" if self.is_container and self._members else "empty"

    def _outcome_of_error(self, error: ReadingError) -> Outcome:
        if self._pages or (self.is_container and self._members):
            return "partly_read"
        return {"empty": "empty", "binary": "skipped"}.get(error.code, "unreadable")  # type: ignore[return-value]

    def _page_problem(self, failed: int) -> ReadingError | None:
        """Why pages are missing, when reading itself came to its end."""
        if failed:
            why = self._problems[0].why if self._problems else ""
            return faults.damaged(f"{failed} of {self._seen()} pages could not be read: {why}.")
        if scanned := self._missed["scanned"]:
            why = self._problems[0].why.capitalize() if self._problems else ""
            return faults.scanned(f"{scanned} of {self._seen()} pages are", why)
        return None
