"""The documents of a job: read once into a set, and laid out for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from m1desk.documents import CitationChecker, DocumentsText, lay_out
from m1desk.documents.prompt import page_marker
from m1desk.errors import BadInput

if TYPE_CHECKING:
    from m1desk.documents import Document, DocumentSets


@dataclass(frozen=True, slots=True)
class LaidOut:
    """Documents as a step sends them, ready to be checked against.

    Attributes:
        names: of the documents in the text.
    """

    text: DocumentsText
    names: tuple[str, ...]
    checker: CitationChecker


class JobDocuments:
    """The documents of a set, in memory while their job runs; of one thread at a time."""

    def __init__(self, sets: DocumentSets, set_id: int) -> None:
        """Load them; raises BadInput when the set is gone or holds no text, StorageError."""
        name = sets.get(set_id).name
        self.set_id = set_id
        files = sets.files(set_id)
        self._documents = {one.document.name: one.document for one in files if one.document}
        self._used = [one.document for one in files if one.included and one.document]
        self._characters = {one.name: _characters(one) for one in self._used}
        self._last: tuple[str, LaidOut] | None = None
        if not self._used:
            raise BadInput(
                f"There is no text to ask about in {name}.",
                "No file of it could be read, or all are left out.",
                "Add documents, or take some of them in again, then retry the job.",
            )

    @property
    def used(self) -> tuple[Document, ...]:
        """The documents that are asked about, in their order."""
        return tuple(self._used)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the documents that are asked about, in their order."""
        return tuple(one.name for one in self._used)

    def characters(self, name: str = "") -> int:
        """Count the characters of one document with its markers, of all without a name."""
        return self._characters.get(name, 0) if name else sum(self._characters.values())

    def laid_out(self, name: str = "") -> LaidOut:
        """Lay out one document, or all of them without a name; the last one is kept.

        Raises:
            BadInput: there is no document of that name any more.
        """
        if self._last is None or self._last[0] != name:
            documents = self._named(name) if name else self._used
            text = lay_out(documents)
            names = tuple(one.name for one in documents)
            self._last = (name, LaidOut(text, names, CitationChecker(text)))
        return self._last[1]

    def _named(self, name: str) -> list[Document]:
        document = self._documents.get(name)
        if document is None:
            raise BadInput(
                f"{name} is not among the documents any more.",
                "It was taken out of the set, or can't be read any more.",
                "Put it back, then retry the job.",
            )
        return [document]


def _characters(document: Document) -> int:
    markers = sum(len(page_marker(document.name, page.number)) + 3 for page in document.pages)
    return document.characters + markers
