"""What is known of an answer about documents: its quotes, its claims, and what was read for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CitationStatus = Literal["verified", "approximate", "not_found"]
"""verified: the quote stands there, typography aside; approximate: something very like it does."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote in an answer, looked for in the documents.

    Attributes:
        quote: as the model wrote it.
        start, end: of the quote and its page marker, in characters of the answer.
        status: whether it was found.
        score: likeness of what was found, 1.0 for a verified quote, 0.0 when nothing was.
        file, page: where it was found; where the model says it is when it was not found, and
            "", 0 when it doesn't say.
        cited_file, cited_page: where the model says it is; "" and 0 when it doesn't say.
        text_start, text_end: of what was found, in characters of the documents' text; -1, -1
            when nothing was.
        passage: the sentences of the page in which it was found; "" when nothing was, and when the
            quote has them whole, word for word.
    """

    quote: str
    start: int
    end: int
    status: CitationStatus
    score: float
    file: str
    page: int
    cited_file: str = ""
    cited_page: int = 0
    text_start: int = -1
    text_end: int = -1
    passage: str = ""

    @property
    def is_misplaced(self) -> bool:
        """Whether it was found, but on another page than the model says."""
        cited, found = (self.cited_file, self.cited_page), (self.file, self.page)
        return self.status != "not_found" and bool(self.cited_page) and cited != found


@dataclass(frozen=True, slots=True)
class UnquotedClaim:
    """A statement of an answer that no quote follows, in characters of the answer."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer after the check: its text, its citations in order, and its bare claims."""

    text: str
    citations: tuple[Citation, ...]
    unquoted: tuple[UnquotedClaim, ...]

    def count(self, status: CitationStatus) -> int:
        """How many citations have this status."""
        return sum(one.status == status for one in self.citations)


@dataclass(frozen=True, slots=True)
class ReadReceipt:
    """What the engine says it took in for an answer, against what should have been (tokens).

    Attributes:
        expected_tokens: of the whole prompt, counted before it was sent.
        read_tokens: read anew by the engine's own count.
        reused_tokens: taken from what it had read before, by its own count.
        is_estimated: `expected_tokens` was not counted by the model that answered: it shows about
            how much was sent, and proves nothing.
    """

    expected_tokens: int
    read_tokens: int
    reused_tokens: int
    is_estimated: bool = False

    @property
    def taken_tokens(self) -> int:
        """All that the engine had before it when it wrote."""
        return self.read_tokens + self.reused_tokens

    @property
    def agrees(self) -> bool:
        """Whether the engine took in just what was sent, as far as that can be told."""
        return self.is_estimated or self.taken_tokens == self.expected_tokens
