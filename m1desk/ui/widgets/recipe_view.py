"""What came of planning a cluster: the verdict, what to do, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import code_font, set_look
from m1desk.ui.units import bytes_text, tokens_text
from m1desk.ui.widgets.calm_fields import choice
from m1desk.ui.widgets.label import Paragraph, shrinkable

if TYPE_CHECKING:
    from m1desk.errors import M1DeskError
    from m1desk.recipes import Recipe
    from m1desk.ui.theme import Theme

_PREVIEW: Final = 320
_STEPS: Final = "What to do"
_NO_FILES: Final = "There are no files: it does not fit"


class RecipeView(QWidget):
    """Shows a recipe.

    Signals:
        save_wished: the files are to be saved.
        server_wished: the server that they make is to be added.
    """

    save_wished = Signal()
    server_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._recipe: Recipe | None = None
        self._verdict = Paragraph(tone="title")
        self._why = shrinkable(Paragraph(tone="muted"))
        self._notes = shrinkable(Paragraph())
        self.files = choice("File", [])
        self.preview = QPlainTextEdit()
        self.copy = QPushButton("Copy")
        self.save = QPushButton("Save all…")
        self.server = QPushButton("Add as a server…")
        self._files = QFrame()
        self._steps = QFrame()
        self._lay_out()
        self._connect()
        self._show(None)
        self._on_theme_changed()

    @property
    def recipe(self) -> Recipe | None:
        """What is shown."""
        return self._recipe

    @property
    def verdict(self) -> str:
        """Whether it fits, in a line."""
        return self._verdict.text()

    @property
    def why(self) -> str:
        """Why, and what would fit instead."""
        return self._why.text()

    def show_planning(self) -> None:
        """Say that an answer is on its way."""
        self._verdict.setText("Planning…")
        set_look(self._verdict, "tone", "muted")

    def show_recipe(self, recipe: Recipe) -> None:
        """Show what came of it."""
        fits = recipe.verdict == "fits"
        self._verdict.setText(_verdict(recipe))
        set_look(self._verdict, "tone", "success" if fits else "danger")
        self._why.setText(" ".join((*recipe.reasons, *recipe.plan.alternatives)))
        self._show(recipe if fits else None)

    def show_refusal(self, error: M1DeskError) -> None:
        """Show why nothing could be planned."""
        self._verdict.setText(error.what)
        set_look(self._verdict, "tone", "danger")
        self._why.setText(" ".join(part for part in (error.why, error.todo) if part))
        self._show(None)

    def _show(self, recipe: Recipe | None) -> None:
        self._recipe = recipe
        for part in (self._files, self._steps):
            part.setVisible(recipe is not None)
        for button in (self.copy, self.save, self.server):
            button.setEnabled(recipe is not None)
            button.setToolTip("" if recipe is not None else _NO_FILES)
        shown = self.files.currentText()
        self.files.blockSignals(True)
        self.files.clear()
        for one in recipe.files if recipe is not None else ():
            self.files.addItem(one.name, one.text)
        self.files.setCurrentIndex(max(0, self.files.findText(shown)))
        self.files.blockSignals(False)
        self._on_file()
        if recipe is not None:
            notes = (note.replace("`", "") for note in recipe.notes)
            numbered = (f"{number}. {note}" for number, note in enumerate(notes, start=1))
            self._notes.setText("\n".join(numbered))

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        space = metrics.space_l
        self.preview.setReadOnly(True)
        self.preview.setAccessibleName("Text of the file")
        self.preview.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.preview.setMinimumHeight(_PREVIEW)
        self.save.setProperty("kind", "primary")
        row = QHBoxLayout()
        row.setSpacing(metrics.space_s)
        row.addWidget(self.files, 1)
        for button in (self.copy, self.save, self.server):
            row.addWidget(button)
        self._files.setProperty("card", True)
        inner = QVBoxLayout(self._files)
        inner.setContentsMargins(space, space, space, space)
        inner.setSpacing(metrics.space_m)
        inner.addLayout(row)
        inner.addWidget(self.preview, 1)
        self._steps.setProperty("card", True)
        steps = QVBoxLayout(self._steps)
        steps.setContentsMargins(space, space, space, space)
        steps.setSpacing(metrics.space_s)
        steps.addWidget(Paragraph(_STEPS, tone="strong"))
        steps.addWidget(self._notes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_xl, space, metrics.space_xl, metrics.space_xl)
        layout.setSpacing(metrics.space_m)
        layout.addWidget(self._verdict)
        layout.addWidget(self._why)
        layout.addWidget(self._files, 1)
        layout.addWidget(self._steps)
        layout.addStretch(0)

    def _connect(self) -> None:
        self.files.currentIndexChanged.connect(lambda _index: self._on_file())
        self.copy.clicked.connect(self._on_copy)
        self.save.clicked.connect(self.save_wished)
        self.server.clicked.connect(self.server_wished)
        self._theme.changed.connect(self._on_theme_changed)

    def _on_file(self) -> None:
        self.preview.setPlainText(self.files.currentData() or "")

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.preview.toPlainText())

    def _on_theme_changed(self) -> None:
        self.preview.setFont(code_font(self._theme.metrics.font_caption))


def _verdict(recipe: Recipe) -> str:
    plan, layout = recipe.plan, recipe.plan.layout
    if recipe.verdict != "fits" or layout is None:
        context = tokens_text(plan.wish.context_tokens)
        return f"It does not run on {plan.cluster.text} with {context} tokens of context."
    weights = bytes_text(layout.fit.weights_bytes)
    return (
        f"It fits on {layout.nodes} × {layout.gpus_per_node} GPUs: {weights} of weights on each, "
        f"vLLM {plan.version} (estimates)."
    )
