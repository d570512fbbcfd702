"""The prompt about documents: first the documents, always the same, then what is asked of them.

The part before the question never changes by a byte from one question to the next, so an engine
that has read it once need not read it again.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.documents.values import Document, PageKind

INSTRUCTIONS: Final = (
    "Answer from the documents above. Quote the sentence that says it, word for word, in double "
    "quotes, and name its page as it is marked above, in square brackets. If it is not there, "
    "say so."
)
"""What every model is asked for; the demo model was trained with these words."""

_GAP: Final = "\n\n"
_UNSAFE: Final = re.compile(r"[\[\]\s]+")


@dataclass(frozen=True, slots=True)
class PlacedPage:
    """Where a page stands in the prompt's text.

    Attributes:
        document: the document's name.
        number: of the page in its document.
        marker: the line above it, which the model is asked to cite.
        start, end: of its text, in characters of the prompt's text.
    """

    document: str
    number: int
    kind: PageKind
    label: str
    marker: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DocumentsText:
    """All documents as they are sent, and where each page stands in them."""

    text: str
    pages: tuple[PlacedPage, ...]

    @property
    def sha256(self) -> str:
        """Fingerprint of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def constant(self) -> str:
        """What stands before every question: the documents, then the instructions."""
        return f"{self.text}{_GAP}{INSTRUCTIONS}"

    def page_text(self, page: PlacedPage) -> str:
        """Text of one page."""
        return self.text[page.start : page.end]

    def page_at(self, position: int) -> PlacedPage | None:
        """Find the page that holds the character at `position`; None before the first one."""
        index = bisect_right(self.pages, position, key=lambda page: page.start) - 1
        return self.pages[index] if index >= 0 else None

    def page(self, document: str, number: int) -> PlacedPage | None:
        """Find a page by its document's name and its number."""
        wanted = (document, number)
        return next((one for one in self.pages if (one.document, one.number) == wanted), None)


def lay_out(documents: Sequence[Document]) -> DocumentsText:
    """Put documents one after the other, each page below its marker.

    A document may hold text that looks like a marker. It deceives no check: quotes are looked for
    in the pages as they are placed here.
    """
    parts: list[str] = []
    placed: list[PlacedPage] = []
    length = 0
    for document in documents:
        for page in document.pages:
            marker = page_marker(document.name, page.number)
            head = f"{_GAP if parts else ''}{marker}\n"
            text = page.text.strip()
            start = length + len(head)
            length = start + len(text)
            parts += (head, text)
            placed.append(
                PlacedPage(document.name, page.number, page.kind, page.label, marker, start, length)
            )
    return DocumentsText("".join(parts), tuple(placed))


def page_marker(name: str, number: int) -> str:
    """Make the line above a page, such as `[contract.pdf p.3]`."""
    return f"[{marker_name(name)} p.{number}]"


def marker_name(name: str) -> str:
    """Write a document's name as in markers: brackets and blanks can't stand there as they are."""
    return _UNSAFE.sub(" ", name).strip()


def first_message(documents: DocumentsText, question: str) -> str:
    """Make the first message of a conversation about documents."""
    return f"{documents.constant}{_GAP}{question.strip()}"
