"""A question about documents and its answer, with checked quotes and the receipt."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.citation_chips import chip_number, show_chips
from m1desk.ui.widgets.citation_marks import MarkedAnswer, marked
from m1desk.ui.widgets.document_passes import GoOn, PassList, pass_line
from m1desk.ui.widgets.document_quotes import QuoteList
from m1desk.ui.widgets.document_reading import EngineProgress
from m1desk.ui.widgets.document_receipt import ReceiptWarning, receipt_details, receipt_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.markdown_view import MarkdownView
from m1desk.ui.widgets.message_parts import ErrorSection, ThinkingSection

if TYPE_CHECKING:
    from PySide6.QtGui import QContextMenuEvent

    from m1desk.documents import AskedQuestion, PassStarted
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_reading import EngineReading
    from m1desk.ui.widgets.markdown_highlight import Highlighter
    from m1desk.ui.widgets.markdown_style import MarkdownStyle

_CUT: Final = (
    "The answer ends here because its room was used up: the context is full, or the limit for "
    "answers was reached."
)
_ENDED_EARLY: Final = {
    "stopped": "You stopped this answer.",
    "interrupted": "This answer was cut off.",
}


class DocumentAnswer(QFrame):
    """Shows a question; a growing answer is fed by `append` and replaced by `show_question`.

    Signals:
        citation_chosen: number (int, from 1) of a citation to be shown in the viewer.
        passage_chosen: a Citation of a pass, to be shown in the viewer.
        wished: "again", "go_on", "delete", "sent_text", "markdown", "html" or "json".
        link_clicked: an address in the answer.
    """

    citation_chosen = Signal(int)
    passage_chosen = Signal(object)
    wished = Signal(str)
    link_clicked = Signal(str)

    def __init__(
        self, question: AskedQuestion, theme: Theme, style: MarkdownStyle, highlighter: Highlighter
    ) -> None:
        super().__init__()
        self._question = question
        self._theme = theme
        self._look = style
        self._highlighter = highlighter
        self._marked = MarkedAnswer("")
        self._thinking: ThinkingSection | None = None
        self._progress: EngineProgress | None = None
        self._pass_line: ElidedLabel | None = None
        self._parts: list[QWidget] = []  # what stands below the text
        self._heading = Label(tone="title", wraps=True)
        self._menu_button = IconButton(theme, "more", "What can be done with this answer")
        self.view = MarkdownView(style, highlighter)
        self._layout = QVBoxLayout(self)
        self._lay_out()
        self._menu_button.clicked.connect(self._on_menu)
        self.view.link_clicked.connect(self._on_link)
        self.view.completed.connect(self._on_completed)
        self.show_question(question)

    # -- what is shown -----------------------------------------------------------------------------

    @property
    def question(self) -> AskedQuestion:
        """The question as it was last given."""
        return self._question

    @property
    def progress(self) -> EngineProgress | None:
        """How far the engine has read, while it reads."""
        return self._progress

    @property
    def pass_text(self) -> str:
        """Which pass runs, "" while none does."""
        return self._pass_line.whole_text if self._pass_line is not None else ""

    @property
    def parts(self) -> tuple[QWidget, ...]:
        """What stands below the answer's text: warnings, quotes, errors, figures."""
        return tuple(self._parts)

    def show_question(self, question: AskedQuestion) -> None:
        """Show the question and its answer in the state that is given."""
        self._question = question
        self._heading.setText(question.question)
        self.view.setAccessibleName(f"Answer to: {question.question}")
        self._drop_parts()
        self._show_thinking(question)
        if question.state == "streaming":
            self._show_streaming(question)
            return
        self._drop_progress()
        self._drop_pass_line()
        self._marked = marked(question.checked)
        self.view.setVisible(bool(question.answer))
        self.view.set_text(self._marked.markdown)
        self._show_parts(question)

    def show_pass(self, started: PassStarted) -> None:
        """Show which pass runs; what is appended from now on belongs to it."""
        if self._thinking is not None:
            self._thinking.hide()
            self._thinking.deleteLater()
            self._thinking = None
        self.view.restart()
        self.view.hide()
        if self._pass_line is None:
            self._pass_line = ElidedLabel("", tone="strong")
            self._layout.insertWidget(1, self._pass_line)
        self._pass_line.set_text(pass_line(started))
        self._drop_progress()
        self._add_progress()

    def append(self, kind: str, text: str) -> None:
        """Take more of the answer ("text") or of the thinking before it ("reasoning")."""
        self._drop_progress()
        if kind == "reasoning":
            (self._thinking or self._add_thinking(running=True)).append(text)
            return
        if self._thinking is not None:
            self._thinking.finish()
        self.view.setVisible(True)
        self.view.append(text)

    def show_reading(self, reading: EngineReading) -> None:
        """Show how far the engine has read."""
        if self._progress is not None:
            self._progress.show_reading(reading)

    def set_look(self, style: MarkdownStyle) -> None:
        """Take on another palette or size."""
        self._look = style
        self.view.set_look(style)
        if self._thinking is not None:
            self._thinking.set_look(style)

    # -- parts -------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self._heading.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        head = QHBoxLayout()
        head.addWidget(self._heading, 1)
        head.addWidget(self._menu_button, alignment=Qt.AlignmentFlag.AlignTop)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(self._theme.metrics.space_s)
        self._layout.addLayout(head)
        self._layout.addWidget(self.view)

    def _show_streaming(self, question: AskedQuestion) -> None:
        if question.details.passes:
            self._add_passes(question)
        self.view.restart()
        self.view.setVisible(bool(question.answer))
        if question.answer:
            self.view.append(question.answer)
        elif self._progress is None and not question.reasoning:
            self._add_progress()

    def _add_progress(self) -> None:
        self._progress = EngineProgress(self._theme)
        self._layout.insertWidget(self._layout.indexOf(self.view), self._progress)

    def _add_passes(self, question: AskedQuestion) -> None:
        passes = PassList(self._theme, question.details)
        passes.passage_chosen.connect(self.passage_chosen)
        self._add_part(passes)

    def _show_thinking(self, question: AskedQuestion) -> None:
        if self._thinking is not None:
            if question.state != "streaming":
                self._thinking.finish()
        elif question.reasoning:
            running = question.state == "streaming" and not question.answer
            self._add_thinking(running=running).append(question.reasoning)

    def _add_thinking(self, *, running: bool) -> ThinkingSection:
        section = ThinkingSection(self._theme, self._look, self._highlighter, running=running)
        section.link_clicked.connect(self.link_clicked)
        self._layout.insertWidget(1, section)
        self._thinking = section
        return section

    def _show_parts(self, question: AskedQuestion) -> None:
        receipt = question.details.disagreeing
        if receipt is not None:
            self._add_part(ReceiptWarning(self._theme, receipt))
        if question.details.was_cut:
            self._add_part(Label(_CUT, tone="warning", wraps=True))
        if question.answer:
            quotes = QuoteList(self._theme, question.checked)
            quotes.chosen.connect(self.citation_chosen)
            self._add_part(quotes)
        if question.details.passes:
            self._add_passes(question)
        if question.can_go_on:
            go_on = GoOn(self._theme, question.details)
            go_on.wished.connect(lambda: self.wished.emit("go_on"))
            self._add_part(go_on)
        if question.state in {"failed", "interrupted"}:
            self._add_part(self._make_error(question))
        if question.details.prepared_note:
            note = f"The documents were read again: {question.details.prepared_note}"
            self._add_part(Label(note, tone="muted", wraps=True))
        text = receipt_text(question.details) or _ENDED_EARLY.get(question.state, "")
        if text:
            footer = ElidedLabel(text, tone="caption")
            footer.set_detail(receipt_details(question))
            self._add_part(footer)

    def _make_error(self, question: AskedQuestion) -> QWidget:
        text = question.error or "The answer was interrupted."
        section = ErrorSection(
            self._theme, text, severe=question.state == "failed", kept=False, ready=True
        )
        section.wished.connect(lambda _: self.wished.emit("again"))
        return section

    def _add_part(self, part: QWidget) -> None:
        self._parts.append(part)
        self._layout.addWidget(part)

    def _drop_parts(self) -> None:
        for part in self._parts:
            part.hide()
            part.deleteLater()
        self._parts = []

    def _drop_progress(self) -> None:
        if self._progress is not None:
            self._progress.hide()
            self._progress.deleteLater()
            self._progress = None

    def _drop_pass_line(self) -> None:
        if self._pass_line is not None:
            self._pass_line.hide()
            self._pass_line.deleteLater()
            self._pass_line = None

    # -- slots -------------------------------------------------------------------------------------

    def _on_completed(self) -> None:
        if self._question.state != "streaming":
            citations = self._question.details.citations
            show_chips(self.view.document(), self._marked, citations, self._look.palette)

    def _on_link(self, address: str) -> None:
        number = chip_number(address)
        if number is None:
            self.link_clicked.emit(address)
        else:
            self.citation_chosen.emit(number)

    def _on_menu(self) -> None:
        corner = self._menu_button.rect().bottomRight()
        menu = self._make_menu()
        place = self._menu_button.mapToGlobal(corner)
        place.setX(place.x() - menu.sizeHint().width())
        menu.popup(place)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer what the button offers."""
        self._make_menu().popup(event.globalPos())

    def _make_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        has_answer = bool(self._question.answer)
        menu.addAction("Copy answer", self._copy).setEnabled(has_answer)
        for name, kind in (("Markdown", "markdown"), ("HTML", "html"), ("JSON", "json")):
            action = menu.addAction(f"Export as {name}…", partial(self.wished.emit, kind))
            action.setEnabled(has_answer)
        menu.addSeparator()
        menu.addAction("View the exact text sent", lambda: self.wished.emit("sent_text"))
        menu.addAction("Ask again", lambda: self.wished.emit("again"))
        menu.addSeparator()
        delete = menu.addAction("Delete…", lambda: self.wished.emit("delete"))
        delete.setEnabled(self._question.state != "streaming")
        return menu

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._question.answer)
