"""The questions about a set and their answers, newest at the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QPushButton, QScrollArea, QVBoxLayout, QWidget

from m1desk.ui.widgets.document_answer import DocumentAnswer
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.markdown_highlight import Highlighter
from m1desk.ui.widgets.markdown_style import MarkdownStyle

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.documents import AskedQuestion, PassStarted
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_reading import EngineReading

FIRST: Final = 1
"""Questions made at once; the others come while the window is idle."""
PAGE: Final = 8
"""Questions shown at first, and more at a time."""

_NEAR_BOTTOM: Final = 32
_IDLE_MS: Final = 15


class DocumentThread(QScrollArea):
    """Shows the newest questions; earlier ones come when they are asked for.

    Signals:
        citation_chosen: question id and number (int, from 1) of a citation.
        passage_chosen: question id and a Citation of one of its passes.
        wished: question id and what is wanted of it (see `DocumentAnswer.wished`).
        link_clicked: an address in an answer.
    """

    citation_chosen = Signal(object, int)
    passage_chosen = Signal(object, object)
    wished = Signal(object, str)
    link_clicked = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._look = MarkdownStyle(theme.palette, theme.metrics)
        self.highlighter = Highlighter(self)
        self._earlier: list[AskedQuestion] = []
        self._wanted = 0  # of the earlier ones, those still to be made
        self._idle = QTimer(self)
        self._idle.setInterval(_IDLE_MS)
        self._idle.timeout.connect(self._make_earlier)
        self._answers: dict[int, DocumentAnswer] = {}
        self._stuck = True
        self._moving = False
        self._place: tuple[DocumentAnswer, int] | None = None
        self._column = QWidget()
        self._layout = QVBoxLayout(self._column)
        self._more = QPushButton("Show earlier questions")
        self._hint = Label(tone="faint", wraps=True)
        self._set_up()

    def _set_up(self) -> None:
        metrics = self._theme.metrics
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Questions and answers")
        self._more.setProperty("kind", "ghost")
        self._more.clicked.connect(lambda: self._want(PAGE))
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._layout.setSpacing(metrics.space_xxl)
        self._layout.addWidget(self._more, alignment=Qt.AlignmentFlag.AlignHCenter)
        self._layout.addWidget(self._hint, 1)
        self._layout.addStretch(1)
        self.setWidget(self._column)
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._on_scrolled)
        bar.rangeChanged.connect(self._restore_place)
        self._theme.changed.connect(self._on_theme_changed)
        self.set_questions(())

    # -- what is shown -----------------------------------------------------------------------------

    @property
    def answers(self) -> tuple[DocumentAnswer, ...]:
        """The questions that are shown now, in order."""
        return tuple(self._answers.values())

    def set_hint(self, text: str) -> None:
        """Set what is said where nothing was asked yet."""
        self._hint.setText(text)

    def set_questions(self, questions: tuple[AskedQuestion, ...]) -> None:
        """Show these instead, the newest ones first."""
        for answer in list(self._answers.values()):
            self._drop(answer)
        self._answers = {}
        self._earlier = list(questions)
        self._stuck = True
        for _ in questions[-FIRST:]:
            self._make_earlier()
        self._want(PAGE - FIRST)

    def add(self, question: AskedQuestion) -> None:
        """Add a question at the end and follow it."""
        self._stuck = True
        self._make(question)
        self._show_state()

    def replace(self, question: AskedQuestion) -> None:
        """Show a question in its new state."""
        answer = self._answers.get(question.id)
        if answer is not None:
            answer.show_question(question)

    def remove(self, question_id: int) -> None:
        """Take a question away."""
        self._earlier = [one for one in self._earlier if one.id != question_id]
        self._wanted = min(self._wanted, len(self._earlier))
        answer = self._answers.pop(question_id, None)
        if answer is not None:
            self._drop(answer)
        self._show_state()

    def feed(self, question_id: int, kind: str, text: str) -> None:
        """Pass on more of an answer or of its thinking."""
        answer = self._answers.get(question_id)
        if answer is not None:
            answer.append(kind, text)

    def show_reading(self, question_id: int, reading: EngineReading) -> None:
        """Show how far the engine has read for an answer."""
        answer = self._answers.get(question_id)
        if answer is not None:
            answer.show_reading(reading)

    def show_pass(self, question_id: int, started: PassStarted) -> None:
        """Show which pass runs for an answer."""
        answer = self._answers.get(question_id)
        if answer is not None:
            answer.show_pass(started)

    # -- inside ------------------------------------------------------------------------------------

    def _make(self, question: AskedQuestion, index: int | None = None) -> None:
        answer = DocumentAnswer(question, self._theme, self._look, self.highlighter)
        number = question.id
        answer.citation_chosen.connect(lambda place: self.citation_chosen.emit(number, place))
        answer.passage_chosen.connect(lambda passage: self.passage_chosen.emit(number, passage))
        answer.wished.connect(lambda wish: self.wished.emit(number, wish))
        answer.link_clicked.connect(self.link_clicked)
        place = self._layout.count() - 1 if index is None else index
        self._layout.insertWidget(place, answer)
        self._answers[number] = answer

    def _drop(self, answer: DocumentAnswer) -> None:
        if self._place is not None and self._place[0] is answer:
            self._place = None
        self.highlighter.forget(answer.view.document())
        self._layout.removeWidget(answer)
        answer.hide()
        answer.deleteLater()

    def _show_state(self) -> None:
        self._more.setVisible(len(self._earlier) > self._wanted)
        self._hint.setVisible(not self._answers)

    def _want(self, count: int) -> None:
        self._wanted = min(count, len(self._earlier))
        if self._wanted:
            self._idle.start()
        self._show_state()

    def _make_earlier(self) -> None:
        """Show the question before the first one, and hold the place that is being read."""
        self._wanted -= 1
        if self._wanted <= 0:
            self._idle.stop()
        if self._earlier:
            self._note_place()
            known = self._answers
            self._answers = {}
            self._make(self._earlier.pop(), 2)
            self._answers |= known

    # -- the place that is being read --------------------------------------------------------------

    def _on_scrolled(self) -> None:
        if not self._moving:
            bar = self.verticalScrollBar()
            self._stuck = bar.value() >= bar.maximum() - _NEAR_BOTTOM
            self._note_place()

    def _note_place(self) -> None:
        """Remember which answer is at the top, to hold it there."""
        top = self.verticalScrollBar().value()
        below = (one for one in self._answers.values() if one.geometry().bottom() >= top)
        first = None if self._stuck else next(below, None)
        self._place = None if first is None else (first, first.y() - top)

    def _restore_place(self) -> None:
        bar = self.verticalScrollBar()
        self._moving = True
        if self._stuck:
            bar.setValue(bar.maximum())
        elif self._place is not None:
            answer, offset = self._place
            bar.setValue(answer.y() - offset)
        self._moving = False

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the column readable and in the middle."""
        super().resizeEvent(event)
        metrics = self._theme.metrics
        side = max(metrics.space_l, (self.viewport().width() - metrics.text_column) // 2)
        self._layout.setContentsMargins(side, metrics.space_m, side, metrics.space_l)

    def _on_theme_changed(self) -> None:
        self._look = MarkdownStyle(self._theme.palette, self._theme.metrics)
        for answer in self._answers.values():
            answer.set_look(self._look)
        QTimer.singleShot(0, self._restore_place)
