"""The part Cluster of the Servers page: whether a model fits a cluster, and files that run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from m1desk.ui.viewmodels.recipes import proposed_server
from m1desk.ui.widgets.recipe_form import RecipeForm
from m1desk.ui.widgets.recipe_view import RecipeView
from m1desk.ui.widgets.scrolled import scrolled
from m1desk.ui.widgets.separator import separator

if TYPE_CHECKING:
    from PySide6.QtGui import QShowEvent

    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.recipes import RecipesViewModel

_FORM_WIDTH: Final = 260


class ServersCluster(QWidget):
    """Asks on the left, answers on the right.

    Signals:
        server_wished: the ServerProfile to be added, and what there is to know about it (str).
    """

    server_wished = Signal(object, str)

    def __init__(
        self, theme: Theme, recipes: RecipesViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._recipes = recipes
        self.form = RecipeForm(theme)
        self.view = RecipeView(theme)
        self._lay_out()
        self.form.changed.connect(self._on_changed)
        self.view.save_wished.connect(self._on_save)
        self.view.server_wished.connect(self._on_server)
        recipes.opened.connect(lambda: self.form.offer(recipes.models, recipes.gpus))
        recipes.planned.connect(self.view.show_recipe)
        recipes.refused.connect(self.view.show_refusal)

    def showEvent(self, event: QShowEvent) -> None:
        """Read what can be chosen when the page is first seen."""
        super().showEvent(event)
        self._recipes.open()

    def _lay_out(self) -> None:
        left, right = scrolled(self.form), scrolled(self.view)
        left.setFixedWidth(_FORM_WIDTH)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(left)
        layout.addWidget(separator(vertical=True))
        layout.addWidget(right, 1)

    def _on_changed(self) -> None:
        question = self.form.question
        if question is not None:
            self._recipes.ask(question)
            if self._recipes.is_planning:
                self.view.show_planning()

    def _on_save(self) -> None:
        dialog = QFileDialog(self, "Save the recipe into a folder")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(self._on_folder)
        dialog.open()

    def _on_folder(self, folder: str) -> None:
        if self.view.recipe is not None:
            self._recipes.write(self.view.recipe, Path(folder))

    def _on_server(self) -> None:
        recipe = self.view.recipe
        if recipe is not None and recipe.remote is not None:
            note = (
                f"Its key is {recipe.remote.key_from}. A certificate of your own authority is "
                "given under Trust."
            )
            self.server_wished.emit(proposed_server(recipe.remote), note)
