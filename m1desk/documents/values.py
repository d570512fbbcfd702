"""What reading gives: documents as pages of text with provenance, and a report of each file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from m1desk.errors import BadInput, M1DeskError

PageKind = Literal["page", "sheet", "slide", "message", "section", "lines"]
"""What one `Page` is in its file.

- page: a page of a PDF, or what stands between two page breaks written in a file.
- sheet, slide, message: of a workbook, a presentation, a mailbox.
- section: a chapter of a book, or paragraphs of a file whose format has no pages.
- lines: a run of lines of a text file; `Page.label` names them.
"""

MediaKind = Literal[
    "pdf", "docx", "pptx", "xlsx", "odt", "office", "html", "epub", "rtf",
    "markdown", "text", "csv", "json", "code", "mail", "mailbox", "image",
    "archive", "folder", "binary", "unknown",
]  # fmt: skip
"""What a file is, by its content; "office" is another format of the office suites."""

Outcome = Literal["read", "partly_read", "empty", "scanned", "unreadable", "skipped"]
"""How reading a file ended.

- read: all there is to read was read.
- partly_read: some text was read, some pages were not (the report says which and why).
- empty: readable, and without any text.
- scanned: pictures of pages only, and no text recognition at hand.
- unreadable: broken, locked, vanished, or beyond a limit; `problem` says why.
- skipped: not a document (a program, a picture), or left out on purpose.
"""


class ReadingError(BadInput):
    """A file that can't be read, or not all of it.

    Attributes:
        code: "missing", "denied", "not_a_file", "empty", "encrypted", "damaged", "too_large",
            "too_slow", "too_much_memory", "crashed", "changed", "bomb", "unsafe_path",
            "too_deep", "binary", "scanned", "unsupported", "disk" or "cancelled".
    """

    def __init__(self, what: str, why: str = "", todo: str = "", *, code: str) -> None:
        super().__init__(what, why, todo)
        self.code = code


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of a document with its place in it.

    Attributes:
        number: from 1, as one cites it; unique and rising in a document, with gaps where
            pages could not be read.
        text: clean: lines of a paragraph are joined, paragraphs parted by an empty line (text
            files keep their lines); no control characters but newline and tab.
        label: the place in words where a number is not enough, such as a sheet's name, a
            chapter's title, a message's subject, or "lines 61–120"; may be empty.
    """

    number: int
    kind: PageKind
    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A file whose text was read.

    Attributes:
        name: unique within what was read together; relative to the folder that was dropped
            ("project/src/main.py"), and inside an archive or a mail after its name
            ("offers.zip/offer.pdf").
        path: of the file on disk; of the outermost container for what lies in one.
        sha256: of the file's bytes (of the member's bytes, inside a container), in hex.
        modified: of the file at `path`, seconds since the epoch.
    """

    name: str
    path: Path
    kind: MediaKind
    pages: tuple[Page, ...]
    sha256: str
    size_bytes: int
    modified: float

    @property
    def characters(self) -> int:
        """Characters of all pages."""
        return sum(len(page.text) for page in self.pages)


@dataclass(frozen=True, slots=True)
class PageProblem:
    """A page that was not read, and why, for the person."""

    number: int
    code: Literal["failed", "scanned"]
    why: str


@dataclass(frozen=True, slots=True)
class ExtractionReport:
    """What became of one file.

    Attributes:
        name: as `Document.name` would be.
        pages_total: pages the file has; None when that could not be found out.
        pages_read: with text, recognised pages (OCR) included.
        pages_empty: with nothing on them.
        pages_scanned: pictures only, unread.
        pages_failed: that could not be read, or were not reached.
        page_problems: the first of them, at most PAGE_PROBLEMS_KEPT.
        seconds: from handing the file to a reader to its answer.
        problem: why not all was read; None when all was.
        notes: what else the person should know ("The name says .pdf; it is a Word file.").
    """

    path: Path
    name: str
    kind: MediaKind
    outcome: Outcome
    pages_total: int | None = None
    pages_read: int = 0
    pages_empty: int = 0
    pages_scanned: int = 0
    pages_failed: int = 0
    page_problems: tuple[PageProblem, ...] = ()
    characters: int = 0
    seconds: float = 0.0
    problem: M1DeskError | None = None
    notes: tuple[str, ...] = ()


PAGE_PROBLEMS_KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class ReadResult:
    """One file's report, and its text when there is any."""

    document: Document | None
    report: ExtractionReport


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much one file, or all together, may take; what goes beyond is named in the report.

    Attributes:
        stall_seconds: without a further page, until a reader is ended; a second more for each
            MiB of the file.
        memory_bytes: of one reader process.
        file_bytes: of one file.
        pages, characters: of one document.
        files: of all that is read together, members of archives included.
        unpacked_bytes: of all members of archives and attachments together.
        ratio: of a member's bytes to its packed bytes, above one MiB.
        depth: of archives and mails within each other.
    """

    stall_seconds: float = 60.0
    memory_bytes: int = 2 << 30
    file_bytes: int = 512 << 20
    pages: int = 50_000
    characters: int = 64_000_000
    files: int = 20_000
    unpacked_bytes: int = 2 << 30
    ratio: float = 200.0
    depth: int = 4


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read.

    Attributes:
        readers: processes at once; None for one less than the cores, at most 4.
        ocr: recognise text on scanned pages when tesseract is on the PATH.
        ocr_languages: in tesseract's words, such as "eng+deu"; "" for English if it is there.
    """

    limits: ReadLimits = ReadLimits()
    readers: int | None = None
    ocr: bool = True
    ocr_languages: str = ""


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """How far reading is, sent at most ten times a second and at the end.

    Attributes:
        files_total: known so far; it grows while folders and archives are opened.
        current: names of the files being read now.
        pages_done: pages read of all files.
        bytes_done: of files done, and of those being read as far as their pages are.
        bytes_total: of all files known so far.
        characters: read so far.
    """

    files_done: int
    files_total: int
    current: tuple[str, ...]
    pages_done: int
    bytes_done: int
    bytes_total: int
    characters: int
