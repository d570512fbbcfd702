"""The lines of a PDF page become paragraphs again, by where they lie on the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pypdfium2.raw as pdfium_raw

from m1desk.documents.reading.cleaning import clean_lines, clean_prose

if TYPE_CHECKING:
    import pypdfium2 as pdfium

BROKEN_WORD: Final = "\ufffe"
"""What PDFium writes for a hyphen at the end of a line, joining it to the next line."""

_LIST_ITEM: Final = re.compile(r"(?:[•‣▪◦●○■□–—*·-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)])\s")
_NUMBER: Final = re.compile(r"^[\d.,:%()€$£+/-]+$")
_SENTENCE_END: Final = re.compile(r"[.!?:;]['\"’”)]*$")
_WORDS: Final = re.compile(rf"[^\W\d_]+(?:[-{BROKEN_WORD}][^\W\d_]+)+|[^\W\d_]{{2,}}")
_BROKEN: Final = re.compile(
    rf"(?:[^\W\d_]+-)*[^\W\d_]+{BROKEN_WORD}[^\W\d_]+(?:[-{BROKEN_WORD}][^\W\d_]+)*"
)
_WORDS_KEPT: Final = 200_000
_ENOUGH_GAPS: Final = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page and its place, in points from the lower left corner.

    A line that ends in a broken word goes on to the next one: `top` is its first row's, `right`
    and `bottom` its last row's.
    """

    text: str
    left: float
    right: float
    top: float
    bottom: float
    size: float


class Joiner:
    """Makes the text of a document's pages; the words it has seen help to mend broken ones."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def text_of(self, page: pdfium.PdfTextPage) -> str:
        """A page's text: paragraphs on one line each, parted by empty lines."""
        raw = page.get_text_range()
        if not raw.strip():
            return ""
        text = join_lines(lines_of(page, raw))
        self._learn(text)
        return clean_prose(self._mend(text))

    def _learn(self, text: str) -> None:
        if len(self._words) < _WORDS_KEPT:
            self._words.update(w.lower() for w in _WORDS.findall(text) if BROKEN_WORD not in w)

    def _mend(self, text: str) -> str:
        """Put the parts of words together that were broken at the end of a line."""
        if BROKEN_WORD not in text:
            return text
        text = re.sub(rf"{BROKEN_WORD}\s+", BROKEN_WORD, text)
        text = _BROKEN.sub(lambda match: self._mend_word(match[0]), text)
        return text.replace(BROKEN_WORD, "-")

    def _mend_word(self, word: str) -> str:
        while BROKEN_WORD in word:
            before, _, after = word.partition(BROKEN_WORD)
            hyphen = "" if self._is_one_word(before, after) else "-"
            word = before + hyphen + after
        return word

    def _is_one_word(self, before: str, after: str) -> bool:
        """Whether the hyphen between the parts came from the end of the line alone.

        The rest of the document tells: it has the word without the hyphen, or with it, or both
        parts as words of their own ("long", "term"). When it tells nothing, most hyphens at line
        ends are of words broken apart, names aside.
        """
        first = re.split(rf"[-{BROKEN_WORD}]", after, maxsplit=1)[0]
        before = before.rpartition("-")[2].lower()
        if before + first.lower() in self._words:
            return True
        if f"{before}-{first.lower()}" in self._words or not first[:1].islower():
            return False
        return not {before, first} <= self._words


def lines_of(page: pdfium.PdfTextPage, raw: str) -> list[Line]:
    """The lines of a page's text with their places."""
    lines = []
    index = 0  # in the units of PDFium's text, UTF-16
    for text in raw.split("\r\n"):
        units = len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
        if text.strip():
            first = index + len(text) - len(text.lstrip())
            lines.append(_placed(page, text, first, index + units - 1))
        index += units + 2
    return lines


def _placed(page: pdfium.PdfTextPage, text: str, first: int, last: int) -> Line:
    first = pdfium_raw.FPDFText_GetCharIndexFromTextIndex(page, first)
    last = pdfium_raw.FPDFText_GetCharIndexFromTextIndex(page, last)
    if first < 0 or last < 0:
        return Line(clean_lines_keeping_breaks(text), 0, 0, 0, 0, 0)
    left, _, _, top = page.get_charbox(first, loose=True)
    _, bottom, right, _ = page.get_charbox(last, loose=True)
    size = pdfium_raw.FPDFText_GetFontSize(page, first)
    return Line(clean_lines_keeping_breaks(text), left, right, top, bottom, size)


def clean_lines_keeping_breaks(text: str) -> str:
    """A line's clean text, with the marks of broken words."""
    return BROKEN_WORD.join(clean_lines(part) for part in text.split(BROKEN_WORD)).strip(" \t")


def join_lines(lines: Sequence[Line]) -> str:
    """Join the lines of a paragraph with spaces; part paragraphs by empty lines."""
    if not lines:
        return ""
    pairs = list(pairwise(lines))
    usual = _usual_gap([above.bottom - line.top for above, line in pairs], lines[0])
    width = max(line.right for line in lines) - min(line.left for line in lines)
    parts = [lines[0].text]
    for above, line in pairs:
        parts.append(_between(above, line, usual, width))
        parts.append(line.text)
    return "".join(parts)


def _usual_gap(gaps: Sequence[float], line: Line) -> float:
    """The gap between lines of a paragraph (negative where they overlap).

    The lower quartile of all: gaps between paragraphs are wider, and may be as many.
    """
    down = sorted(gap for gap in gaps if -20 < gap < 20)
    few = len(down) < _ENOUGH_GAPS
    return 0.2 * (line.top - line.bottom) if few else down[len(down) // 4]


def _between(above: Line, line: Line, usual: float, width: float) -> str:
    """What stands between two lines: a space, a line end, or an empty line."""
    height = max(line.top - line.bottom, line.size, 1.0)
    gap = above.bottom - line.top
    if gap < -1.5 * height:  # upwards: the next column, or a note in the margin
        goes_on = line.text[:1].islower() and not _SENTENCE_END.search(above.text)
        return " " if goes_on else "\n\n"
    if gap > usual + 0.45 * height or abs(above.size - line.size) > 0.12 * height:
        return "\n\n"
    if _LIST_ITEM.match(line.text) or (_is_figures(above.text) and _is_figures(line.text)):
        return "\n"
    return "\n" if _was_ended(above, line, width) else " "


def _was_ended(above: Line, line: Line, width: float) -> bool:
    """Whether the line above ends well before the margin, though the next word had found room."""
    letters = max(len(above.text), 1)
    word = len(line.text.split(" ", 1)[0]) * (above.right - above.left) / letters
    room = line.left + width - above.right
    return room > word + 0.15 * width and not line.text[:1].islower()


def _is_figures(text: str) -> bool:
    """Whether a line looks like a row of a table: mostly numbers."""
    words = text.split()
    numbers = sum(_NUMBER.match(word) is not None for word in words)
    return len(words) > 1 and numbers * 2 >= len(words)
