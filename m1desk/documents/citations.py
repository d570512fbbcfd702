"""Checks an answer: every quote is looked for in the pages, every statement without one is named.

The model's own word for where a quote stands is a hint only. What counts is where it is found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from m1desk.documents.answers import CheckedAnswer, Citation, UnquotedClaim
from m1desk.documents.matching import Match, SearchableText, normalised
from m1desk.documents.prompt import DocumentsText, PlacedPage, marker_name

_MARKER: Final = re.compile(
    r"[\[(](?P<name>[^\[\]\n]{1,300}?),?\s+(?:pp?\.|pages?)\s*(?P<page>\d{1,7})"
    r"(?:\s*[-–—]\s*\d{1,7})?[\])]",
    re.IGNORECASE,
)
"""A page as models cite it: `[contract.pdf p.3]`, also `(contract.pdf, page 3)`."""

_OPENING: Final = {'"': '"', "“": "”", "„": "“”", "«": "»", "»": "«"}
_LONGEST_QUOTE: Final = 4000
_MOST_INNER_MARKS: Final = 16
"""Quotation marks within a quote that are looked at to find its end."""
_FEWEST_WORDS: Final = 3
"""A quoted term ("the Supplier") is no citation, unless a page follows it."""

_BLOCK: Final = re.compile(r"^[ \t]*>[ \t]?(?P<line>.*)$", re.MULTILINE)
_PARAGRAPH: Final = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+•]|\d{1,3}[.)]|#{1,6}|\|)[ \t])")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?:])[\"”»)\]*_]*\s+(?=[^\s\[(])")
_WORD: Final = re.compile(r"\w{3,}")
_BETWEEN: Final = re.compile(r"[\s.,;:*_—–(-]*")
_ELLIPSIS: Final = re.compile(r"\s*(?:\[\s*(?:\.{3}|…)\s*\]|\(\s*(?:\.{3}|…)\s*\)|\.{3}|…)\s*")
_ELLIPSIS_REACH: Final = 4000
_CANDIDATE_PAGES: Final = 12
"""Pages searched for something like a quote, those first that share most words with it."""


@dataclass(frozen=True, slots=True)
class _Quote:
    """A quote in the answer, and the page that is named after it."""

    text: str
    start: int
    end: int
    cited: tuple[str, int] | None


class CitationChecker:
    """Checks answers against one set of documents; made once, since it reads all the text."""

    def __init__(self, documents: DocumentsText) -> None:
        self._documents = documents
        self._searchable = SearchableText(documents.text)
        self._by_marker = {
            (marker_name(page.document).lower(), page.number): page for page in documents.pages
        }
        self._words: dict[str, list[int]] | None = None

    def check(self, answer: str) -> CheckedAnswer:
        """Look for every quote of an answer."""
        quotes = list(_quotes(answer))
        citations = tuple(self._locate(quote) for quote in quotes)
        return CheckedAnswer(answer, citations, tuple(_unquoted(answer, citations)))

    def _locate(self, quote: _Quote) -> Citation:
        cited = self._cited_page(quote)
        match = self._find(quote.text, cited)
        if match is None:
            file, page = (cited.document, cited.number) if cited else (quote.cited or ("", 0))
            status, found = "not_found", None
        else:
            found = self._documents.page_at(match.start)
            status = "approximate" if match.how == "fuzzy" else "verified"
            file, page = (found.document, found.number) if found else ("", 0)
        named = (cited.document, cited.number) if cited else (quote.cited or ("", 0))
        return Citation(
            quote=quote.text,
            start=quote.start,
            end=quote.end,
            status=status,  # type: ignore[arg-type]  # one of the three words above
            score=match.score if match else 0.0,
            file=file,
            page=page,
            cited_file=named[0],
            cited_page=named[1],
            text_start=match.start if match else -1,
            text_end=match.end if match else -1,
        )

    def _cited_page(self, quote: _Quote) -> PlacedPage | None:
        if quote.cited is None:
            return None
        name, number = quote.cited
        wanted = marker_name(name).lower()
        exact = self._by_marker.get((wanted, number))
        if exact is not None:
            return exact
        # Models shorten names: "contract.pdf" for "offers/contract.pdf".
        same = [
            page
            for (known, page_number), page in self._by_marker.items()
            if page_number == number and known.rpartition("/")[2] == wanted.rpartition("/")[2]
        ]
        return same[0] if len(same) == 1 else None

    # -- searching -------------------------------------------------------------------------------

    def _find(self, quote: str, cited: PlacedPage | None) -> Match | None:
        places = [(cited.start, cited.end)] if cited else []
        for start, end in (*places, (0, len(self._documents.text))):
            match = self._searchable.find(quote, start, end) or self._find_parts(quote, start, end)
            if match is not None and self._documents.page_at(match.start) is not None:
                return match
        best: Match | None = None
        for start, end in (*places, *self._likely_places(quote)):
            match = self._searchable.find_like(quote, start, end)
            if match is not None and (best is None or match.score > best.score):
                best = match
        return best

    def _find_parts(self, quote: str, start: int, end: int) -> Match | None:
        """Find a quote that leaves something out: its parts one after the other, not far apart."""
        parts = [part for part in _ELLIPSIS.split(quote) if part.strip()]
        if len(parts) < 2 or len(max(parts, key=len)) < 8:
            return None
        first = last = None
        for part in parts:
            reach = end if last is None else min(end, last.end + _ELLIPSIS_REACH)
            last = self._searchable.find(part, last.end if last else start, reach)
            if last is None:
                return None
            first = first or last
        return Match(first.start, last.end, "normalised") if first and last else None

    def _likely_places(self, quote: str) -> list[tuple[int, int]]:
        index = self._word_index()
        pages = self._documents.pages
        shared: Counter[int] = Counter()
        for word in set(_WORD.findall(normalised(quote))):
            holders = index.get(word, ())
            # A word on few pages says more about where the quote is from than one on many.
            for page in holders:
                shared[page] += 1_000_000 // (1 + len(holders))
        likely = [page for page, _ in shared.most_common(_CANDIDATE_PAGES)]
        return [(pages[page].start, pages[page].end) for page in likely]

    def _word_index(self) -> dict[str, list[int]]:
        """Map each word to the pages that have it; made when the first quote needs it."""
        if self._words is None:
            self._words = {}
            for number, page in enumerate(self._documents.pages):
                text = normalised(self._documents.page_text(page))
                for word in set(_WORD.findall(text)):
                    self._words.setdefault(word, []).append(number)
        return self._words


# -- reading an answer -----------------------------------------------------------------------------


def _quotes(answer: str) -> Iterator[_Quote]:
    """Find the quotes of an answer, in order, each with the page named behind it."""
    position = 0
    spans = sorted([*_quoted_spans(answer), *_block_quotes(answer)], key=lambda span: span[0])
    for start, end, text in spans:
        if start < position:
            continue
        gap = _BETWEEN.match(answer, end)
        marker = _MARKER.match(answer, gap.end() if gap else end)
        marker = marker or _MARKER.match(answer, max(end, (gap.end() if gap else end) - 1))
        if marker is None and len(text.split()) < _FEWEST_WORDS:
            continue
        cited = (marker["name"].strip(), int(marker["page"])) if marker else None
        position = marker.end() if marker else end
        yield _Quote(text.strip(), start, position, cited)


def _quoted_spans(answer: str) -> Iterator[tuple[int, int, str]]:
    """Find what stands in quotation marks: start, end and inner text."""
    position = 0
    while position < len(answer):
        closing = _OPENING.get(answer[position])
        if closing is None or _is_inside_word(answer, position):
            position += 1
            continue
        end = _closing(answer, position, closing)
        if end < 0:
            position += 1
            continue
        yield position, end + 1, answer[position + 1 : end]
        position = end + 1


def _closing(answer: str, opening: int, closing: str) -> int:
    """Find where a quotation ends: before a page marker if one comes in the paragraph, else soon.

    A quoted sentence may hold quotation marks of its own; the marker tells which one is the last.
    """
    stop = answer.find("\n\n", opening)
    stop = min(stop if stop >= 0 else len(answer), opening + _LONGEST_QUOTE)
    marks = (at for at in range(opening + 1, stop) if answer[at] in closing)
    first = -1
    for at in islice(marks, _MOST_INNER_MARKS):
        first = at if first < 0 else first
        gap = _BETWEEN.match(answer, at + 1)
        after = gap.end() if gap else at + 1
        if _MARKER.match(answer, after) or _MARKER.match(answer, max(at + 1, after - 1)):
            inner = answer[opening + 1 : at]
            if not _MARKER.search(inner):
                return at
            break
    return first


def _is_inside_word(answer: str, position: int) -> bool:
    """Whether a straight mark follows a digit or a letter, as the sign for inches does."""
    before = answer[position - 1] if position else " "
    return before.isalnum() and answer[position] == '"'


def _block_quotes(answer: str) -> Iterator[tuple[int, int, str]]:
    """Find Markdown's block quotes: runs of lines that begin with `>`."""
    run: list[re.Match[str]] = []
    for line in [*_BLOCK.finditer(answer), None]:
        if run and (line is None or line.start() != run[-1].end() + 1):
            text = " ".join(one["line"].strip() for one in run)
            inner = _MARKER.split(text)[0].strip(' "“”„«»*_—–-')
            first = run[0].start()
            end = run[-1].end()
            marker = _MARKER.search(answer, first, end)
            if inner and '"' not in inner and "“" not in inner:
                yield first, (marker.start() if marker else end), inner
            run = []
        if line is not None:
            run.append(line)


def _unquoted(answer: str, citations: tuple[Citation, ...]) -> Iterator[UnquotedClaim]:
    """Find the statements that no quote follows within their paragraph."""
    for start, end in _pieces(answer, _PARAGRAPH, 0, len(answer)):
        last = max((one.end for one in citations if start <= one.start < end), default=start)
        for first, stop in _pieces(answer, _SENTENCE_END, last, end):
            if len(_WORD.findall(answer, first, stop)) >= _FEWEST_WORDS and not _is_heading(
                answer, first
            ):
                yield UnquotedClaim(first, stop)


def _is_heading(answer: str, start: int) -> bool:
    return answer.startswith("#", start)


def _pieces(text: str, border: re.Pattern[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a stretch of a text at each border; white space around the pieces is left out."""
    cuts = [(found.start(), found.end()) for found in border.finditer(text, start, end)]
    firsts = [start, *(cut[1] for cut in cuts)]
    lasts = [*(cut[0] for cut in cuts), end]
    for first, last in zip(firsts, lasts, strict=True):
        piece = text[first:last]
        bare = piece.strip()
        if bare:
            begin = first + piece.index(bare)
            yield begin, begin + len(bare)
