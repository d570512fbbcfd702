"""Small buttons that keep their icon in the theme's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QToolButton, QWidget

from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme


class IconButton(QToolButton):
    """A square, borderless button with an icon; its tooltip is also its accessible name."""

    def __init__(
        self,
        theme: Theme,
        icon: str,
        name: str,
        *,
        checkable: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._icon_name = icon
        self._colour: str | None = None
        self.setProperty("kind", "ghost")
        self.setProperty("square", True)
        self.setCheckable(checkable)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setIconSize(QSize(theme.metrics.icon, theme.metrics.icon))
        self.set_name(name)
        self._tint()
        theme.changed.connect(self._tint)

    def set_name(self, name: str) -> None:
        """Say what the button does, for the tooltip and for screen readers."""
        self.setToolTip(plain_tip(name))
        self.setAccessibleName(name)

    def set_icon(self, icon: str) -> None:
        """Show another of our icons."""
        self._icon_name = icon
        self._tint()

    def set_tint(self, colour: str | None) -> None:
        """Draw the icon in this colour (#rrggbb) instead of muted text."""
        self._colour = colour
        self._tint()

    def _tint(self) -> None:
        self.setIcon(self._theme.icon(self._icon_name, self._colour))
