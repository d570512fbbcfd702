"""Turns the marks in a rendered answer into coloured chips and faint underlines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor

from m1desk.ui.widgets.citation_marks import CHIP_SCHEME, chip_details, tone_of
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtGui import QTextDocument

    from m1desk.documents import Citation
    from m1desk.ui.tokens import Palette
    from m1desk.ui.widgets.citation_marks import MarkedAnswer

_BLANK: Final = "\u00a0"
_NOTHING: Final = "\u2060"  # takes no room, and no line breaks at it
_CLAIM_HINT: Final = "No quote follows this statement: it was not checked against the documents."


def show_chips(
    document: QTextDocument,
    answer: MarkedAnswer,
    citations: tuple[Citation, ...],
    palette: Palette,
) -> int:
    """Show a chip for every mark that was rendered; return how many there are."""
    shown = 0
    if answer.claims:
        for cursor in _marks(document, answer.claims):
            _underline(cursor, palette)
    if answer.chips:
        for cursor in _marks(document, answer.chips):
            number = cursor.selectedText()[1:-1].split(" ", 1)[0]
            if number.isdecimal() and 1 <= int(number) <= len(citations):
                _make_chip(cursor, int(number), citations[int(number) - 1], palette)
                shown += 1
    return shown


def _marks(document: QTextDocument, pair: str) -> Iterator[QTextCursor]:
    """Yield a selection of every stretch from an opening to its closing bracket, both in it."""
    position = 0
    while True:
        opening = document.find(pair[0], position)
        if opening.isNull():
            return
        closing = document.find(pair[1], opening.selectionEnd())
        if closing.isNull():
            return
        cursor = QTextCursor(document)
        cursor.setPosition(opening.selectionStart())
        cursor.setPosition(closing.selectionEnd(), QTextCursor.MoveMode.KeepAnchor)
        position = closing.selectionEnd()
        yield cursor


def _make_chip(cursor: QTextCursor, number: int, citation: Citation, palette: Palette) -> None:
    tone = QColor(getattr(palette, tone_of(citation)))
    ground = QColor(tone)
    ground.setAlphaF(0.16)
    form = QTextCharFormat()
    form.setAnchor(True)
    form.setAnchorHref(f"{CHIP_SCHEME}{number}")
    form.setToolTip(plain_tip(chip_details(citation)))
    form.setForeground(tone)
    form.setBackground(ground)
    form.setFontUnderline(False)
    form.setFontWeight(600)
    form.setProperty(QTextCharFormat.Property.FontSizeAdjustment, -1)
    text = cursor.selectedText()[1:-1].replace(" ", _BLANK)  # a chip stays on one line
    cursor.insertText(_BLANK + text + _BLANK, form)


def _underline(cursor: QTextCursor, palette: Palette) -> None:
    start, end = cursor.selectionStart(), cursor.selectionEnd()
    form = QTextCharFormat()
    form.setUnderlineStyle(QTextCharFormat.UnderlineStyle.DotLine)
    form.setUnderlineColor(QColor(palette.text_faint))
    form.setToolTip(_CLAIM_HINT)
    cursor.mergeCharFormat(form)
    for place in (end - 1, start):
        cursor.setPosition(place)
        cursor.movePosition(QTextCursor.MoveOperation.Right, QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(_NOTHING, cursor.charFormat())


def chip_number(address: str) -> int | None:
    """Number of the citation that an address in an answer stands for, None for a real link."""
    number = address.removeprefix(CHIP_SCHEME)
    return int(number) if number != address and number.isdecimal() else None
