"""The models a server lists: their context lengths, and which one is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.units import tokens_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from m1desk.engines import ServedModel, ServerProfile
    from m1desk.ui.theme import Theme


class ServerModels(QFrame):
    """A line a model.

    Signals:
        chosen: name (str) of the model that is to be asked.
    """

    chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._shown: object = None
        self.setProperty("card", True)
        self.setAccessibleName("Models of the server")
        title = Label("Models it lists", tone="strong")
        self._place = QVBoxLayout()
        self._grid_box: QWidget | None = None
        layout = QVBoxLayout(self)
        space = theme.metrics.space_l
        layout.setContentsMargins(space, space, space, space)
        layout.setSpacing(theme.metrics.space_m)
        layout.addWidget(title)
        layout.addLayout(self._place)

    def show_models(self, models: tuple[ServedModel, ...], profile: ServerProfile) -> None:
        """Show these; the profile's own, or else the first, is the one that is asked."""
        shown = (models, profile.model, profile.context_tokens)
        if shown == self._shown:
            return
        self._shown = shown
        if self._grid_box is not None:
            self._grid_box.hide()
            self._grid_box.deleteLater()
        self._grid_box = box = QWidget()
        grid = QGridLayout(box)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(self._theme.metrics.space_l)
        grid.setColumnStretch(0, 1)
        asked = profile.model or (models[0].name if models else "")
        for number, model in enumerate(models):
            self._add(grid, number, model, profile, is_asked=model.name == asked)
        self._place.addWidget(box)

    def _add(
        self,
        grid: QGridLayout,
        row: int,
        model: ServedModel,
        profile: ServerProfile,
        *,
        is_asked: bool,
    ) -> None:
        name = ElidedLabel(
            model.name, tone="strong" if is_asked else "", mode=Qt.TextElideMode.ElideMiddle
        )
        context = model.context_tokens or (profile.context_tokens if is_asked else 0)
        said = "" if model.context_tokens or not context else " (as you entered it)"
        words = f"{tokens_text(context)} tokens{said}" if context else "context length not said"
        length = Label(words, tone="muted")
        grid.addWidget(name, row, 0)
        grid.addWidget(length, row, 1)
        if is_asked:
            mark = Label("Asked")
            mark.setProperty("tag", True)
            grid.addWidget(mark, row, 2, Qt.AlignmentFlag.AlignCenter)
        else:
            button = QPushButton("Ask this one")
            button.setAccessibleName(f"Ask {model.name}")
            button.clicked.connect(lambda: self.chosen.emit(model.name))
            grid.addWidget(button, row, 2)
