"""Sets of documents as values: what is in them, and what was asked about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from m1desk.documents.answers import CheckedAnswer

if TYPE_CHECKING:
    from m1desk.documents.answers import Citation, ReadReceipt, UnquotedClaim
    from m1desk.documents.values import Document, ExtractionReport

QuestionState = Literal["streaming", "complete", "stopped", "interrupted", "failed"]
"""interrupted: the engine or the app ended in the middle; failed: there is no answer at all."""


@dataclass(frozen=True, slots=True)
class DocumentSet:
    """A set of documents in the list.

    Attributes:
        created, updated: seconds since the epoch.
        files, pages, characters: of all its files, left out ones included.
    """

    id: int
    name: str
    created: float
    updated: float
    files: int
    pages: int
    characters: int


@dataclass(frozen=True, slots=True)
class SetFile:
    """A file of a set.

    Attributes:
        included: whether it goes into the prompt.
        document: None when nothing of it could be read; the report says why.
    """

    id: int
    included: bool
    document: Document | None
    report: ExtractionReport

    @property
    def is_used(self) -> bool:
        """Whether its text is in the prompt."""
        return self.included and self.document is not None


PassesOutcome = Literal["", "combined", "single", "absent", "listed"]
"""How the answers of several passes became one.

- combined: the model made one of them.
- single: only one pass found something; its answer is the answer.
- absent: no pass found anything.
- listed: they are too long to be combined in this context, and stand one after the other.
- "": it was no question in passes, or it did not come to its end.
"""


@dataclass(frozen=True, slots=True)
class PageSpan:
    """Pages of one document in a row; or one part of a page that is too long for a pass.

    Attributes:
        first, last: numbers of pages, as they are cited.
        part, parts: which part of page `first`, from 1, of how many; 0, 0 for whole pages.
        pages: how many there are; fewer than the numbers between where some could not be read.
    """

    document: str
    first: int
    last: int
    part: int = 0
    parts: int = 0
    pages: int = 1

    @property
    def words(self) -> str:
        """The span as a person reads it: "contract.pdf p.1–20"."""
        pages = f"{self.first}" if self.first == self.last else f"{self.first}–{self.last}"
        part = f" (part {self.part} of {self.parts})" if self.parts else ""
        return f"{self.document} p.{pages}{part}"


@dataclass(frozen=True, slots=True)
class AnswerDetails:
    """What is known of an answer beside its text.

    Attributes:
        documents: names of those that were in the prompt.
        predicted_seconds: to the first token, as [low, high], None when nothing was predicted.
        predicted_total_seconds: to the end of the answer, likewise.
        assumed_tokens: the length of the answer that this prediction rests on.
        first_token_seconds: the real time, None when none came.
        seconds: to the end of the answer.
        finish_reason: "stop", "length" (the answer was cut at a limit), or what the engine said.
        prepared_note: why the saved state of the documents was not used, "" when it was.
        passes: of a question in passes, what each brought and how they were combined, in the order
            in which it was done; the receipt, the times and the tokens are their sums.
        planned_passes: over how many passes the documents were spread; 0 when they were read whole.
        outcome: how the passes became one answer.
    """

    citations: tuple[Citation, ...] = ()
    unquoted: tuple[UnquotedClaim, ...] = ()
    receipt: ReadReceipt | None = None
    documents: tuple[str, ...] = ()
    predicted_seconds: tuple[float, float] | None = None
    first_token_seconds: float | None = None
    seconds: float | None = None
    written_tokens: int = 0
    prefill_tokens_per_second: float | None = None
    decode_tokens_per_second: float | None = None
    finish_reason: str = "stop"
    prepared_note: str = ""
    predicted_total_seconds: tuple[float, float] | None = None
    assumed_tokens: int = 0
    passes: tuple[PassAnswer, ...] = ()
    planned_passes: int = 0
    outcome: PassesOutcome = ""

    @property
    def disagreeing(self) -> ReadReceipt | None:
        """A receipt by which the engine took in something else than was sent; None for none.

        Those of the passes are looked at one by one: in their sum, faults can make up for others.
        """
        receipts = [*(one.details.receipt for one in self.passes), self.receipt]
        return next((one for one in receipts if one is not None and not one.agrees), None)

    @property
    def was_cut(self) -> bool:
        """Whether the answer ended because there was no more room for it."""
        return self.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class PassAnswer:
    """What a question brought from one pass over the documents, or from earlier answers.

    Attributes:
        number: from 1, in the order of the work: first the passes, then what combines them.
        spans: the pages it rests on.
        text_sha256: fingerprint of what was sent before the question; an answer holds good for a
            later try of the same question as long as this is the same.
        combines: numbers of the answers that it was made of; empty for a pass over documents.
        is_absent: whether it only says that the documents don't say it.
        details: quotes checked against all the documents, receipt, times.
    """

    number: int
    spans: tuple[PageSpan, ...]
    text_sha256: str
    answer: str
    reasoning: str
    details: AnswerDetails
    combines: tuple[int, ...] = ()
    is_absent: bool = False

    @property
    def checked(self) -> CheckedAnswer:
        """The answer with its citations."""
        return CheckedAnswer(self.answer, self.details.citations, self.details.unquoted)


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question about a set, and its answer as far as there is one.

    Attributes:
        asked: seconds since the epoch.
        error: what went wrong, in lines; "" when nothing did.
        text_sha256: fingerprint of the documents' text as it was sent; the citations' positions
            hold for that text only.
    """

    id: int
    set_id: int
    asked: float
    question: str
    answer: str
    reasoning: str
    state: QuestionState
    error: str
    model: str
    text_sha256: str
    details: AnswerDetails

    @property
    def checked(self) -> CheckedAnswer:
        """The answer with its citations."""
        return CheckedAnswer(self.answer, self.details.citations, self.details.unquoted)

    @property
    def can_go_on(self) -> bool:
        """Whether it was cut off between passes whose answers are kept."""
        return self.state not in {"streaming", "complete"} and bool(self.details.passes)
