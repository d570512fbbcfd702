"""Words for what became of files, their kinds and their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.documents import ExtractionReport
    from m1desk.documents.values import MediaKind, Outcome

OUTCOMES: Final[dict[Outcome, tuple[str, str, str]]] = {
    "read": ("Read", "check", "success"),
    "partly_read": ("Partly read", "alert", "warning"),
    "empty": ("Empty", "info", "text_faint"),
    "scanned": ("Scanned, unread", "alert", "warning"),
    "unreadable": ("Not readable", "close", "danger"),
    "skipped": ("Skipped", "info", "text_faint"),
}
"""A word, an icon, and the name of a colour of the palette for each outcome."""

KINDS: Final[dict[MediaKind, str]] = {
    "pdf": "PDF", "docx": "Word", "pptx": "PowerPoint", "xlsx": "Excel", "odt": "OpenDocument",
    "office": "Office", "html": "HTML", "epub": "EPUB", "rtf": "RTF", "markdown": "Markdown",
    "text": "Text", "csv": "Table", "json": "JSON", "code": "Source code", "mail": "Mail",
    "mailbox": "Mailbox", "image": "Picture", "archive": "Archive", "folder": "Folder",
    "binary": "Binary", "unknown": "Unknown",
}  # fmt: skip


def count_text(count: int, one: str, many: str = "") -> str:
    """Write a number of things: "1 page", "1,204 pages", "2 passes"."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {many or f'{one}s'}"


def pages_text(report: ExtractionReport) -> str:
    """Write how many pages were read, and of how many where some were not."""
    total = report.pages_total
    if total is None or total == report.pages_read:
        return f"{report.pages_read:,}" if report.pages_read or total is not None else "–"
    return f"{report.pages_read:,} of {total:,}"


def report_lines(report: ExtractionReport) -> list[str]:
    """Write what became of a file's pages, a line for each kind of outcome."""
    parts = (
        (report.pages_read, "read"),
        (report.pages_empty, "empty"),
        (report.pages_scanned, "scanned, not read"),
        (report.pages_failed, "failed"),
    )
    pages = [f"{count:,} {word}" for count, word in parts if count]
    lines = ["Pages: " + ", ".join(pages)] if pages else []
    if report.characters:
        lines.append(f"{report.characters:,} characters, read in {report.seconds:.1f} s")
    return lines
