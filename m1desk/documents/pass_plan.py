"""Documents that do not fit, spread over passes that each do: on page borders, by exact counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, takewhile
from typing import TYPE_CHECKING, Final

from m1desk.documents.budget import TokenCounter, count_prompt
from m1desk.documents.prompt import lay_out, page_marker
from m1desk.documents.set_values import PageSpan
from m1desk.errors import BadInput

if TYPE_CHECKING:
    from m1desk.documents.prompt import DocumentsText
    from m1desk.documents.values import Document, Page

_QUESTION_STEP: Final = 256
"""Room for the question is rounded up to this many tokens: questions of a usual length then make
the same passes, and what was read and kept for one serves the next."""
_LEAST_TEXT: Final = 64
"""Tokens of text that a pass must have room for to be worth reading."""
_MARGIN: Final = 16
"""Tokens kept free where a page is split: tokens join, or part, where pieces meet."""
_AT_ONCE: Final = 1 << 16
"""Characters of pages counted together. A request for each page would keep the thread that sends
them busy for seconds, and each step of the window waits while another thread holds Python."""

_BORDERS: Final = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?])[\"”»)\]]*\s+|(?<=[。！？])"),
    re.compile(r"\s+"),
)
"""Where a page may be split, the best first: paragraphs, lines, sentences, words."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A part of the documents that is read at once.

    Attributes:
        number: from 1.
        text: as it is sent.
        spans: the pages in it.
        tokens: of its prompt, all but the question.
    """

    number: int
    text: DocumentsText
    spans: tuple[PageSpan, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """A page, or a part of one, and the tokens that it takes by itself, about."""

    document: Document
    page: Page
    tokens: int
    part: int = 0
    parts: int = 0


async def plan_for_question(
    documents: Sequence[Document],
    question: str,
    counter: TokenCounter,
    *,
    context_tokens: int,
    answer_tokens: int,
) -> tuple[Pass, ...]:
    """Spread documents over passes in which a question and its answer have room too.

    Raises:
        BadInput: the context is too small for any pass.
        M1DeskError: the engine did not count.
    """
    asked = await counter.count_text(question)
    return await plan_passes(documents, pass_budget(context_tokens, answer_tokens, asked), counter)


def pass_budget(context_tokens: int, answer_tokens: int, question_tokens: int) -> int:
    """The most that a pass may have beside a question of so many tokens and its answer."""
    reserved = -(-(question_tokens + _MARGIN) // _QUESTION_STEP) * _QUESTION_STEP
    return context_tokens - answer_tokens - reserved


async def plan_passes(
    documents: Sequence[Document], budget_tokens: int, counter: TokenCounter
) -> tuple[Pass, ...]:
    """Spread documents over few passes, in their order; every page is in one of them.

    What a page takes is estimated; what a pass takes is counted, and as many pages go into it as
    fit.

    A page that is too long for a pass of its own is split between paragraphs, lines, sentences or
    words, whatever is there; each part has the page's marker, and the spans say so.

    Args:
        documents: in their order.
        budget_tokens: the most that the prompt of a pass may have without the question.
        counter: counts with the model's tokenizer.

    Raises:
        BadInput: the budget is too small for any pass.
        M1DeskError: the engine did not count.
    """
    bare = await count_prompt(counter, lay_out(()), "")
    room = budget_tokens - bare
    if room < _LEAST_TEXT + _MARGIN:
        raise BadInput(
            "The context is too small for any part of the documents.",
            f"A part has {max(0, room):,} tokens of room beside the question and the answer.",
            "Load the model with a larger context, or limit the answer to fewer tokens.",
        )
    packing = _Packing(counter, budget_tokens, bare, await _estimated(documents, counter))
    return await packing.passes()


def pages_left_out(documents: DocumentsText, spans: Sequence[PageSpan]) -> tuple[str, ...]:
    """Name the pages, by their markers, that no span covers wholly."""
    whole = {(one.document, number) for one in spans for number in range(one.first, one.last + 1)}
    parts = {(one.document, one.first, one.part) for one in spans if one.parts}
    lacking = {
        (one.document, one.first)
        for one in spans
        if any((one.document, one.first, part + 1) not in parts for part in range(one.parts))
    }
    return tuple(
        page.marker
        for page in documents.pages
        if (page.document, page.number) not in whole or (page.document, page.number) in lacking
    )


# -- pages -----------------------------------------------------------------------------------------


async def _estimated(documents: Sequence[Document], counter: TokenCounter) -> list[_Piece]:
    """Count pages of a document together, and share the tokens out by their length."""
    pieces: list[_Piece] = []
    for document in documents:
        for pages in _batches(document.pages):
            texts = [_written(document, page) for page in pages]
            tokens = await counter.count_text("".join(texts))
            whole = sum(map(len, texts))
            shares = (-(-tokens * len(text) // whole) for text in texts)
            pieces += (
                _Piece(document, page, share) for page, share in zip(pages, shares, strict=True)
            )
    return pieces


def _batches(pages: Sequence[Page]) -> Iterator[list[Page]]:
    """Divide pages into stretches of about _AT_ONCE characters."""
    batch: list[Page] = []
    size = 0
    for page in pages:
        batch.append(page)
        size += len(page.text)
        if size >= _AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _count(counter: TokenCounter, document: Document, page: Page) -> int:
    return await counter.count_text(_written(document, page))


def _written(document: Document, page: Page) -> str:
    return f"{page_marker(document.name, page.number)}\n{page.text}\n\n"


async def _split(piece: _Piece, room: int, counter: TokenCounter) -> list[_Piece]:
    """Give a page in parts that each have at most `room` tokens."""
    whole = piece.page.text.strip()
    usual = max(1, len(whole) * room // piece.tokens)
    parts: list[_Piece] = []
    rest, size = whole, usual
    while rest:
        cut = len(rest) if len(rest) <= size else _border(rest, size)
        page = replace(piece.page, text=rest[:cut])
        tokens = await _count(counter, piece.document, page)
        if tokens <= room:
            parts.append(_Piece(piece.document, page, tokens, part=len(parts) + 1))
            rest, size = rest[cut:], usual
        elif cut > 1:
            size = max(1, min(cut - 1, cut * room * 9 // (tokens * 10)))
        else:
            raise _too_small(tokens, room)
    if len(parts) == 1:  # it was white space that made it too long
        return [replace(parts[0], part=0)]
    return [replace(part, parts=len(parts)) for part in parts]


def _border(text: str, size: int) -> int:
    """Find where to split a text so that the first part has at most `size` characters."""
    for border in _BORDERS:
        ends = [found.end() for found in border.finditer(text, size // 2, size)]
        if ends:
            return ends[-1]
    return size


# -- passes ----------------------------------------------------------------------------------------


class _Packing:
    """Puts as many pieces as fit into each pass, in order; pages that fit into none are split.

    `budget` is the most that the prompt of a pass may have, and `bare` what it has without text.
    """

    def __init__(
        self, counter: TokenCounter, budget: int, bare: int, pieces: Sequence[_Piece]
    ) -> None:
        self._counter = counter
        self._budget = budget
        self._bare = bare
        self._pieces = list(pieces)

    async def passes(self) -> tuple[Pass, ...]:
        passes: list[Pass] = []
        while self._pieces:
            filled = await self._filled(len(passes) + 1)
            if filled is None:
                await self._split_first()
                continue
            passes.append(filled[0])
            del self._pieces[: filled[1]]
        return tuple(passes)

    async def _filled(self, number: int) -> tuple[Pass, int] | None:
        """Fill a pass, and say with how many pieces; None when not even the first one fits."""
        found: tuple[Pass, int] | None = None
        most, room = len(self._pieces), float(self._budget - self._bare)
        while most and (count := min(most, self._count_within(room))) > (found[1] if found else 0):
            pieces = self._pieces[:count]
            text = _text(pieces)
            tokens = await count_prompt(self._counter, text, "")
            if tokens <= self._budget:
                found = Pass(number, text, tuple(_spans(pieces)), tokens), count
            else:
                most = count - 1
            # By how much the estimates were wrong here is known now.
            estimated = sum(piece.tokens for piece in pieces)
            room = (self._budget - self._bare) * estimated / max(1, tokens - self._bare)
        return found

    def _count_within(self, room: float) -> int:
        """How many pieces fit by their estimates: one at least."""
        tokens = accumulate(piece.tokens for piece in self._pieces)
        return max(1, sum(1 for _ in takewhile(lambda sum_: sum_ <= room, tokens)))

    async def _split_first(self) -> None:
        """Put parts of the first piece, which is too long, in its place."""
        piece, room = self._pieces[0], self._budget - self._bare - _MARGIN
        tokens = await _count(self._counter, piece.document, piece.page)
        parts = await _split(replace(piece, tokens=tokens), room, self._counter)
        if piece.parts or parts[0].page.text == piece.page.text:
            raise _too_small(tokens, room)
        self._pieces[:1] = parts


def _text(pieces: Sequence[_Piece]) -> DocumentsText:
    grouped = groupby(pieces, key=lambda piece: piece.document)
    return lay_out([replace(one, pages=tuple(piece.page for piece in its)) for one, its in grouped])


def _spans(pieces: Sequence[_Piece]) -> Iterator[PageSpan]:
    """Name what pieces hold: pages of a document in a row as one span."""
    for (document, part, _), its in groupby(
        pieces, key=lambda piece: (piece.document, piece.part, piece.parts)
    ):
        row = list(its)
        first, last = row[0].page.number, row[-1].page.number
        yield PageSpan(document.name, first, last, part, row[0].parts, len(row))


def _too_small(tokens: int, room: int) -> BadInput:
    return BadInput(
        "The context is too small for any part of the documents.",
        f"The smallest part has {tokens:,} tokens, and there is room for {room:,}.",
        "Load the model with a larger context, or limit the answer to fewer tokens.",
    )
