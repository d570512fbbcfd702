"""Checks an answer: every quote is looked for in the pages, every statement without one is named.

The model's own word for where a quote stands is a hint only. What counts is where it is found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from m1desk.documents.answers import CheckedAnswer, Citation, CitationStatus
from m1desk.documents.claims import find_unquoted
from m1desk.documents.markers import Marker
from m1desk.documents.matching import How, Match, SearchableText, normalised
from m1desk.documents.passages import says_the_same, whole_sentences
from m1desk.documents.prompt import DocumentsText, PlacedPage, marker_name
from m1desk.documents.quotes import Quote, find_quotes

_WORD: Final = re.compile(r"\w{3,}")
_CANDIDATE_PAGES: Final = 12
"""Pages searched for something like a quote, those first that share most words with it."""
_MOST_COMPARED: Final = 200
"""Quotes of one answer that are searched for nearly, which takes milliseconds each."""
_STATUS: Final[dict[How, CitationStatus]] = {
    "whole": "verified",
    "parts": "approximate",
    "fuzzy": "approximate",
}


class CitationChecker:
    """Checks answers against one set of documents; made once, since it reads all the text."""

    def __init__(self, documents: DocumentsText) -> None:
        self._documents = documents
        grouped = groupby(documents.pages, key=lambda page: page.document)
        spans = [[(page.start, page.end) for page in pages] for _, pages in grouped]
        self._searchable = SearchableText(documents.text, spans)
        self._by_name: dict[str, list[PlacedPage]] = {}
        for page in documents.pages:
            self._by_name.setdefault(page.document, []).append(page)
        self._by_marker = {
            f"{marker_name(page.document)} p.{page.number}".lower(): page
            for page in documents.pages
        }
        self._words: dict[str, list[int]] | None = None

    def check(self, answer: str) -> CheckedAnswer:
        """Look for every quote of an answer."""
        citations: list[Citation] = []
        compared = 0
        for quote in find_quotes(answer, self._is_there):
            cited = list(self._cited_pages(quote.marker))
            match = self._find(quote.text, cited)
            if match is None and compared < _MOST_COMPARED:
                compared += 1
                match = self._find_like(quote.text, cited)
            citations.append(self._citation(quote, cited, match))
        return CheckedAnswer(answer, tuple(citations), find_unquoted(answer, citations))

    def _citation(self, quote: Quote, cited: list[PlacedPage], match: Match | None) -> Citation:
        found = self._documents.page_at(match.start) if match else None
        said = self._said(quote.marker, cited, found)
        file, page = (found.document, found.number) if found else said
        return Citation(
            quote=quote.text,
            start=quote.start,
            end=quote.end,
            status=_STATUS[match.how] if match else "not_found",
            score=match.score if match else 0.0,
            file=file,
            page=page,
            cited_file=said[0],
            cited_page=said[1],
            text_start=match.start if match else -1,
            text_end=match.end if match else -1,
            passage=self._passage(quote.text, match, found) if match and found else "",
        )

    def _passage(self, quote: str, match: Match, page: PlacedPage) -> str:
        """What the page says there; "" where the quote says it all, or goes on over the page."""
        if match.end > page.end:
            return ""
        text, place = self._documents.text, (page.start, page.end)
        passage = whole_sentences(text, match.start, match.end, place)
        return "" if says_the_same(passage, quote) else passage

    # -- pages that the answer names -------------------------------------------------------------

    def _said(
        self, marker: Marker | None, cited: list[PlacedPage], found: PlacedPage | None
    ) -> tuple[str, int]:
        """Where the answer says a quote is: of several pages the right one, else the first."""
        if marker is None:
            return "", 0
        if found is not None and found in cited:
            return found.document, found.number
        first = marker.references[0]
        pages = [page for page in cited if page.number == first.first]
        return (pages[0].document, first.first) if len(pages) == 1 else (first.name, first.first)

    def _cited_pages(self, marker: Marker | None) -> Iterator[PlacedPage]:
        """Find the pages that a marker names; a name that fits several documents means them all."""
        for text in marker.texts if marker else ():
            exact = self._by_marker.get(marker_name(text).lower())
            if exact is not None:
                yield exact
        for one in marker.references if marker else ():
            for name in self._names_like(one.name):
                for page in self._by_name[name]:
                    if one.first <= page.number <= one.last:
                        yield page

    def _names_like(self, said: str) -> list[str]:
        """Find the documents that a name means; models shorten names, and put words before them."""
        wanted = marker_name(said).lower()
        if not wanted:
            return list(self._by_name)
        known = {name: marker_name(name).lower() for name in self._by_name}
        bases = {name: one.rpartition("/")[2] for name, one in known.items()}
        base = wanted.rpartition("/")[2]
        return (
            [name for name, one in known.items() if one == wanted]
            or [name for name, one in bases.items() if one == base]
            or [name for name, one in bases.items() if one.rpartition(".")[0] == base]
            or [name for name, one in bases.items() if wanted.endswith((f" {one}", f"/{one}"))]
        )

    # -- searching -------------------------------------------------------------------------------

    def _is_there(self, quote: str) -> bool:
        return self._searchable.find(quote) is not None

    def _find(self, quote: str, cited: list[PlacedPage]) -> Match | None:
        """Find a quote as it stands, or its parts; on the pages named before all others."""
        places = [*((page.start, page.end) for page in cited[:_CANDIDATE_PAGES]), (0, None)]
        for search in (self._searchable.find, self._searchable.find_parts):
            for start, end in places:
                match = search(quote, start, end)
                if match is not None:
                    return match
        return None

    def _find_like(self, quote: str, cited: list[PlacedPage]) -> Match | None:
        best: Match | None = None
        likely = self._likely_pages(quote)
        for page in dict.fromkeys((*cited[:_CANDIDATE_PAGES], *likely)):
            match = self._searchable.find_like(quote, page.start, page.end)
            if match is not None and (best is None or match.score > best.score):
                best = match
        return best

    def _likely_pages(self, quote: str) -> list[PlacedPage]:
        index = self._word_index()
        shared: Counter[int] = Counter()
        for word in set(_WORD.findall(normalised(quote))):
            holders = index.get(word, ())
            # A word on few pages says more about where the quote is from than one on many.
            for page in holders:
                shared[page] += 1_000_000 // (1 + len(holders))
        likely = shared.most_common(_CANDIDATE_PAGES)
        return [self._documents.pages[page] for page, _ in likely]

    def _word_index(self) -> dict[str, list[int]]:
        """Map each word to the pages that have it; made when the first quote needs it."""
        if self._words is None:
            self._words = {}
            for number, page in enumerate(self._documents.pages):
                text = self._searchable.plain_text(page.start, page.end)
                for word in set(_WORD.findall(text)):
                    self._words.setdefault(word, []).append(number)
        return self._words
