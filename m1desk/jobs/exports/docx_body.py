"""Markdown as paragraphs and tables of a Word document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from m1desk.documents import safe_markdown

if TYPE_CHECKING:
    from markdown_it.token import Token

_INDENT: Final = 360  # of each level of a list, in twentieths of a point
_BREAK: Final = "<w:r><w:br/></w:r>"
_BORDERS: Final = "".join(
    f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="999999"/>'
    for side in ("top", "left", "bottom", "right", "insideH", "insideV")
)


class WordBody:
    """Grows by Markdown, piece by piece; each piece is closed before the next."""

    def __init__(self) -> None:
        """Prepare; of open lists the next number is known, None for those with dots."""
        self._reader = safe_markdown()
        self._made: list[str] = []
        self._lists: list[int | None] = []
        self._quotes = 0
        self._style = ""
        self._mark = ""
        self._rows: list[list[str]] | None = None

    @property
    def xml(self) -> str:
        """All paragraphs and tables so far, as WordprocessingML."""
        return "".join(self._made)

    def add(self, markdown: str) -> None:
        """Add a piece."""
        for token in self._reader.parse(markdown):
            self._add(token)

    def _add(self, token: Token) -> None:
        match token.type:
            case "heading_open":
                self._style = f"Heading{token.tag[1:]}"
            case "heading_close":
                self._style = ""
            case "blockquote_open":
                self._quotes += 1
            case "blockquote_close":
                self._quotes -= 1
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                self._lists.append(int(token.attrGet("start") or 1))
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._begin_entry()
            case "list_item_close":
                self._mark = ""
            case "inline":
                self._add_line(_runs(token.children or ()))
            case "fence" | "code_block":
                self._add_code(token.content)
            case _:
                self._add_table_part(token)

    def _add_table_part(self, token: Token) -> None:
        match token.type:
            case "table_open":
                self._rows = []
            case "tr_open" if self._rows is not None:
                self._rows.append([])
            case "table_close" if self._rows is not None:
                self._made.append(_table(self._rows))
                self._rows = None

    def _begin_entry(self) -> None:
        number = self._lists[-1]
        self._mark = "•" if number is None else f"{number}."
        self._lists[-1] = None if number is None else number + 1

    def _add_line(self, runs: str) -> None:
        if self._rows is not None:
            self._rows[-1].append(runs)
            return
        style = self._style or ("Quote" if self._quotes else "")
        mark, self._mark = self._mark, ""
        text = f"{_run(f'{mark} ')}{runs}" if mark else runs
        self._made.append(_paragraph(text, style, _INDENT * (len(self._lists) + self._quotes)))

    def _add_code(self, text: str) -> None:
        lines = text.rstrip("\n").split("\n")
        self._made.append(_paragraph(_BREAK.join(map(_run, lines)), "Code", 0))


def _runs(tokens: Sequence[Token]) -> str:
    """Make runs of a line's tokens; a link is followed by its address."""
    made = ""
    bold = italic = 0
    address = ""
    for token in tokens:
        match token.type:
            case "strong_open" | "strong_close":
                bold += token.nesting
            case "em_open" | "em_close":
                italic += token.nesting
            case "link_open":
                address = str(token.attrGet("href") or "")
            case "link_close":
                made += _run(f" ({address})")
            case "hardbreak":
                made += _BREAK
            case "softbreak":
                made += _run(" ")
            case _:
                made += _run(token.content, is_bold=bold > 0, is_italic=italic > 0)
    return made


def _run(text: str, *, is_bold: bool = False, is_italic: bool = False) -> str:
    look = ("<w:b/>" if is_bold else "") + ("<w:i/>" if is_italic else "")
    properties = f"<w:rPr>{look}</w:rPr>" if look else ""
    return f'<w:r>{properties}<w:t xml:space="preserve">{escape(text)}</w:t></w:r>'


def _paragraph(runs: str, style: str = "", indent: int = 0) -> str:
    properties = f'<w:pStyle w:val="{style}"/>' if style else ""
    properties += f'<w:ind w:left="{indent}"/>' if indent else ""
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{runs}</w:p>"


def _table(rows: list[list[str]]) -> str:
    """Make a table over the whole width whose first row stands on each page again."""
    columns = max(map(len, rows), default=0)
    grid = "<w:gridCol/>" * columns
    width = '<w:tblW w:w="5000" w:type="pct"/>'
    made = ""
    for number, row in enumerate(rows):
        cells = "".join(
            f'<w:tc><w:tcPr><w:tcW w:w="0" w:type="auto"/></w:tcPr>{_paragraph(runs)}</w:tc>'
            for runs in row + [""] * (columns - len(row))
        )
        head = "<w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>" if number == 0 else ""
        made += f"<w:tr>{head}{cells}</w:tr>"
    # Two tables without a paragraph between them would be one.
    look = f"<w:tblPr>{width}<w:tblBorders>{_BORDERS}</w:tblBorders></w:tblPr>"
    return f"<w:tbl>{look}<w:tblGrid>{grid}</w:tblGrid>{made}</w:tbl>{_paragraph('')}"
