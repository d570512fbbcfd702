"""How Markdown looks in a text document: formats made from the theme, once per theme."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QTextBlockFormat,
    QTextCharFormat,
    QTextFrameFormat,
    QTextLength,
    QTextOption,
    QTextTableFormat,
)

from m1desk.ui.theme import code_font, text_font
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from m1desk.ui.tokens import Metrics, Palette
    from m1desk.ui.widgets.markdown_blocks import Place, Span

INDENT: Final = 26
QUOTE_INDENT: Final = 18
CODE_PADDING: Final = 14
CODE_HEADER: Final = 34
BLOCK_GAP: Final = 12
ITEM_GAP: Final = 5
LINE_HEIGHT_PERCENT: Final = 138.0
CODE_LINE_HEIGHT_PERCENT: Final = 128.0
_HEADING_SCALE: Final = {1: 1.5, 2: 1.28, 3: 1.13, 4: 1.0, 5: 1.0, 6: 1.0}

_SYNTAX_LIGHT: Final = {
    "keyword": "#a626a4",
    "string": "#3f7d2c",
    "number": "#a05a00",
    "comment": "#7b8190",
    "name": "#2f5fd0",
    "builtin": "#0b7285",
    "operator": "#5d606b",
}
_SYNTAX_DARK: Final = {
    "keyword": "#c99bf0",
    "string": "#9ccf87",
    "number": "#e0ad72",
    "comment": "#7d818c",
    "name": "#86b1ff",
    "builtin": "#6fcbd6",
    "operator": "#a3a5ae",
}


@dataclass(frozen=True, slots=True)
class _Look:
    """What sets one run of text apart from another."""

    bold: bool
    italic: bool
    strike: bool
    code: bool
    link: bool
    heading: int


class MarkdownStyle:
    """The formats of one palette at one text size; shared by all messages, never changed."""

    def __init__(self, palette: Palette, metrics: Metrics) -> None:
        self.palette = palette
        self.metrics = metrics
        self._char: dict[_Look, QTextCharFormat] = {}
        self._body = text_font(metrics.font_body)
        self._code = code_font(metrics.font_small)

    def quieter(self) -> MarkdownStyle:
        """Return the same look, smaller and paler, for what is not the answer itself."""
        palette = replace(self.palette, text=self.palette.text_muted)
        metrics = replace(self.metrics, font_body=self.metrics.font_small)
        return MarkdownStyle(palette, metrics)

    def default_font(self) -> QFont:
        """Return the font of running text."""
        return self._body

    @cached_property
    def code_char(self) -> QTextCharFormat:
        """The text of a code block before it is highlighted."""
        form = QTextCharFormat()
        form.setFont(self._code)
        form.setForeground(QColor(self.palette.text))
        return form

    @cached_property
    def syntax(self) -> dict[str, QTextCharFormat]:
        """Kind of token -> its colour (see `markdown_highlight`)."""
        colours = _SYNTAX_DARK if self.palette.name == "dark" else _SYNTAX_LIGHT
        formats = {}
        for kind, colour in colours.items():
            form = QTextCharFormat()
            form.setForeground(QColor(colour))
            formats[kind] = form
        return formats

    def char(self, span: Span, *, heading: int = 0, strong: bool = False) -> QTextCharFormat:
        """Return the format of a span; a link carries its address besides."""
        bold = span.bold or strong or heading > 0
        key = _Look(bold, span.italic, span.strike, span.code, bool(span.href), heading)
        if key not in self._char:
            self._char[key] = self._make_char(key)
        form = self._char[key]
        if span.href:
            form = QTextCharFormat(form)
            form.setAnchor(True)
            form.setAnchorHref(span.href)
            form.setToolTip(plain_tip(span.href))
        return form

    def _make_char(self, look: _Look) -> QTextCharFormat:
        form = QTextCharFormat()
        font = QFont(self._code if look.code else self._body)
        scale = _HEADING_SCALE.get(look.heading, 1.0)
        size = self.metrics.font_small if look.code and not look.heading else self.metrics.font_body
        font.setPixelSize(round(size * scale))
        font.setWeight(QFont.Weight.DemiBold if look.bold else QFont.Weight.Normal)
        font.setItalic(look.italic)
        form.setFont(font)
        form.setForeground(QColor(self.palette.accent if look.link else self.palette.text))
        form.setFontStrikeOut(look.strike)
        form.setFontUnderline(look.link)
        if look.code:
            form.setBackground(QBrush(QColor(self.palette.hover)))
        return form

    def block(self, place: Place, top: float) -> QTextBlockFormat:
        """Return the format of a paragraph `top` pixels below what is before it."""
        form = QTextBlockFormat()
        form.setTopMargin(top)
        form.setLeftMargin(place.indent * INDENT + place.quote * QUOTE_INDENT)
        form.setLineHeight(
            LINE_HEIGHT_PERCENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value
        )
        if place.marker:
            width = INDENT - 2 if len(place.marker) < 3 else INDENT + 2
            form.setTextIndent(-width)
            form.setTabPositions([QTextOption.Tab(width, QTextOption.TabType.LeftTab)])
        return form

    def code_block(self, place: Place, top: float, *, first: bool) -> QTextBlockFormat:
        """Return the format of a line of code; the first leaves room for the header."""
        form = QTextBlockFormat()
        left = place.indent * INDENT + place.quote * QUOTE_INDENT
        form.setLeftMargin(left + CODE_PADDING)
        form.setRightMargin(CODE_PADDING)
        form.setTopMargin(top + CODE_HEADER + 8 if first else 0)
        form.setLineHeight(
            CODE_LINE_HEIGHT_PERCENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value
        )
        return form

    @cached_property
    def sliver(self) -> tuple[QTextBlockFormat, QTextCharFormat]:
        """The look of the empty block that a document needs after a table: one pixel high."""
        block = QTextBlockFormat()
        block.setLineHeight(1, QTextBlockFormat.LineHeightTypes.FixedHeight.value)
        char = QTextCharFormat()
        font = QFont(self._body)
        font.setPixelSize(1)
        char.setFont(font)
        return block, char

    def table(self, place: Place, columns: int, top: float) -> QTextTableFormat:
        """Return the format of a table with that many columns, `top` pixels below."""
        form = QTextTableFormat()
        form.setBorderCollapse(True)
        form.setBorder(1)
        form.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
        form.setBorderBrush(QBrush(QColor(self.palette.border)))
        form.setCellPadding(7)
        form.setCellSpacing(0)
        form.setTopMargin(top)
        form.setLeftMargin(place.indent * INDENT + place.quote * QUOTE_INDENT)
        form.setHeaderRowCount(1)
        kind = QTextLength.Type.VariableLength
        form.setColumnWidthConstraints([QTextLength(kind, 0)] * columns)
        return form

    @cached_property
    def table_header_background(self) -> QBrush:
        """What lies under the cells of a table's first row."""
        return QBrush(QColor(self.palette.code_background))


def alignment(name: str) -> Qt.AlignmentFlag:
    """Translate a table column's alignment."""
    return {
        "center": Qt.AlignmentFlag.AlignHCenter,
        "right": Qt.AlignmentFlag.AlignRight,
    }.get(name, Qt.AlignmentFlag.AlignLeft)
