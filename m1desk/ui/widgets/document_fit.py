"""What can be done when documents don't fit: choices, and never a cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.theme import set_look
from m1desk.ui.units import tokens_text
from m1desk.ui.widgets.document_receipt import range_text
from m1desk.ui.widgets.document_words import count_text
from m1desk.ui.widgets.label import Label, Paragraph
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.documents import Budget
    from m1desk.ui.theme import Theme


@dataclass(frozen=True, slots=True)
class PassesChoice:
    """What is known of asking in passes.

    Attributes:
        count: how many there would be; 0 while that is not known.
        problem: why there can be none, "".
        total_seconds: all of it together as (low, high), None when not known.
        answer_tokens: the length of each answer that this rests on.
        is_chosen: whether the next question is asked so.
    """

    count: int = 0
    problem: str = ""
    total_seconds: tuple[float, float] | None = None
    answer_tokens: int = 0
    is_chosen: bool = False

    @property
    def words(self) -> str:
        """What asking so means, for a person who has to decide."""
        if not self.count:
            return self.problem or "Counting what goes into each pass…"
        time = ""
        if self.total_seconds is not None:
            time = (
                f" In all that takes about {range_text(self.total_seconds)}, with answers of "
                f"{tokens_text(self.answer_tokens)} tokens."
            )
        return (
            f"The documents are read in {count_text(self.count, 'part')}, your question is asked "
            "of each, and one answer is made of theirs. What only two parts together would say can "
            f"be missed.{time}"
        )


class FitChoices(QFrame):
    """Says by how much the documents don't fit, and offers what helps.

    Signals:
        passes_wished: whether (bool) the next question is to be asked in passes.
        context_wished: the context length (int, tokens) with which the model is to be loaded.
        leave_out_wished: the person wants to choose files to leave out.
        model_wished: another model is to be chosen.
    """

    passes_wished = Signal(bool)
    context_wished = Signal(object)
    leave_out_wished = Signal()
    model_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._wished = 0
        self.setProperty("banner", "warning")
        self._icon = Label()
        self._text = Paragraph()
        self._meaning = Paragraph(tone="muted")
        self._refusal = Paragraph(tone="muted")
        self.passes = QPushButton("Ask in passes")
        self.passes.setCheckable(True)
        self.reload = QPushButton("Reload with a longer context")
        leave_out = QPushButton("Leave files out")
        model = QPushButton("Choose another model")
        self._buttons = (self.passes, self.reload, leave_out, model)
        self.passes.clicked.connect(self.passes_wished)
        self.reload.clicked.connect(lambda: self.context_wished.emit(self._wished))
        leave_out.clicked.connect(self.leave_out_wished)
        model.clicked.connect(self.model_wished)
        self._grid = QGridLayout()
        self._columns = 0
        self._is_brief = False
        self._lay_out()
        self._tint()
        theme.changed.connect(self._tint)

    def _lay_out(self) -> None:
        self._grid.setSpacing(self._theme.metrics.space_s)
        self._arrange(len(self._buttons))
        row = QHBoxLayout()
        row.addLayout(self._grid)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(self._theme.metrics.space_s)
        for part in (self._text, self._meaning):
            column.addWidget(part)
        column.addLayout(row)
        column.addWidget(self._refusal)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(10)
        layout.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(column, 1)

    @property
    def text(self) -> str:
        """What is said of the documents' size."""
        return self._text.text()

    @property
    def meaning(self) -> str:
        """What is said of asking in passes."""
        return self._meaning.text()

    @property
    def refusal(self) -> str:
        """Why a longer context can't be had, ""."""
        return self._refusal.text()

    def set_brief(self, *, brief: bool) -> None:
        """Say less where there is little room; the choices' tooltips say the rest."""
        self._is_brief = brief
        self._refusal.setVisible(bool(self.refusal) and not brief)
        self._fit()

    def show_budget(self, budget: Budget) -> None:
        """Say what is missing."""
        self._text.setText(
            f"Documents, question and answer need {tokens_text(budget.needed_tokens)} tokens; the "
            f"context has {tokens_text(budget.context_tokens)}. "
            f"{tokens_text(budget.missing_tokens)} tokens are too many, and nothing is ever cut."
        )

    def show_context(self, tokens: int, refusal: str | None) -> None:
        """Offer a context of `tokens`, or say why not; None while that is not known."""
        self._wished = tokens
        self.reload.setText(f"Reload with a context of {tokens_text(tokens)}")
        self.reload.setEnabled(refusal == "")
        self.reload.setToolTip(
            plain_tip("Looking whether it fits…" if refusal is None else refusal)
        )
        said = f"A context of {tokens_text(tokens)} tokens: {refusal}" if refusal else ""
        self._refusal.setText(said)
        self._refusal.setVisible(bool(said) and not self._is_brief)
        self._fit()

    def show_passes(self, choice: PassesChoice) -> None:
        """Offer to ask in passes, or say why not."""
        count = count_text(choice.count, "pass", "passes")
        self.passes.setText(f"Ask in {count}" if choice.count else "Ask in passes")
        self.passes.setEnabled(choice.count > 0)
        self.passes.setChecked(choice.is_chosen and choice.count > 0)
        set_look(self.passes, "kind", "primary" if self.passes.isChecked() else "")
        self.passes.setToolTip(plain_tip(choice.words))
        self._meaning.setText(choice.words)
        self._meaning.setVisible(choice.is_chosen or bool(choice.problem))
        self._text.setVisible(not self.passes.isChecked())  # the bar above has the figures
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the choices in one row where there is room."""
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        """Take the height that what is said now needs."""
        is_done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return is_done

    def _fit(self) -> None:
        spacing = self._grid.horizontalSpacing()
        wide = sum(button.sizeHint().width() + spacing for button in self._buttons)
        room = self.width() - 60  # margins and the icon
        self._arrange(len(self._buttons) if wide <= room else 2)
        layout = self.layout()
        if layout is not None:  # wrapped text alone would let the buttons be squeezed
            self.setMinimumHeight(max(0, layout.heightForWidth(self.width())))

    def _arrange(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for number, button in enumerate(self._buttons):
            self._grid.addWidget(button, number // columns, number % columns)

    def _tint(self) -> None:
        colour = self._theme.palette.warning
        self._icon.setPixmap(icon_pixmap("alert", colour, 18, self.devicePixelRatioF()))
