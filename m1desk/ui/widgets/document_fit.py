"""What can be done when documents don't fit: choices, and never a cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.units import tokens_text

if TYPE_CHECKING:
    from m1desk.documents import Budget
    from m1desk.ui.theme import Theme


class FitChoices(QFrame):
    """Says by how much the documents don't fit, and offers what helps.

    Signals:
        context_wished: the context length (int, tokens) with which the model is to be loaded.
        leave_out_wished: the person wants to choose files to leave out.
        model_wished: another model is to be chosen.
    """

    context_wished = Signal(object)
    leave_out_wished = Signal()
    model_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._wished = 0
        self.setProperty("banner", "warning")
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self.reload = QPushButton("Reload with a longer context")
        leave_out = QPushButton("Leave files out")
        model = QPushButton("Choose another model")
        self.reload.clicked.connect(lambda: self.context_wished.emit(self._wished))
        leave_out.clicked.connect(self.leave_out_wished)
        model.clicked.connect(self.model_wished)
        row = QHBoxLayout()
        row.setSpacing(theme.metrics.space_s)
        for button in (self.reload, leave_out, model):
            row.addWidget(button)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(theme.metrics.space_s)
        column.addWidget(self._text)
        column.addLayout(row)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(10)
        layout.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(column, 1)
        self._tint()
        theme.changed.connect(self._tint)

    @property
    def text(self) -> str:
        """What is said."""
        return self._text.text()

    def show_budget(self, budget: Budget, wished_context: int) -> None:
        """Say what is missing; `wished_context` (tokens) would be enough."""
        self._wished = wished_context
        self._text.setText(
            f"Documents, question and answer need {tokens_text(budget.needed_tokens)} tokens; the "
            f"context has {tokens_text(budget.context_tokens)}. "
            f"{tokens_text(budget.missing_tokens)} tokens are too many, and nothing is ever cut."
        )
        self.reload.setText(f"Reload with a context of {tokens_text(wished_context)}")

    def _tint(self) -> None:
        colour = self._theme.palette.warning
        self._icon.setPixmap(icon_pixmap("alert", colour, 18, self.devicePixelRatioF()))
