"""Discover: which model fits which machine, how much context, how fast, and where to get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QWidget

from m1desk.ui.pages.discover_list import DiscoverList
from m1desk.ui.pages.discover_model import ModelPane

if TYPE_CHECKING:
    from PySide6.QtGui import QShowEvent

    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.discover_parts import DiscoverParts

_LIST_WIDTH: Final = 250


class DiscoverPage(QWidget):
    """The models on the left, the chosen one on the right. Reads nothing before it is shown.

    Signals:
        download_wished: repository (str) and variant (str), as `HubRepository.variant` takes it.
    """

    download_wished = Signal(str, str)

    def __init__(self, theme: Theme, parts: DiscoverParts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts = parts
        self.list = DiscoverList(theme, parts.list)
        self.pane = ModelPane(theme, parts)
        metrics = theme.metrics
        self.list.setMinimumWidth(200)
        right = QWidget()
        inner = QHBoxLayout(right)
        inner.setContentsMargins(metrics.space_l, 0, 0, 0)
        inner.addWidget(self.pane)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(1)
        splitter.addWidget(self.list)
        splitter.addWidget(right)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([_LIST_WIDTH, 1000])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(metrics.space_xl, 0, metrics.space_l, metrics.space_s)
        layout.addWidget(splitter)
        self.list.chosen.connect(parts.variants.choose)
        self.pane.download_wished.connect(self.download_wished)
        parts.list.changed.connect(self._on_list_changed)

    def showEvent(self, event: QShowEvent) -> None:
        """Read the catalog and the presets when they are first wanted."""
        super().showEvent(event)
        self._parts.open()

    def _on_list_changed(self) -> None:
        """Choose the first model of the catalog, so that there is something to see."""
        entries = self._parts.list.entries
        if self._parts.variants.entry is None and entries:
            self.list.select(entries[0].key)
