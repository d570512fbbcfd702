"""Finds a quote of a job's answer in the documents that it was asked of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from m1desk.documents import DocumentsText, lay_out

if TYPE_CHECKING:
    from m1desk.documents import Citation, DocumentSets
    from m1desk.jobs.values import JobAnswer
    from m1desk.ui.bridge import Bridge, Submission

_CHANGED: Final = (
    "The documents were changed after this answer. The quote is shown where it stands now."
)
_GONE: Final = "The documents were changed after this answer: the quote is not in them any more."
_NO_PAGE: Final = "The answer names no page for this quote."


@dataclass(frozen=True, slots=True)
class Passage:
    """Where a quote stands.

    Attributes:
        start, end: in the text of `documents`; -1 when only the page is known.
        file, page: where to look then; "" and 0 when nothing is known.
        note: what is not as it should be, "" when all is.
    """

    documents: DocumentsText
    start: int
    end: int
    file: str = ""
    page: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Text:
    set_id: int
    names: tuple[str, ...]
    documents: DocumentsText
    sha256: str


class JobPassagesViewModel(QObject):
    """Looks one quote up at a time; the documents of the last one are kept.

    Signals:
        found: the Passage.
        failed: the exception of something that did not work.
    """

    found = Signal(object)
    failed = Signal(object)

    def __init__(self, bridge: Bridge, sets: DocumentSets, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._sets = sets
        self._last: _Text | None = None
        self._work: Submission | None = None

    def look_up(self, set_id: int, answer: JobAnswer, number: int) -> None:
        """Find a citation (from 1) of an answer about the documents of a set."""
        if not 1 <= number <= len(answer.details.citations):
            return
        if self._work is not None:
            self._work.cancel()
        citation, last = answer.details.citations[number - 1], self._last

        def on_done(done: tuple[_Text, Passage]) -> None:
            self._work = None
            self._last = done[0]
            self.found.emit(done[1])

        work = asyncio.to_thread(self._look_up, last, set_id, answer, citation)
        self._work = self._bridge.submit(work, on_done, self.failed.emit)

    def _look_up(
        self, last: _Text | None, set_id: int, answer: JobAnswer, citation: Citation
    ) -> tuple[_Text, Passage]:
        names = answer.details.documents
        text = last
        if text is None or (text.set_id, text.names) != (set_id, names):
            text = self._read(set_id, names)
        return text, passage_of(text.documents, text.sha256, answer, citation)

    def _read(self, set_id: int, names: tuple[str, ...]) -> _Text:
        """Lay out what was in the prompt, or all there is where that is not known."""
        found = {
            one.document.name: one.document for one in self._sets.files(set_id) if one.document
        }
        wanted = [found[name] for name in names if name in found] or list(found.values())
        documents = lay_out(wanted)
        return _Text(set_id, names, documents, documents.sha256)


def passage_of(
    documents: DocumentsText, sha256: str, answer: JobAnswer, citation: Citation
) -> Passage:
    """Find a citation in documents; its own position holds only where they are unchanged."""
    if sha256 == answer.text_sha256:
        note = "" if citation.text_start >= 0 or citation.file else _NO_PAGE
        return Passage(
            documents, citation.text_start, citation.text_end, citation.file, citation.page, note
        )
    start = documents.text.find(citation.quote)
    if start >= 0:
        return Passage(documents, start, start + len(citation.quote), note=_CHANGED)
    return Passage(documents, -1, -1, citation.file, citation.page, _GONE)
