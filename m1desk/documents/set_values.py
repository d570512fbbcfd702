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


@dataclass(frozen=True, slots=True)
class AnswerDetails:
    """What is known of an answer beside its text.

    Attributes:
        documents: names of those that were in the prompt.
        predicted_seconds: to the first token, as [low, high], None when nothing was predicted.
        first_token_seconds: the real time, None when none came.
        seconds: to the end of the answer.
        finish_reason: "stop", "length" (the answer was cut at a limit), or what the engine said.
        prepared_note: why the saved state of the documents was not used, "" when it was.
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

    @property
    def was_cut(self) -> bool:
        """Whether the answer ended because there was no more room for it."""
        return self.finish_reason == "length"


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
