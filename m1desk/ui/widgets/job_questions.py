"""The questions of a new job: a name and a text for each, to be added, changed and moved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.jobs.values import JobQuestion
from m1desk.ui.viewmodels.jobs_new import question_name
from m1desk.ui.widgets.buttons import IconButton

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme

_NAME_WIDTH: Final = 150
_TEXT_HEIGHT: Final = 58


class JobQuestions(QWidget):
    """A line for each question; an empty name is made of the question's first words.

    Signals:
        changed: something was written, added, removed or moved.
    """

    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._rows: list[_Row] = []
        self._filling = False
        self.add = QPushButton("Add question")
        self.add.clicked.connect(self._on_add)
        self._column = QVBoxLayout()
        self._column.setSpacing(theme.metrics.space_s)
        foot = QHBoxLayout()
        foot.addWidget(self.add)
        foot.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_s)
        layout.addLayout(self._column)
        layout.addLayout(foot)

    @property
    def questions(self) -> tuple[JobQuestion, ...]:
        """What was written; lines without any text are left out."""
        made: list[JobQuestion] = []
        for row in self._rows:
            name, text = " ".join(row.name.text().split()), row.text.toPlainText().strip()
            if not name and not text:
                continue
            taken = {one.name.casefold() for one in made}
            made.append(
                JobQuestion(name or question_name(text, lambda n: n.casefold() in taken), text)  # noqa: B023 - called at once
            )
        return tuple(made)

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self._rows)

    def set_questions(self, questions: tuple[JobQuestion, ...]) -> None:
        """Show these questions instead; one empty line where there are none."""
        self._filling = True
        for row in self._rows:
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self._rows = []
        for question in questions or (JobQuestion("", ""),):
            self._append(question)
        self._filling = False
        self._show_state()

    def _append(self, question: JobQuestion) -> None:
        row = _Row(self._theme, question)
        row.changed.connect(self._on_changed)
        row.remove.clicked.connect(partial(self._on_remove, row))
        row.up.clicked.connect(partial(self._on_up, row))
        self._rows.append(row)
        self._column.addWidget(row)

    def _on_add(self) -> None:
        self._append(JobQuestion("", ""))
        self._rows[-1].text.setFocus()
        self._show_state()

    def _on_remove(self, row: _Row) -> None:
        self._rows.remove(row)
        self._column.removeWidget(row)
        row.hide()
        row.deleteLater()
        if not self._rows:
            self._append(JobQuestion("", ""))
        self._show_state()

    def _on_up(self, row: _Row) -> None:
        place = self._rows.index(row)
        if place == 0:
            return
        self._rows.insert(place - 1, self._rows.pop(place))
        self._column.insertWidget(place - 1, row)
        self._show_state()

    def _on_changed(self) -> None:
        if not self._filling:
            self.changed.emit()

    def _show_state(self) -> None:
        for place, row in enumerate(self._rows):
            row.up.setEnabled(place > 0)
        self._on_changed()


class _Row(QWidget):
    changed = Signal()

    def __init__(self, theme: Theme, question: JobQuestion) -> None:
        super().__init__()
        self.name = QLineEdit(question.name)
        self.name.setPlaceholderText("Short name")
        self.name.setAccessibleName("Short name of the question")
        self.name.setFixedWidth(_NAME_WIDTH)
        self.text = QPlainTextEdit(question.text)
        self.text.setPlaceholderText("The question")
        self.text.setAccessibleName("The question")
        self.text.setTabChangesFocus(True)
        self.text.setFixedHeight(_TEXT_HEIGHT)
        self.up = IconButton(theme, "arrow-up", "Move this question up")
        self.remove = IconButton(theme, "close", "Remove this question")
        self.name.textChanged.connect(self.changed)
        self.text.textChanged.connect(self.changed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.metrics.space_s)
        top = Qt.AlignmentFlag.AlignTop
        row.addWidget(self.name, alignment=top)
        row.addWidget(self.text, 1)
        row.addWidget(self.up, alignment=top)
        row.addWidget(self.remove, alignment=top)
