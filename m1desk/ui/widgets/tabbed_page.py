"""A page of several parts, one at a time, under its title and a bar of tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme


class TabbedPage(QWidget):
    """Shows one of its parts; they come from outside, with `add_tab`.

    Signals:
        tab_changed: name (str) of the tab now shown.
    """

    tab_changed = Signal(str)

    def __init__(self, theme: Theme, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = QTabBar()
        self._stack = QStackedWidget()
        self._names: list[str] = []
        self._lay_out(theme, title)
        self._bar.currentChanged.connect(self._on_chosen)

    @property
    def tab(self) -> str:
        """Name of the part that is shown."""
        return self._names[self._bar.currentIndex()]

    def add_tab(self, name: str, text: str, part: QWidget) -> None:
        """Add a part; `name` is for the code, `text` is on the tab."""
        self._names.append(name)
        self._stack.addWidget(part)
        self._bar.addTab(text)

    def show_tab(self, name: str) -> None:
        """Show a part; one that is not there changes nothing."""
        if name in self._names:
            self._bar.setCurrentIndex(self._names.index(name))

    def set_tab_text(self, name: str, text: str) -> None:
        """Write something else on a tab, such as how many downloads run."""
        if name in self._names:
            self._bar.setTabText(self._names.index(name), text)

    def _lay_out(self, theme: Theme, title: str) -> None:
        metrics = theme.metrics
        self._bar.setExpanding(False)
        self._bar.setDrawBase(False)
        self._bar.setUsesScrollButtons(False)
        self._bar.setAccessibleName(f"Parts of the {title} page")
        heading = Label(title, tone="heading")
        head = QHBoxLayout()
        head.setContentsMargins(metrics.space_xl, 0, metrics.space_xl, 0)
        head.setSpacing(metrics.space_xl)
        head.addWidget(heading)
        head.addWidget(self._bar)
        head.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, metrics.space_l, 0, 0)
        layout.setSpacing(metrics.space_m)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)

    def _on_chosen(self, index: int) -> None:
        self._stack.setCurrentIndex(index)
        self.tab_changed.emit(self._names[index])
