"""Web pages: the text as a reader sees it; nothing a page refers to is ever loaded."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

from m1desk.documents.reading.cleaning import clean_prose, one_line
from m1desk.documents.reading.decoding import decode
from m1desk.documents.reading.formats.passages import sections

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_UNSEEN: Final = frozenset(
    {"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select"}
)
# fmt: off
_BLOCKS: Final = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1",
    "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "li", "main", "nav", "ol", "p",
    "pre", "section", "summary", "table", "ul",
))
# fmt: on
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_CHARSET: Final = re.compile(
    rb"""charset\s*=\s*["']?\s*([\w.:-]{2,40})|encoding\s*=\s*["']([\w.:-]{2,40})""",
    re.IGNORECASE,
)


class Blocks(HTMLParser):
    """Gathers the blocks of text of a page.

    Attributes:
        title: of the page, or its first heading.
        blocks: paragraphs, headings, list items, and tables with a row on each line.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.blocks: list[str] = []
        self._text: list[str] = []
        self._rows: list[str] = []
        self._cells: list[str] = []
        self._tables = 0
        self._unseen: str = ""
        self._unseen_depth = 0
        self._preformatted = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Begin a block, a row or a cell."""
        if self._unseen:
            self._unseen_depth += tag == self._unseen
        elif tag in _UNSEEN:
            self._unseen, self._unseen_depth = tag, 1
        elif tag == "title":
            self._in_title = True
        elif tag == "br":
            self._text.append("\n")
        elif tag in {"td", "th"}:
            self._end_cell()
        elif tag == "tr":
            self._end_row()
        elif tag in _BLOCKS:
            self._end_block()
            self._tables += tag == "table"
            self._preformatted += tag == "pre"
            if tag == "li":
                self._text.append("- ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """The same, for what has no end."""
        if tag not in _UNSEEN and tag != "title":  # <script/> of XHTML has no end to wait for
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """End a block, a row or a cell."""
        if self._unseen:
            self._unseen_depth -= tag == self._unseen
            if not self._unseen_depth:
                self._unseen = ""
            return
        if tag == "title":
            self._in_title = False
        elif tag in {"td", "th"}:
            self._end_cell()
        elif tag == "tr":
            self._end_row()
        elif tag in _BLOCKS:
            if tag == "table" and self._tables:
                self._end_row()
                self._tables -= 1
            self._preformatted -= tag == "pre" and self._preformatted > 0
            self._end_block(is_heading=tag in _HEADINGS)

    def handle_data(self, data: str) -> None:
        """Add to the text of the block."""
        if self._unseen:
            return
        if self._in_title:
            self.title = self.title or one_line(data)
        elif self._preformatted:
            self._text.append(data)
        else:
            # The spaces at the ends part words from those in the next element.
            words = " ".join(data.split())
            self._text.append(" " * data[:1].isspace() + words + " " * data[-1:].isspace())

    def close(self) -> None:
        """End what is still open."""
        super().close()
        self._end_row()
        self._tables = 0
        self._end_block()

    def _take(self) -> str:
        text = clean_prose("".join(self._text))
        self._text = []
        return text if self._preformatted else re.sub(" *\n *", "\n", re.sub("  +", " ", text))

    def _end_cell(self) -> None:
        if text := self._take():
            self._cells.append(" ".join(text.split()))

    def _end_row(self) -> None:
        self._end_cell()
        if self._cells:
            self._rows.append(" | ".join(self._cells))
            self._cells = []

    def _end_block(self, *, is_heading: bool = False) -> None:
        if self._tables:
            self._text.append(" ")
            return
        if self._rows:
            self.blocks.append("\n".join(self._rows))
            self._rows = []
        text = self._take()
        if text and text != "-":
            self.blocks.append(text)
            if is_heading and not self.title:
                self.title = one_line(text)


def blocks_of(data: bytes) -> tuple[Blocks, str]:
    """The blocks of a page's bytes, and what to note about its encoding."""
    stated = _CHARSET.search(data[:4096])
    name = next(filter(None, stated.groups()), b"").decode("ascii") if stated else ""
    decoded = decode(data, name)
    return blocks_of_text(decoded.text), decoded.note


def blocks_of_text(text: str) -> Blocks:
    """The blocks of a page."""
    parser = Blocks()
    parser.feed(text)
    parser.close()
    return parser


def read(source: Source, out: Sink) -> None:
    """Read a page in sections; raises ReadingError when it is no text."""
    page, note = blocks_of(source.data)
    if note:
        out.note(note)
    passages = list(sections(page.blocks))
    out.total(len(passages))
    for number, passage in enumerate(passages, 1):
        out.page(number, "section", passage.text, page.title)
