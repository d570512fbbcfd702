"""A text document that Markdown is written into, step by step.

What is frozen is never touched again, so positions in it stay true; the tail after it is removed
and written anew on each step. Code blocks are plain lines here: their ground, header and button
are painted by the view, which finds them in `regions`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from PySide6.QtGui import QTextBlockFormat, QTextCursor, QTextDocument

from m1desk.ui.widgets.markdown_blocks import Code, Heading, Paragraph, Place, Rule, Span, Table
from m1desk.ui.widgets.markdown_stream import (
    AppendCode,
    CloseCode,
    Freeze,
    OpenCode,
    Step,
    Tail,
)
from m1desk.ui.widgets.markdown_style import BLOCK_GAP, CODE_PADDING, ITEM_GAP, alignment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from m1desk.ui.widgets.markdown_blocks import Block
    from m1desk.ui.widgets.markdown_style import MarkdownStyle

_PLAIN = Span("")


@dataclass(slots=True)
class Region:
    """A stretch of the document that the view paints a ground or a line for.

    Attributes:
        start, end: character positions of its first block's beginning and its last block's end.
        depth: nesting of a quote; left margin in pixels of code.
        closed: False while code is still coming.
    """

    kind: Literal["code", "quote", "rule"]
    start: int
    end: int
    depth: float = 0
    language: str = ""
    parts: list[str] = field(default_factory=list)
    closed: bool = True

    @property
    def text(self) -> str:
        """The code as it was written."""
        return "".join(self.parts)


@dataclass(slots=True)
class _Mark:
    """The end of what is frozen, to come back to."""

    position: int = 0
    fresh: bool = True
    regions: int = 0
    previous: Block | None = None


class MarkdownDocument:
    """Writes steps of a `MarkdownStream` into a QTextDocument without undo."""

    def __init__(self, document: QTextDocument, style: MarkdownStyle) -> None:
        self.document = document
        self.regions: list[Region] = []
        self._style = style
        self._cursor = QTextCursor(document)
        self._fresh = True  # the last block is empty and waits to be used
        self._previous: Block | None = None
        self._mark = _Mark()
        self._code: Region | None = None
        document.setUndoRedoEnabled(False)
        document.setDocumentMargin(0)
        document.setDefaultFont(style.default_font())

    @property
    def ends_in_code(self) -> bool:
        """Whether the last thing is code, whose ground reaches below its last line."""
        return isinstance(self._previous, Code)

    @property
    def frozen_regions(self) -> list[Region]:
        """The regions that no later step removes."""
        return self.regions[: self._mark.regions]

    def apply(self, steps: Iterable[Step]) -> None:
        """Bring the document up to date in one edit."""
        self._cursor.beginEditBlock()
        for step in steps:
            self._apply(step)
        self._cursor.endEditBlock()

    def clear(self, style: MarkdownStyle) -> None:
        """Empty the document; what is written next takes the given style."""
        self._style = style
        self.document.clear()
        self.document.setDefaultFont(style.default_font())
        self.regions.clear()
        self._cursor = QTextCursor(self.document)
        self._fresh, self._previous, self._code = True, None, None
        self._mark = _Mark()

    def write_plain(self, text: str) -> None:
        """Write text as it is, for what a person typed."""
        self._begin(self._style.block(Place(), 0))
        form = self._style.char(_PLAIN)
        self._cursor.insertText(text, form)

    def _apply(self, step: Step) -> None:
        if isinstance(step, Tail):
            self._drop_tail()
            self._write(step.blocks)
        elif isinstance(step, Freeze):
            self._drop_tail()
            self._write(step.blocks)
            self._set_mark()
        elif isinstance(step, OpenCode):
            self._drop_tail()
            self._open_code(Code("", step.language))
        elif isinstance(step, AppendCode):
            self._append_code(step.text)
        elif isinstance(step, CloseCode):
            self._close_code()
            self._set_mark()

    # -- the frozen part and the tail -------------------------------------------------------

    def _set_mark(self) -> None:
        self._mark = _Mark(self._end(), self._fresh, len(self.regions), self._previous)

    def _drop_tail(self) -> None:
        mark = self._mark
        if self._end() > mark.position or self._fresh != mark.fresh:
            self._cursor.setPosition(mark.position)
            self._cursor.movePosition(
                QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor
            )
            self._cursor.removeSelectedText()
        self._fresh, self._previous = mark.fresh, mark.previous
        del self.regions[mark.regions :]
        if self._fresh and mark.position > 0:
            self._shrink_last_block()

    def _end(self) -> int:
        return self.document.characterCount() - 1

    # -- blocks -----------------------------------------------------------------------------

    def _write(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            if isinstance(block, Paragraph):
                self._write_text(block, block.spans)
            elif isinstance(block, Heading):
                self._write_text(block, block.spans, heading=block.level)
            elif isinstance(block, Code):
                self._open_code(block)
                self._append_code(block.text)
                self._close_code()
            elif isinstance(block, Table):
                self._write_table(block)
            else:
                self._write_rule(block)

    def _write_text(self, block: Block, spans: Sequence[Span], heading: int = 0) -> None:
        form = self._style.block(block.place, self._gap(block))
        if heading:
            form.setHeadingLevel(heading)
        self._begin(form)
        start = self._cursor.position()
        if block.place.marker:
            self._cursor.insertText(block.place.marker + "\t", self._style.char(_PLAIN))
        for span in spans:
            text = span.text.replace("\n", "\u2028")
            self._cursor.insertText(text, self._style.char(span, heading=heading))
        self._after(block, start)

    def _write_rule(self, block: Rule) -> None:
        form, char = self._style.sliver
        form = QTextBlockFormat(form)
        form.setTopMargin(self._gap(block) + 8)
        self._begin(form)
        position = self._cursor.position()
        self._cursor.insertText("\u00a0", char)  # an empty block after a table gets no room
        self.regions.append(Region("rule", position, position))
        self._after(block, position)

    def _write_table(self, block: Table) -> None:
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        if self._fresh:
            self._shrink_last_block()
        start = self._cursor.position()
        columns = max(1, len(block.aligns))
        style = self._style
        form = style.table(block.place, columns, self._gap(block))
        table = self._cursor.insertTable(len(block.rows), columns, form)
        for row, cells in enumerate(block.rows):
            for column, spans in enumerate(cells[:columns]):
                cell = table.cellAt(row, column)
                cursor = cell.firstCursorPosition()
                block_format = QTextBlockFormat()
                block_format.setAlignment(alignment(block.aligns[column]))
                cursor.setBlockFormat(block_format)
                for span in spans:
                    cursor.insertText(
                        span.text.replace("\n", "\u2028"), style.char(span, strong=row == 0)
                    )
                if row == 0:
                    cell_format = cell.format()
                    cell_format.setBackground(style.table_header_background)
                    cell.setFormat(cell_format)
        # The empty block that Qt puts after a table stays: the one next to a table has no margin.
        self._shrink_last_block()
        self._fresh = False
        self._after(block, start)

    def _open_code(self, block: Code) -> None:
        form = self._style.code_block(block.place, self._gap(block), first=True)
        self._begin(form)
        self._cursor.setBlockCharFormat(self._style.code_char)
        position = self._cursor.position()
        left = form.leftMargin() - CODE_PADDING
        self._code = Region("code", position, position, left, block.language, closed=False)
        self.regions.append(self._code)
        self._after(block, position)

    def _append_code(self, text: str) -> None:
        region = self._code
        if region is None or not text:
            return
        region.parts.append(text)
        cursor, char = self._cursor, self._style.code_char
        cursor.movePosition(QTextCursor.MoveOperation.End)
        first, *rest = text.split("\n", 1)
        cursor.insertText(first, char)
        if rest:
            form = QTextBlockFormat(cursor.blockFormat())
            form.setTopMargin(0)
            cursor.insertBlock(form, char)
            cursor.insertText(rest[0], char)
        region.end = self._end()

    def _close_code(self) -> None:
        if self._code is not None:
            self._code.closed = True
            self._code.end = self._end()
            self._code = None

    # -- helpers ----------------------------------------------------------------------------

    def _begin(self, form: QTextBlockFormat) -> None:
        """Start a block at the end of the document."""
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        if self._fresh:
            self._cursor.setBlockFormat(form)
        else:
            self._cursor.insertBlock(form)
        self._fresh = False

    def _after(self, block: Block, start: int) -> None:
        if block.place.quote:
            self.regions.append(Region("quote", start, self._end(), block.place.quote))
        self._previous = block

    def _gap(self, block: Block) -> float:
        """Return the room above a block, by what stands before it."""
        before = self._previous
        if before is None:
            return 0
        below = CODE_PADDING if isinstance(before, Code) else 0
        if isinstance(block, Heading):
            return below + BLOCK_GAP * 1.6
        if isinstance(before, Heading):
            return BLOCK_GAP * 0.6
        if block.place.in_item and before.place.in_item:
            return below + (ITEM_GAP if block.place.marker else BLOCK_GAP * 0.7)
        return below + BLOCK_GAP

    def _shrink_last_block(self) -> None:
        block, char = self._style.sliver
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        self._cursor.setBlockFormat(block)
        self._cursor.setBlockCharFormat(char)
