"""Markdown as a flat list of blocks, which is what a text document can show; knows no Qt.

Model output is untrusted: raw HTML stays text, pictures become links, and only http, https and
mailto links keep their address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

SAFE_SCHEMES: Final = ("http://", "https://", "mailto:")

Align = Literal["left", "center", "right"]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style; a line break in it stays inside the block."""

    text: str
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands: how deep in lists and quotes, and the list marker before it."""

    indent: int = 0
    quote: int = 0
    marker: str = ""
    in_item: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    spans: tuple[Span, ...]
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 6."""

    level: int
    spans: tuple[Span, ...]
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced or indented block of code, without the last line break."""

    text: str
    language: str = ""
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Rule:
    """A thematic break."""

    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Table:
    """A table; every row has as many cells as `aligns`, the first row is the header."""

    aligns: tuple[Align, ...]
    rows: tuple[tuple[tuple[Span, ...], ...], ...]
    place: Place = Place()


Block = Paragraph | Heading | Code | Rule | Table


def make_parser() -> MarkdownIt:
    """Make a parser for CommonMark with tables and strikethrough, and without raw HTML."""
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def blocks_of(tokens: Sequence[Token], first_number: int | None = None) -> list[Block]:
    """Flatten a parse into blocks.

    `first_number` renumbers a leading ordered list, for one that was cut in two.
    """
    return list(_Flattener(tokens, first_number).run())


class _Flattener:
    """Walks the tokens once, keeping the stack of lists and quotes it is in."""

    def __init__(self, tokens: Sequence[Token], first_number: int | None) -> None:
        self._tokens = tokens
        self._first_number = first_number
        self._numbers: list[int | None] = []
        self._quote = 0
        self._marker = ""
        self._in_item = False

    def run(self) -> Iterator[Block]:
        index = 0
        while index < len(self._tokens):
            token = self._tokens[index]
            if token.type == "table_open":
                end = _closing(self._tokens, index, "table_close")
                yield _table(self._tokens[index:end], self._take_place())
                index = end
            else:
                self._enter_or_leave(token)
                block = self._block(index)
                if block is not None:
                    yield block
            index += 1

    def _block(self, index: int) -> Block | None:
        token = self._tokens[index]
        if token.type in {"fence", "code_block"}:
            words = token.info.split(maxsplit=1)
            text = token.content.removesuffix("\n")
            return Code(text, words[0] if words else "", self._take_place())
        if token.type == "hr":
            return Rule(self._take_place())
        if token.type == "heading_open":
            spans = spans_of(self._tokens[index + 1].children or [])
            return Heading(int(token.tag[1]), spans, self._take_place())
        if token.type == "paragraph_open":
            return Paragraph(spans_of(self._tokens[index + 1].children or []), self._take_place())
        if token.type == "list_item_close" and self._marker:
            return Paragraph((), self._take_place())  # an empty item still shows its marker
        return None

    def _enter_or_leave(self, token: Token) -> None:
        if token.type == "bullet_list_open":
            self._numbers.append(None)
        elif token.type == "ordered_list_open":
            start = start_number(token)
            if token.level == 0 and token is self._tokens[0] and self._first_number is not None:
                start = self._first_number
            self._numbers.append(start)
        elif token.type in {"bullet_list_close", "ordered_list_close"}:
            self._numbers.pop()
        elif token.type == "list_item_open":
            self._open_item()
        elif token.type == "blockquote_open":
            self._quote += 1
        elif token.type == "blockquote_close":
            self._quote -= 1

    def _open_item(self) -> None:
        number = self._numbers[-1]
        if number is None:
            self._marker = ("•", "◦", "▪")[(len(self._numbers) - 1) % 3]
        else:
            self._marker = f"{number}."
            self._numbers[-1] = number + 1

    def _take_place(self) -> Place:
        """Return the place of a block that starts here; the first of an item gets its marker."""
        place = Place(len(self._numbers), self._quote, self._marker, in_item=bool(self._numbers))
        self._marker = ""
        return place


def start_number(opening: Token) -> int:
    """Return the number that an ordered list begins with."""
    start = opening.attrGet("start")
    return 1 if start is None else int(start)


def _closing(tokens: Sequence[Token], start: int, kind: str) -> int:
    return next(i for i in range(start, len(tokens)) if tokens[i].type == kind)


def _table(tokens: Sequence[Token], place: Place) -> Table:
    rows: list[list[tuple[Span, ...]]] = []
    aligns: list[Align] = []
    for index, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in {"th_open", "td_open"}:
            rows[-1].append(spans_of(tokens[index + 1].children or []))
            if token.type == "th_open":
                aligns.append(_align(str(token.attrGet("style") or "")))
    return Table(tuple(aligns), tuple(tuple(row) for row in rows), place)


def _align(style: str) -> Align:
    if style.endswith("center"):
        return "center"
    return "right" if style.endswith("right") else "left"


def spans_of(tokens: Sequence[Token]) -> tuple[Span, ...]:
    """Turn inline tokens into styled runs of text."""
    spans: list[Span] = []
    style = Span("")
    for token in tokens:
        if token.type in _TOGGLES:
            style = _toggled(style, token)
        elif token.type == "link_open":
            style = replace(style, href=_safe(str(token.attrGet("href") or "")))
        elif token.type == "link_close":
            style = replace(style, href="")
        else:
            span = _leaf(token, style)
            if span.text:
                spans.append(span)
    return tuple(spans)


_TOGGLES: Final = {"strong_open", "strong_close", "em_open", "em_close", "s_open", "s_close"}


def _toggled(style: Span, token: Token) -> Span:
    on = token.nesting > 0
    if token.tag == "strong":
        return replace(style, bold=on)
    return replace(style, italic=on) if token.tag == "em" else replace(style, strike=on)


def _leaf(token: Token, style: Span) -> Span:
    if token.type in {"softbreak", "hardbreak"}:
        # Models break lines without two spaces before them, and mean it.
        return replace(style, text="\n")
    if token.type == "code_inline":
        return replace(style, text=token.content, code=True)
    if token.type == "image":
        source = str(token.attrGet("src") or "")
        return replace(style, text=token.content or source, href=_safe(source))
    return replace(style, text=token.content)


def _safe(address: str) -> str:
    """Keep the address if it is one that may be opened, else nothing."""
    return address if address.lower().startswith(SAFE_SCHEMES) else ""
