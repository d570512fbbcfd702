"""Reading the quotes of an answer: what stands in quotation marks or block quotes, and its pages.

Quotation marks are ambiguous: quotes hold others, marks are forgotten, `"` opens and closes. So
marks are paired by what stands around them, and where that is doubtful, what is really found in
the documents decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from m1desk.documents.markers import Marker, find_markers
from m1desk.documents.matching import count_words

IsThere = Callable[[str], bool]
"""Whether a quote stands in the documents, typography aside."""

PARAGRAPH: Final = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:(?:[-*+•]|\d{1,3}[.)]|#{1,6})[ \t]|\|))")
"""Where a paragraph, an item of a list, or a row of a table ends."""

_FEWEST_WORDS: Final = 3
"""A quoted term ("the Supplier") is no citation, unless a page follows it."""
_LONGEST_QUOTE: Final = 4000
_MOST_READINGS: Final = 8
"""Places at which a quote before a page marker is thought to begin."""
_DEEPEST: Final = 16
"""Quotation marks that are kept open at a time."""

_CLOSERS: Final = {
    '"': '"”', "“": '”"', "„": '“”"', "”": '”"', "«": "»", "»": "«",
    "「": "」", "『": "』", "‘": "’", "‚": "‘’", "'": "'",
}  # fmt: skip
_CLOSING: Final = frozenset("".join(_CLOSERS.values()))
_MARK: Final = re.compile("[\"“”„«»‘’‚'「」『』]")
_SINGLE: Final = "'’‘"
_UNSURE: Final = "\"“'"
"""Marks that both open and close: to open they need a blank before them."""
_OPEN_BEFORE: Final = " \t\n([{（—–/|:>"
_GAP: Final = " \t\n.,;:*_|`—–-("
"""What may stand between a quote and its page."""
_SENTENCE_BREAK: Final = re.compile(r"[.!?]\s|。|\n[ \t]*\n")
_BLOCK: Final = re.compile(r"(?:^[ \t]*>.*(?:\n|\Z))+", re.MULTILINE)
_BLOCK_SIGN: Final = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_LATE_CLOSER: Final = re.compile('[.,]?["”“»」]')


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote in an answer.

    Attributes:
        start, end: of the quote with its marks and its page, in characters of the answer.
        marker: the pages that are named after it.
    """

    text: str
    start: int
    end: int
    marker: Marker | None


@dataclass(frozen=True, slots=True)
class _Marks:
    """Quotation marks of a stretch: outermost pairs, and all that open; with their positions."""

    pairs: list[tuple[int, int]]
    openings: list[int]
    unclosed: list[int]


def find_quotes(answer: str, is_there: IsThere) -> list[Quote]:
    """Find the quotes of an answer, in order, each with the pages that are named for it."""
    blocks = [found.span() for found in _BLOCK.finditer(answer)]
    quotes: list[Quote] = []
    position = 0
    for marker in [*find_markers(answer), None]:
        stop = marker.start if marker else len(answer)
        pieces = list(_pieces(answer, position, max(position, stop), blocks))
        for number, (start, end, is_block) in enumerate(pieces, 1):
            read = _read_block if is_block else _read_text
            named = marker if number == len(pieces) else None
            quotes += read(answer, (start, end), named, is_there)
        done = quotes[-1].end if quotes else 0
        position = max(marker.end if marker else stop, done)
        if marker and pieces and not pieces[-1][2]:
            position = _still_open(answer, pieces[-1][0], marker, done, position)
    return quotes


def _still_open(answer: str, start: int, marker: Marker, done: int, position: int) -> int:
    """Where to read on: at the quote, if the marker is part of one, as the page may have it."""
    for opening in _scan(answer, start, marker.start).unclosed[-1:]:
        if opening >= done and marker.end - opening <= _LONGEST_QUOTE:
            return opening
    return position


def pieces_between(
    text: str, border: re.Pattern[str], start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Cut a stretch of a text at each border; white space around the pieces is left out."""
    cuts = [found.span() for found in border.finditer(text, start, end)]
    firsts = [start, *(cut[1] for cut in cuts)]
    lasts = [*(cut[0] for cut in cuts), end]
    for first, last in zip(firsts, lasts, strict=True):
        begin, stop = stripped(text, first, last)
        if begin < stop:
            yield begin, stop


def stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out the white space at both ends of a stretch."""
    piece = text[start:end]
    begin = start + len(piece) - len(piece.lstrip())
    return begin, max(begin, start + len(piece.rstrip()))


def _pieces(
    answer: str, start: int, end: int, blocks: list[tuple[int, int]]
) -> Iterator[tuple[int, int, bool]]:
    """Cut a stretch into paragraphs and block quotes."""
    for first, last in blocks:
        if last <= start or first >= end:
            continue
        before = pieces_between(answer, PARAGRAPH, start, max(start, first))
        yield from ((*piece, False) for piece in before)
        if _BLOCK_SIGN.sub("", answer[max(start, first) : min(last, end)]).strip():
            yield max(start, first), min(last, end), True
        start = min(last, end)
    yield from ((*piece, False) for piece in pieces_between(answer, PARAGRAPH, start, end))


# -- running text ----------------------------------------------------------------------------------


def _read_text(
    answer: str, span: tuple[int, int], marker: Marker | None, is_there: IsThere
) -> list[Quote]:
    """Read the quotes of a paragraph, or of what stands in one before a marker."""
    start, end = span
    marks = _scan(answer, start, end)
    if marker is None:
        return _made(answer, marks.pairs, None, -1)
    last = start + len(answer[start:end].rstrip(_GAP)) - 1
    if last <= start or answer[last] not in _CLOSING:
        late = _closed_late(answer, marks, marker)
        before = [pair for pair in marks.pairs if not late or pair[1] < late.start]
        return _made(answer, before, marker, -1) + ([late] if late else [])
    pairs = _before_marker(answer, marks, last, is_there)
    return _made(answer, pairs, marker, last)


def _before_marker(
    answer: str, marks: _Marks, last: int, is_there: IsThere
) -> list[tuple[int, int]]:
    """Decide where the quote begins that ends at `last`, before its page; with all before it."""
    pairs = marks.pairs
    begins = [at for at in marks.openings if answer[last] in _CLOSERS[answer[at]]]
    for opening in begins[-_MOST_READINGS:]:
        if opening < last and is_there(answer[opening + 1 : last]):
            return [*(pair for pair in pairs if pair[1] < opening), (opening, last)]
    if begins and begins[0] < last and all(pair[1] != last for pair in pairs):
        # The marks make no sense: no quote shall vanish for that.
        return [*(pair for pair in pairs if pair[1] < begins[0]), (begins[0], last)]
    return pairs


def _closed_late(answer: str, marks: _Marks, marker: Marker) -> Quote | None:
    """Read a quote that has its page within the marks: `"... a month. [contract.pdf p.3]"`."""
    closer = _LATE_CLOSER.match(answer, marker.end)
    if closer is None or not marks.unclosed:
        return None
    opening = marks.unclosed[-1]
    if closer[0][-1] not in _CLOSERS[answer[opening]]:
        return None
    text = answer[opening + 1 : marker.start].strip()
    return Quote(text, opening, closer.end(), marker) if text else None


def _made(
    answer: str, pairs: list[tuple[int, int]], marker: Marker | None, last: int
) -> list[Quote]:
    """Make quotes of pairs of marks; those in the marker's sentence get its pages."""
    quotes: list[Quote] = []
    named, border = marker, marker.start if marker else 0
    for opening, closing in reversed(pairs):
        between = answer[closing + 1 : border]
        if named and re.search(r"\w", between) and _SENTENCE_BREAK.search(between):
            named = None
        border = opening
        text = answer[opening + 1 : closing].strip()
        is_last = closing == last and answer[closing] not in _SINGLE
        if text and (is_last or count_words(text) >= _FEWEST_WORDS):
            end = marker.end if marker and closing == last else closing + 1
            quotes.append(Quote(text, opening, end, named))
    return quotes[::-1]


# -- quotation marks -------------------------------------------------------------------------------


def _scan(answer: str, start: int, end: int) -> _Marks:
    """Pair the quotation marks of a stretch."""
    opened: list[int] = []
    openings: list[int] = []
    pairs: list[tuple[int, int]] = []
    for found in _MARK.finditer(answer, start, end):
        at = found.start()
        partner = _partner(answer, at, opened)
        if partner is not None:
            pairs.append((opened[partner], at))
            del opened[partner:]
        elif _may_open(answer, at):
            opened = [*opened[1 - _DEEPEST :], at]
            openings.append(at)
    return _Marks(_outermost(pairs), openings, opened)


def _partner(answer: str, at: int, opened: list[int]) -> int | None:
    """Find which of the open marks this one closes."""
    mark = answer[at]
    if (mark in _UNSURE and _looks_opening(answer, at)) or not _may_close(answer, at):
        return None
    for index in range(len(opened) - 1, -1, -1):
        opening = opened[index]
        if mark in _CLOSERS[answer[opening]] and at - opening <= _LONGEST_QUOTE:
            return index
    return None


def _looks_opening(answer: str, at: int) -> bool:
    before, behind = answer[at - 1 : at] if at else " ", answer[at + 1 : at + 2]
    if before in "*_":
        return behind.isalnum()
    return before in _OPEN_BEFORE and bool(behind.strip())


def _may_open(answer: str, at: int) -> bool:
    """Whether a mark opens a quote: none does behind a digit, as the sign for inches."""
    mark = answer[at]
    if mark not in _CLOSERS:
        return False
    if mark in "'‘‚”»":
        return _looks_opening(answer, at)
    return mark != '"' or not answer[at - 1 : at].isalnum()


def _may_close(answer: str, at: int) -> bool:
    """Whether a mark closes a quote: an apostrophe within a word doesn't."""
    if answer[at] not in _SINGLE:
        return True
    return not answer[at + 1 : at + 2].isalnum() and bool(answer[at - 1 : at].strip())


def _outermost(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for pair in sorted(pairs):
        if not kept or pair[0] > kept[-1][1]:
            kept.append(pair)
    return kept


# -- block quotes ----------------------------------------------------------------------------------


def _read_block(
    answer: str, span: tuple[int, int], marker: Marker | None, is_there: IsThere
) -> list[Quote]:
    """Read a block quote: all of it is a quote, unless only what it has in marks is found."""
    start, end = stripped(answer, *span)
    whole = _bare(_BLOCK_SIGN.sub("", answer[start:end]))
    if not re.search(r"\w", whole) or (marker is None and count_words(whole) < _FEWEST_WORDS):
        return []
    if not is_there(whole):
        inner = _read_text(answer, (start, end), marker, is_there)
        inner = [_without_signs(quote) for quote in inner]
        if any(is_there(quote.text) for quote in inner):
            return inner
    return [Quote(whole, start, marker.end if marker else end, marker)]


def _bare(text: str) -> str:
    """Take quotation marks, dashes and emphasis from the ends of a block quote."""
    text = " ".join(text.split()).strip(" *_—–")
    pair = len(text) > 1 and text[-1] in _CLOSERS.get(text[0], "")
    if pair and text[-1] not in text[1:-1] and text[0] not in text[1:-1]:
        text = text[1:-1]
    return text.strip()


def _without_signs(quote: Quote) -> Quote:
    text = _BLOCK_SIGN.sub("", quote.text)
    return Quote(" ".join(text.split()), quote.start, quote.end, quote.marker)
