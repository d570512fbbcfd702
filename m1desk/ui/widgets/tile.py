"""A small card with one figure: what it is, its value, and a word more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme


class Tile(QFrame):
    """Shows a value under its name; a dash while none is known."""

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self.setProperty("card", True)
        caption = Label(name, tone="caption")
        self._value = ElidedLabel("–", tone="title")
        self._more = ElidedLabel(" ", tone="caption")
        metrics = theme.metrics
        layout = QVBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_m
        )
        layout.setSpacing(metrics.space_xs)
        layout.addWidget(caption)
        layout.addWidget(self._value)
        layout.addWidget(self._more)
        self.setMinimumWidth(128)
        self.show_value("–")

    @property
    def value(self) -> str:
        """What is written."""
        return self._value.whole_text

    def show_value(self, value: str, more: str = "") -> None:
        """Write a value and a word more."""
        self._value.set_text(value)
        self._more.set_text(more or " ")
        self.setAccessibleName(f"{self._name}: {value} {more}".strip())
