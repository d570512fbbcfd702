"""The Models page: Discover, My Models and Downloads, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from m1desk.ui.widgets.tabbed_page import TabbedPage

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from m1desk.ui.theme import Theme

TabName = Literal["discover", "my_models", "downloads"]


class ModelsPage(TabbedPage):
    """Shows one of its parts under a bar of tabs; the parts come from outside.

    A part that is not there has no tab. The first one shown is My Models.
    """

    def __init__(
        self,
        theme: Theme,
        my_models: QWidget,
        *,
        discover: QWidget | None = None,
        downloads: QWidget | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(theme, "Models", parent)
        self._add("discover", "Discover", discover)
        self._add("my_models", "My Models", my_models)
        self._add("downloads", "Downloads", downloads)
        self.show_tab("my_models")

    def _add(self, name: TabName, text: str, part: QWidget | None) -> None:
        if part is not None:
            self.add_tab(name, text, part)
