"""An answer of a job with its quotes, what its engine took in, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.citation_chips import chip_number, show_chips
from m1desk.ui.widgets.citation_marks import MarkedAnswer, marked
from m1desk.ui.widgets.document_quotes import QuoteList
from m1desk.ui.widgets.document_receipt import ReceiptWarning, receipt_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Paragraph
from m1desk.ui.widgets.markdown_view import MarkdownView
from m1desk.ui.widgets.message_parts import ThinkingSection

if TYPE_CHECKING:
    from m1desk.jobs.results import ResultCell
    from m1desk.jobs.values import JobAnswer
    from m1desk.ui.theme import Theme
    from m1desk.ui.widgets.markdown_highlight import Highlighter
    from m1desk.ui.widgets.markdown_style import MarkdownStyle

_NOT_YET: Final = "This was not asked yet."


class JobAnswerView(QFrame):
    """Shows one cell of a job's results.

    Signals:
        citation_chosen: the JobAnswer, and number (int, from 1) of one of its citations.
        link_clicked: an address in the answer.
    """

    citation_chosen = Signal(object, int)
    link_clicked = Signal(str)

    def __init__(
        self, cell: ResultCell, theme: Theme, style: MarkdownStyle, highlighter: Highlighter
    ) -> None:
        super().__init__()
        self._cell = cell
        self._theme = theme
        self._look = style
        self._marked = MarkedAnswer("")
        self._thinking: ThinkingSection | None = None
        self.view = MarkdownView(style, highlighter)
        self.view.setAccessibleName(f"Answer to: {cell.question_text}")
        self.view.link_clicked.connect(self._on_link)
        self.view.completed.connect(self._on_completed)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.metrics.space_s)
        self._add_head()
        if cell.answer is None:
            self._add_missing()
        else:
            self._add_answer(cell.answer, highlighter)

    @property
    def cell(self) -> ResultCell:
        """What is shown."""
        return self._cell

    def set_look(self, style: MarkdownStyle) -> None:
        """Take on another palette or size."""
        self._look = style
        self.view.set_look(style)
        if self._thinking is not None:
            self._thinking.set_look(style)

    # -- making ------------------------------------------------------------------------------------

    def _add_head(self) -> None:
        cell = self._cell
        names = QVBoxLayout()
        names.setSpacing(2)
        place = " · ".join(part for part in (cell.document, cell.question) if part)
        if place:
            names.addWidget(ElidedLabel(place, tone="caption", mode=Qt.TextElideMode.ElideMiddle))
        names.addWidget(Paragraph(cell.question_text or cell.question, tone="strong"))
        copy = IconButton(self._theme, "copy", "Copy this answer")
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(cell.text))
        copy.setVisible(bool(cell.text))
        head = QHBoxLayout()
        head.setSpacing(self._theme.metrics.space_s)
        head.addLayout(names, 1)
        head.addWidget(copy, alignment=Qt.AlignmentFlag.AlignTop)
        self._layout.addLayout(head)

    def _add_missing(self) -> None:
        problem = self._cell.problem
        if problem is None:
            self._layout.addWidget(Paragraph(_NOT_YET, tone="faint"))
            return
        self._layout.addWidget(Paragraph(problem.what, tone="danger"))
        more = " ".join(part for part in (problem.why, problem.todo) if part)
        if more:
            self._layout.addWidget(Paragraph(more, tone="muted"))

    def _add_answer(self, answer: JobAnswer, highlighter: Highlighter) -> None:
        if answer.reasoning:
            section = ThinkingSection(self._theme, self._look, highlighter, running=False)
            section.link_clicked.connect(self.link_clicked)
            section.append(answer.reasoning)
            self._thinking = section
            self._layout.addWidget(section)
        self._layout.addWidget(self.view)
        self._marked = marked(answer.checked)
        self.view.set_text(self._marked.markdown)
        receipt = answer.details.receipt
        if receipt is not None and not receipt.agrees:
            self._layout.addWidget(ReceiptWarning(self._theme, receipt))
        for warning in self._cell.warnings[: 1 if answer.details.was_cut else 0]:
            self._layout.addWidget(Paragraph(warning, tone="warning"))
        if answer.details.documents:
            quotes = QuoteList(self._theme, answer.checked)
            quotes.chosen.connect(lambda number: self.citation_chosen.emit(answer, number))
            self._layout.addWidget(quotes)
        figures = " · ".join(part for part in (answer.model, receipt_text(answer.details)) if part)
        self._layout.addWidget(ElidedLabel(figures, tone="caption"))

    # -- slots -------------------------------------------------------------------------------------

    def _on_completed(self) -> None:
        if self._cell.answer is not None:
            citations = self._cell.answer.details.citations
            show_chips(self.view.document(), self._marked, citations, self._look.palette)

    def _on_link(self, address: str) -> None:
        number = chip_number(address)
        if number is None:
            self.link_clicked.emit(address)
        elif self._cell.answer is not None:
            self.citation_chosen.emit(self._cell.answer, number)
