"""What a page shows when it has nothing to show: what belongs here and how to get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme


class EmptyState(QWidget):
    """An icon, a title, an explanation, and buttons for the next step."""

    def __init__(
        self,
        theme: Theme,
        icon: str,
        title: str,
        text: str,
        *,
        buttons: tuple[QPushButton, ...] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._icon = icon
        self._picture = Label()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._title = _centred(title, "title")
        self._text = _centred(text, "muted")
        self._text.setMaximumWidth(520)
        self._text.setMinimumWidth(320)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._lay_out(buttons)
        self._on_theme_changed()
        theme.changed.connect(self._on_theme_changed)

    def set_text(self, title: str, text: str) -> None:
        """Say something else."""
        self._title.setText(title)
        self._text.setText(text)

    def _lay_out(self, buttons: tuple[QPushButton, ...]) -> None:
        metrics = self._theme.metrics
        layout = QVBoxLayout(self)
        layout.setSpacing(metrics.space_m)
        layout.addStretch(2)
        layout.addWidget(self._picture)
        layout.addWidget(self._title)
        # With an alignment the layout would not ask how high the text is at its width, and cut it.
        text_row = QHBoxLayout()
        text_row.addStretch(1)
        text_row.addWidget(self._text, 1000)
        text_row.addStretch(1)
        layout.addLayout(text_row)
        row = QHBoxLayout()
        row.setSpacing(metrics.space_s)
        row.addStretch(1)
        for button in buttons:
            row.addWidget(button)
        row.addStretch(1)
        layout.addSpacing(metrics.space_xs)
        layout.addLayout(row)
        layout.addStretch(3)

    def _on_theme_changed(self) -> None:
        ratio = self.devicePixelRatioF()
        colour = self._theme.palette.text_faint
        self._picture.setPixmap(icon_pixmap(self._icon, colour, 40, ratio))


def _centred(text: str, tone: str) -> Label:
    label = Label(text, tone=tone, wraps=True)
    label.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
    return label
