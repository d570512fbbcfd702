"""The passes of an answer: what each read and said, how they became one, and which one runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from m1desk.documents import outcome_words, pass_words, split_words
from m1desk.ui.units import seconds_text, tokens_text
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.document_quotes import QuoteList
from m1desk.ui.widgets.document_words import count_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Paragraph

if TYPE_CHECKING:
    from m1desk.documents import AnswerDetails, PassAnswer
    from m1desk.documents.passes import PassStarted
    from m1desk.ui.theme import Theme


class PassList(QWidget):
    """A summary that opens to what each pass said.

    Signals:
        passage_chosen: a Citation of one of them, to be shown in the viewer.
    """

    passage_chosen = Signal(object)

    def __init__(self, theme: Theme, details: AnswerDetails) -> None:
        super().__init__()
        self._theme = theme
        self._details = details
        self._open = False
        self._rows: QWidget | None = None  # made when they are first to be seen
        self._fold = IconButton(theme, "chevron-right", "Show or hide the passes")
        self._fold.clicked.connect(lambda: self.show_rows(shown=not self._open))
        self._title = ElidedLabel(passes_summary(details), tone="caption")
        self._layout = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_xs)
        head = QHBoxLayout()
        head.setSpacing(theme.metrics.space_xs)
        head.addWidget(self._fold)
        head.addWidget(self._title, 1)
        layout.addLayout(head)

    @property
    def text(self) -> str:
        """The summary."""
        return self._title.whole_text

    def show_rows(self, *, shown: bool) -> None:
        """Open or fold the passes."""
        self._open = shown
        if shown and self._rows is None:
            self._rows = self._make_rows()
            self._layout.addWidget(self._rows)
        if self._rows is not None:
            self._rows.setVisible(shown)
        self._fold.set_icon("chevron-down" if shown else "chevron-right")

    def _make_rows(self) -> QWidget:
        rows = QWidget()
        column = QVBoxLayout(rows)
        column.setContentsMargins(self._theme.metrics.space_xl, 0, 0, 0)
        column.setSpacing(self._theme.metrics.space_m)
        split = split_words(self._details.passes)
        if split:
            column.addWidget(Paragraph(split, tone="muted"))
        for one in self._details.passes:
            row = PassRow(self._theme, one)
            row.passage_chosen.connect(self.passage_chosen)
            column.addWidget(row)
        return rows


class PassRow(QWidget):
    """One pass: its pages, its answer and its quotes.

    Signals:
        passage_chosen: a Citation, to be shown in the viewer.
    """

    passage_chosen = Signal(object)

    def __init__(self, theme: Theme, one: PassAnswer) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(Paragraph(pass_words(one), tone="strong"))
        layout.addWidget(Paragraph(one.answer))
        if one.details.was_cut:
            cut = "This answer was cut: its room was used up."
            layout.addWidget(Paragraph(cut, tone="warning"))
        citations = one.details.citations
        if citations:
            quotes = QuoteList(theme, one.checked)
            quotes.chosen.connect(lambda number: self.passage_chosen.emit(citations[number - 1]))
            layout.addWidget(quotes)
        layout.addWidget(Paragraph(_figures(one), tone="faint"))


class GoOn(QWidget):
    """Offers to go on with a question that was cut off between its passes.

    Signals:
        wished: the person wants that.
    """

    wished = Signal()

    def __init__(self, theme: Theme, details: AnswerDetails) -> None:
        super().__init__()
        kept = Paragraph(
            "The passes that have ended are kept; only the rest is read.", tone="muted"
        )
        button = QPushButton("Go on")
        button.setToolTip(passes_summary(details))
        button.clicked.connect(self.wished)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_m)
        layout.addWidget(button)
        layout.addWidget(kept, 1)


def passes_summary(details: AnswerDetails) -> str:
    """Say how the passes became an answer, or how many of them have ended."""
    read = [one for one in details.passes if not one.combines]
    if details.outcome:
        pages = sum(span.pages for one in read for span in one.spans if span.part <= 1)
        covered = count_text(pages, "page")
        return f"{outcome_words(details.outcome, details.passes)} {covered} read, none left out."
    return f"{len(read):,} of {count_text(details.planned_passes, 'pass', 'passes')} done"


def pass_line(started: PassStarted) -> str:
    """Say which pass runs, and over which pages."""
    if started.combines:
        return f"Combining {count_text(len(started.combines), 'answer')}"
    pages = ", ".join(span.words for span in started.spans)
    return f"Pass {started.number:,} of {started.passes:,} · {pages}"


def _figures(one: PassAnswer) -> str:
    details = one.details
    parts = []
    if details.receipt is not None:
        receipt = details.receipt
        parts.append(
            f"{tokens_text(receipt.read_tokens)} tokens read, "
            f"{tokens_text(receipt.reused_tokens)} reused"
        )
        parts += [] if receipt.agrees else [f"{tokens_text(receipt.expected_tokens)} were SENT"]
    if details.seconds is not None:
        parts.append(seconds_text(details.seconds))
    return " · ".join(parts)
