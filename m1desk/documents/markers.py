"""Reading where an answer says its quotes are from: `[contract.pdf p.3]` and its many variants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 400
"""Characters within the brackets of a marker."""
_MOST_BRACKETS: Final = 16
"""Brackets in a row that are read; no quote is from so many pages."""

_BRACKETS: Final = re.compile(
    r"[\[【](?P<square>[^\[\]【】\n]{2,400})[\]】]"
    r"|[(（](?P<round>(?:[^()（）\[\]\n]|\([^()\n]{0,80}\)){2,400})[)）]"
)
_WORD: Final = (
    r"(?:p(?:p|gs?|ages?|ags?|aginas?|ágs?|áginas?)?|s(?=\.)|seiten?|sid[aer]n?|str(?:ona|ana)?"
    r"|стр(?:аниц[аы])?|lk|oldal|sayfa|页|頁|ページ|쪽)\.?"
)
"""A word for a page in the languages of the documents that people have."""
_NUMBER: Final = r"\d{1,7}(?!\w)"
_TO: Final = r"(?:[-–—]|\b(?:to|bis)\b)"
_MORE: Final = rf"\s*(?:{_TO}|[,&]|\b(?:and|und)\b)\s*{_NUMBER}(?=\s*(?:{_TO}|[,;&]|and|und|$))"
_PAGES: Final = re.compile(
    rf"(?<!\w){_WORD}\s*(?P<numbers>{_NUMBER}(?:{_MORE})*)"
    r"|第?\s*(?P<counted>\d{1,7})\s*(?:页|頁|ページ|쪽|페이지)",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(rf"(\d+)(?:\s*{_TO}\s*(\d+))?", re.IGNORECASE)
_BETWEEN_NAMES: Final = re.compile(r"^(?:\s|[,;:&–—-]|(?:and|und)\s)+|[\s,;:–—-]+$")
_BETWEEN_MARKERS: Final = re.compile(r"[ \t]*(?:[,;&+]|and|und)?[ \t]*")
_WRAPS: Final = {"`": "`", "(": ")", "（": "）", "*": "*", "_": "_"}


@dataclass(frozen=True, slots=True)
class Reference:
    """Pages of a document as an answer names them; the name is "" where it names none."""

    name: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Marker:
    """A place in an answer that names pages: one pair of brackets, or several in a row.

    Attributes:
        start, end: in characters of the answer, with what is wrapped around it, such as backticks.
        texts: what stands in each pair of brackets.
    """

    start: int
    end: int
    texts: tuple[str, ...]
    references: tuple[Reference, ...]


def find_markers(answer: str) -> list[Marker]:
    """Find all markers of an answer, in order."""
    rows: list[list[Marker]] = []
    for found in _BRACKETS.finditer(answer):
        inside = found["square"] or found["round"]
        references = _references(inside) if len(inside) <= _LONGEST else ()
        if not references:
            continue
        marker = Marker(*_with_wraps(answer, *found.span()), (inside,), references)
        if rows and _BETWEEN_MARKERS.fullmatch(answer, rows[-1][-1].end, marker.start):
            rows[-1].append(marker)
        else:
            rows.append([marker])
    return [_joined(row) for row in rows]


def _joined(row: list[Marker]) -> Marker:
    read = row[:_MOST_BRACKETS]
    texts = tuple(text for marker in read for text in marker.texts)
    references = tuple(one for marker in read for one in marker.references)
    return Marker(row[0].start, row[-1].end, texts, references)


def _references(inside: str) -> tuple[Reference, ...]:
    """Read `a.pdf p.1, 3-4; b.md p.2`; empty when it is no list of pages."""
    made: list[Reference] = []
    name, done = "", 0
    for found in _PAGES.finditer(inside):
        name = _BETWEEN_NAMES.sub("", inside[done : found.start()]) or name
        done = found.end()
        made += (Reference(name, *pages) for pages in _ranges(found))
    rest = inside[done:].strip()
    # `(page 3 is the annex)` names no page of a quote; `[a.pdf p.3, section 2]` does.
    return tuple(made) if not rest or rest[0] in ",;:." else ()


def _ranges(pages: re.Match[str]) -> Iterator[tuple[int, int]]:
    for found in _RANGE.finditer(pages["numbers"] or pages["counted"]):
        first, last = int(found[1]), int(found[2] or found[1])
        yield min(first, last), max(first, last)


def _with_wraps(answer: str, start: int, end: int) -> tuple[int, int]:
    """Take in the backticks, brackets and emphasis that stand around a marker."""
    while start > 0 and _WRAPS.get(answer[start - 1]) == answer[end : end + 1]:
        start, end = start - 1, end + 1
    return start, end
