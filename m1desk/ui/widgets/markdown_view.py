"""A message's text: Markdown that may still be growing, as tall as what it shows.

The text comes from a model, so nothing it names is ever loaded: pictures are links, and a link
opens only after the person has seen its whole address and said yes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QMimeData, QPointF, QRectF, QSize, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPainter, QPen
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QToolButton, QWidget

from m1desk.ui.widgets.markdown_document import MarkdownDocument, Region
from m1desk.ui.widgets.markdown_stream import CloseCode, Freeze, MarkdownStream, Step
from m1desk.ui.widgets.markdown_style import (
    CODE_HEADER,
    CODE_PADDING,
    QUOTE_INDENT,
    MarkdownStyle,
)

if TYPE_CHECKING:
    from PySide6.QtGui import QContextMenuEvent, QPaintEvent, QResizeEvent, QWheelEvent

    from m1desk.ui.widgets.markdown_highlight import Highlighter

PIECE: Final = 6_000
"""Characters of a finished message that are written at once; longer ones come in pieces."""

_SHORTEST_INTERVAL: Final = 0.030
_SHARE: Final = 4
"""Writing a tail may take 1/4 of the time at most: a costly one is written less often."""

_COPIED_MS: Final = 1500


class MarkdownView(QTextBrowser):
    """Shows Markdown, or plain text, in a document of its own.

    Signals:
        link_clicked: the address (http, https or mailto) that was clicked; nothing was opened.
        grew: the height has changed.
        completed: all text given is written.
    """

    link_clicked = Signal(str)
    grew = Signal()
    completed = Signal()

    def __init__(
        self, style: MarkdownStyle, highlighter: Highlighter, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._look = style
        self._highlighter = highlighter
        self._source: list[str] = []
        self._pending: list[str] = []
        self._plain = False
        self._finishing = False
        self._coloured = 0
        self._buttons: list[_CopyButton] = []
        self._written_at = 0.0
        self._interval = _SHORTEST_INTERVAL
        self._stream = MarkdownStream()
        self._writer = MarkdownDocument(self.document(), style)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._write_pending)
        self._set_up()

    def _set_up(self) -> None:
        self.setProperty("bare", True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        self.anchorClicked.connect(lambda url: self.link_clicked.emit(url.toString()))
        self.document().documentLayout().documentSizeChanged.connect(self._fit)

    # -- what is shown ----------------------------------------------------------------------

    @property
    def markdown(self) -> str:
        """The text as it was given."""
        return "".join(self._source)

    @property
    def is_complete(self) -> bool:
        """Whether all text given has been written."""
        return not self._pending and not self._timer.isActive()

    def set_text(self, text: str, *, plain: bool = False) -> None:
        """Show a finished text instead of what is there; a long one appears bit by bit."""
        self.restart()
        self._plain = plain
        self._source = [text]
        if plain:
            self._writer.write_plain(text)
            self._fit()
            return
        self._finishing = True
        self._pending = _pieces(text)
        self._write_pending()

    def append(self, text: str) -> None:
        """Take more of a text that is still being written."""
        self._source.append(text)
        self._pending.append(text)
        if not self._timer.isActive():
            wait = self._written_at + self._interval - time.perf_counter()
            if wait <= 0:
                self._write_pending()
            else:
                self._timer.start(max(1, round(wait * 1000)))

    def finish(self) -> None:
        """No more text comes."""
        self._finishing = True
        if not self._timer.isActive():
            self._write_pending()

    def set_look(self, style: MarkdownStyle) -> None:
        """Show the same text in another palette or size."""
        finishing, plain, text = self._finishing, self._plain, self.markdown
        self._look = style
        self.restart()
        self._plain = plain
        self._source = [text]
        if plain:
            self._writer.write_plain(text)
            self._fit()
            return
        self._finishing = finishing
        self._pending = _pieces(text)
        self._write_pending()

    def code_blocks(self) -> tuple[str, ...]:
        """Return the code of each block, as it was written."""
        return tuple(r.text for r in self._writer.regions if r.kind == "code")

    def restart(self) -> None:
        """Show nothing, and take a new text."""
        self._timer.stop()
        self._highlighter.forget(self.document())
        self._stream = MarkdownStream()
        self._writer.clear(self._look)
        self._pending, self._source, self._finishing, self._coloured = [], [], False, 0
        for button in self._buttons:
            button.deleteLater()
        self._buttons = []

    def _write_pending(self) -> None:
        began = time.perf_counter()
        steps: list[Step] = []
        if self._finishing and self._pending and len(self._pending[0]) >= PIECE // 2:
            steps = self._stream.feed(self._pending.pop(0))
        elif self._pending:
            steps = self._stream.feed("".join(self._pending))
            self._pending.clear()
        if self._finishing and not self._pending:
            steps = [*steps, *self._stream.finish()]
        self._writer.apply(steps)
        self._after_writing(steps)
        self._written_at = time.perf_counter()
        self._interval = max(_SHORTEST_INTERVAL, _SHARE * (self._written_at - began))
        if self._finishing and self._pending:
            self._timer.start(0)
        elif self._finishing:
            self.completed.emit()

    def _after_writing(self, steps: list[Step]) -> None:
        if any(isinstance(step, CloseCode | Freeze) for step in steps):
            self._colour_closed_code()
        self._place_buttons()
        self.viewport().update()

    def _colour_closed_code(self) -> None:
        """Ask for colours of the code blocks that were frozen since the last time."""
        frozen = self._writer.frozen_regions
        for region in frozen[self._coloured :]:
            if region.kind == "code" and region.closed:
                self._highlighter.colour(
                    self.document(),
                    region.start,
                    region.text,
                    region.language,
                    self._look.syntax,
                )
        self._coloured = len(frozen)

    # -- size -------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        """Ask for the height of the text."""
        return QSize(400, self._wanted_height())

    def minimumSizeHint(self) -> QSize:
        """Ask for the height of the text."""
        return QSize(80, self._wanted_height())

    def _wanted_height(self) -> int:
        below = CODE_PADDING if self._writer.ends_in_code else 0
        return round(self.document().size().height() + 0.5) + below

    def _fit(self) -> None:
        height = self._wanted_height()
        if height != self.height() or self.minimumHeight() != height:
            self.setFixedHeight(height)
            self.grew.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take the height that the text has at the new width."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit()
            self._place_buttons()

    # -- painting ---------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the grounds of code and the bars of quotes, then the text."""
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        clip = QRectF(event.rect())
        for region in self._writer.regions:
            box = self._box(region)
            if box.intersects(clip):
                self._paint_region(painter, region, box)
        painter.end()
        super().paintEvent(event)

    def _box(self, region: Region) -> QRectF:
        """Return where a region's ground lies, in the view's coordinates."""
        document = self.document()
        layout = document.documentLayout()
        first = layout.blockBoundingRect(document.findBlock(region.start))
        last = layout.blockBoundingRect(document.findBlock(region.end))
        width = self.viewport().width()
        if region.kind == "code":
            top = first.top() - CODE_HEADER - 8
            bottom = last.bottom() + CODE_PADDING - 2
            return QRectF(region.depth, top, width - region.depth, bottom - top)
        if region.kind == "quote":
            return QRectF(0, first.top(), width, last.bottom() - first.top())
        return QRectF(0, first.top(), width, 2)

    def _paint_region(self, painter: QPainter, region: Region, box: QRectF) -> None:
        colours = self._look.palette
        if region.kind == "code":
            painter.setPen(QPen(QColor(colours.border), 1))
            painter.setBrush(QColor(colours.code_background))
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
            self._paint_header(painter, region, box)
        elif region.kind == "quote":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.border_strong))
            for level in range(int(region.depth)):
                bar = QRectF(level * QUOTE_INDENT + 2, box.top(), 3, box.height())
                painter.drawRoundedRect(bar, 1.5, 1.5)
        else:
            painter.fillRect(QRectF(0, box.top(), box.width(), 1), QColor(colours.border))

    def _paint_header(self, painter: QPainter, region: Region, box: QRectF) -> None:
        colours, metrics = self._look.palette, self._look.metrics
        line = box.top() + CODE_HEADER - 0.5
        painter.drawLine(QPointF(box.left() + 1, line), QPointF(box.right() - 1, line))
        font = self._look.default_font()
        font.setPixelSize(metrics.font_caption)
        painter.setFont(font)
        painter.setPen(QColor(colours.text_muted))
        place = QRectF(box.left() + CODE_PADDING, box.top(), box.width() - 120, CODE_HEADER)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, region.language or "text")

    # -- the copy buttons -------------------------------------------------------------------

    def _place_buttons(self) -> None:
        regions = [r for r in self._writer.regions if r.kind == "code"]
        while len(self._buttons) > len(regions):
            self._buttons.pop().deleteLater()
        while len(self._buttons) < len(regions):
            self._buttons.append(_CopyButton(self.viewport()))
        for button, region in zip(self._buttons, regions, strict=True):
            button.region = region
            box = self._box(region)
            hint = button.sizeHint()
            button.move(
                round(box.right() - hint.width() - 5),
                round(box.top() + (CODE_HEADER - hint.height()) / 2),
            )
            button.show()

    # -- what Qt asks -----------------------------------------------------------------------

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        """Load nothing, whatever the text names."""
        return None

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the conversation."""
        event.ignore()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer to copy a selection; without one the message has its own menu."""
        if self.textCursor().hasSelection():
            super().contextMenuEvent(event)
        else:
            event.ignore()

    def createMimeDataFromSelection(self) -> QMimeData:
        """Copy text alone: our colours have no business in someone's letter."""
        data = QMimeData()
        data.setText(self.textCursor().selection().toPlainText())
        return data


class _CopyButton(QToolButton):
    """Copies one block of code."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.region: Region | None = None
        self.setProperty("kind", "ghost")
        self.setProperty("small", True)
        self.setText("Copy")
        self.setAccessibleName("Copy code")
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clicked.connect(self._copy)

    def _copy(self) -> None:
        if self.region is not None:
            QGuiApplication.clipboard().setText(self.region.text)
            self.setText("Copied")
            QTimer.singleShot(_COPIED_MS, self, lambda: self.setText("Copy"))


def _pieces(text: str) -> list[str]:
    """Cut a text into pieces of about `PIECE` characters, at line ends where there are any."""
    pieces = []
    start = 0
    while len(text) - start > PIECE:
        end = text.rfind("\n", start + PIECE // 2, start + PIECE) + 1 or start + PIECE
        pieces.append(text[start:end])
        start = end
    pieces.append(text[start:])
    return pieces
