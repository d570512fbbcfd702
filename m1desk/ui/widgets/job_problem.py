"""Why a job stopped, and the ways on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from m1desk.jobs.values import Problem
    from m1desk.ui.theme import Theme


class JobProblem(QFrame):
    """Says what, why and what to do.

    Signals:
        retry_wished: the job is to be tried again as it is.
        change_wished: a new job like it is to be put together, with another model or documents.
    """

    retry_wished = Signal()
    change_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setProperty("banner", "danger")
        self._icon = Label()
        self._what = Paragraph(tone="strong")
        self._more = Paragraph()
        self.retry = QPushButton("Try again")
        self.change = QPushButton("Change and run as a new job…")
        self.change.setToolTip("Choose another model, other documents or a longer context")
        self.retry.clicked.connect(self.retry_wished)
        self.change.clicked.connect(self.change_wished)
        row = QHBoxLayout()
        row.setSpacing(theme.metrics.space_s)
        row.addWidget(self.retry)
        row.addWidget(self.change)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(theme.metrics.space_xs)
        column.addWidget(self._what)
        column.addWidget(self._more)
        column.addSpacing(theme.metrics.space_xs)
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
        """All that is said."""
        return f"{self._what.text()} {self._more.text()}".strip()

    def show_problem(self, problem: Problem) -> None:
        """Show why a job stopped."""
        self._what.setText(problem.what)
        more = " ".join(part for part in (problem.why, problem.todo) if part)
        self._more.setText(more)
        self._more.setVisible(bool(more))
        self.setAccessibleName(self.text)

    def _tint(self) -> None:
        colour = self._theme.palette.danger
        self._icon.setPixmap(icon_pixmap("alert", colour, 18, self.devicePixelRatioF()))
