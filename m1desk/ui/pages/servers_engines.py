"""The part Engines of the Servers page: what runs models on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from m1desk.ui.widgets.environments_panel import EnvironmentsPanel
from m1desk.ui.widgets.scrolled import scrolled

if TYPE_CHECKING:
    from PySide6.QtGui import QShowEvent

    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.environments import EnvironmentsViewModel


class ServersEngines(QWidget):
    """Looks at the engines again each time it comes into sight."""

    def __init__(
        self, theme: Theme, environments: EnvironmentsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._environments = environments
        self.panel = EnvironmentsPanel(theme, environments)
        metrics = theme.metrics
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(
            metrics.space_xl, metrics.space_s, metrics.space_xl, metrics.space_xl
        )
        column.addWidget(self.panel)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inner))

    def showEvent(self, event: QShowEvent) -> None:
        """Look at what is here."""
        super().showEvent(event)
        self._environments.refresh()
