"""The Models page: Discover, My Models and Downloads, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QTabBar, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme

TabName = Literal["discover", "my_models", "downloads"]


class ModelsPage(QWidget):
    """Shows one of its parts under a bar of tabs; the parts come from outside.

    A part that is not there has no tab. The first one shown is My Models.

    Signals:
        tab_changed: name (str) of the tab now shown.
    """

    tab_changed = Signal(str)

    def __init__(
        self,
        theme: Theme,
        my_models: QWidget,
        *,
        discover: QWidget | None = None,
        downloads: QWidget | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bar = QTabBar()
        self._stack = QStackedWidget()
        self._names: list[TabName] = []
        self._lay_out(theme)
        self._add("discover", "Discover", discover)
        self._add("my_models", "My Models", my_models)
        self._add("downloads", "Downloads", downloads)
        self._bar.currentChanged.connect(self._on_chosen)
        self.show_tab("my_models")

    @property
    def tab(self) -> TabName:
        """Name of the part that is shown."""
        return self._names[self._bar.currentIndex()]

    def show_tab(self, name: TabName) -> None:
        """Show a part; one that is not there changes nothing."""
        if name in self._names:
            self._bar.setCurrentIndex(self._names.index(name))

    def set_tab_text(self, name: TabName, text: str) -> None:
        """Write something else on a tab, such as how many downloads run."""
        if name in self._names:
            self._bar.setTabText(self._names.index(name), text)

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self, theme: Theme) -> None:
        metrics = theme.metrics
        self._bar.setExpanding(False)
        self._bar.setDrawBase(False)
        self._bar.setUsesScrollButtons(False)
        self._bar.setAccessibleName("Parts of the Models page")
        title = QLabel("Models")
        title.setProperty("tone", "heading")
        head = QHBoxLayout()
        head.setContentsMargins(metrics.space_xl, 0, metrics.space_xl, 0)
        head.setSpacing(metrics.space_xl)
        head.addWidget(title)
        head.addWidget(self._bar)
        head.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, metrics.space_l, 0, 0)
        layout.setSpacing(metrics.space_m)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)

    def _add(self, name: TabName, text: str, part: QWidget | None) -> None:
        if part is not None:
            self._names.append(name)
            self._stack.addWidget(part)
            self._bar.addTab(text)

    def _on_chosen(self, index: int) -> None:
        self._stack.setCurrentIndex(index)
        self.tab_changed.emit(self._names[index])
