"""The window's sidebar: the pages, as icons with their names or as icons alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from m1desk.ui.theme import set_look
from m1desk.ui.widgets.buttons import IconButton

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme

_WIDE: Final = 184
_NARROW: Final = 56


@dataclass(frozen=True, slots=True)
class PageEntry:
    """One page: its name in settings, what is written, its icon, its shortcut as text."""

    name: str
    label: str
    icon: str
    shortcut: str


PAGES: Final = (
    PageEntry("chat", "Chat", "chat", "Ctrl+1"),
    PageEntry("documents", "Documents", "documents", "Ctrl+2"),
    PageEntry("jobs", "Jobs", "jobs", "Ctrl+3"),
    PageEntry("models", "Models", "model", "Ctrl+4"),
    PageEntry("monitor", "Monitor", "monitor", "Ctrl+5"),
    PageEntry("servers", "Servers", "server", "Ctrl+6"),
    PageEntry("settings", "Settings", "settings", "Ctrl+7"),
)


class Sidebar(QFrame):
    """Shows the pages; `set_wide(False)` leaves their icons.

    Signals:
        chosen: name of a page (str).
        toggle_wished: the button that makes it narrow or wide was pressed.
    """

    chosen = Signal(str)
    toggle_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._wide = True
        self.setProperty("panel", True)
        self.setAccessibleName("Pages")
        self._toggle = IconButton(theme, "sidebar", "Show icons only (Ctrl+B)")
        self._toggle.setFixedSize(40, 36)
        self._toggle.clicked.connect(self.toggle_wished)
        self._group = QButtonGroup(self)
        self._buttons = {entry.name: self._make_button(entry) for entry in PAGES}
        self._lay_out()
        self.set_wide(wide=True)
        self._on_theme_changed()
        theme.changed.connect(self._on_theme_changed)

    @property
    def is_wide(self) -> bool:
        """Whether the names are shown."""
        return self._wide

    def set_wide(self, *, wide: bool) -> None:
        """Show the names beside the icons, or the icons alone."""
        self._wide = wide
        self.setFixedWidth(_WIDE if wide else _NARROW)
        style = (
            Qt.ToolButtonStyle.ToolButtonTextBesideIcon
            if wide
            else Qt.ToolButtonStyle.ToolButtonIconOnly
        )
        for button in self._buttons.values():
            button.setToolButtonStyle(style)
            set_look(button, "square", not wide)
        self._toggle.set_name("Show icons only (Ctrl+B)" if wide else "Show names (Ctrl+B)")

    def set_current(self, name: str) -> None:
        """Mark a page as the one that is open."""
        self._buttons[name].setChecked(True)
        self._on_theme_changed()

    def _make_button(self, entry: PageEntry) -> QToolButton:
        button = QToolButton()
        button.setText(f"  {entry.label}")
        button.setProperty("kind", "ghost")
        button.setCheckable(True)
        button.setIconSize(QSize(self._theme.metrics.icon_l, self._theme.metrics.icon_l))
        button.setFixedHeight(36)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(f"{entry.label} ({entry.shortcut})")
        button.setAccessibleName(entry.label)
        button.clicked.connect(lambda: self.chosen.emit(entry.name))
        self._group.addButton(button)
        return button

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        space = self._theme.metrics.space_s
        layout.setContentsMargins(space, space, space, space)
        layout.setSpacing(self._theme.metrics.space_xs)
        layout.addWidget(self._toggle)
        layout.addSpacing(space)
        for entry in PAGES:
            if entry.name == "settings":
                layout.addStretch(1)
            layout.addWidget(self._buttons[entry.name])

    def _on_theme_changed(self) -> None:
        palette = self._theme.palette
        for entry in PAGES:
            button = self._buttons[entry.name]
            colour = palette.accent if button.isChecked() else palette.text_muted
            button.setIcon(self._theme.icon(entry.icon, colour))
