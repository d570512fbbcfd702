"""A card of the Settings page: a title and rows of a name, a hint and a control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.scrolled import scrolled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PySide6.QtWidgets import QScrollArea

    from m1desk.ui.theme import Theme


def scrolled_cards(theme: Theme, cards: Iterable[QWidget]) -> QScrollArea:
    """Stack cards in an area that scrolls, as dialogs show them."""
    metrics = theme.metrics
    inner = QWidget()
    column = QVBoxLayout(inner)
    column.setContentsMargins(metrics.space_l, metrics.space_l, metrics.space_l, metrics.space_l)
    column.setSpacing(metrics.space_m)
    for card in cards:
        column.addWidget(card)
    column.addStretch(1)
    return scrolled(inner)


def settings_note(tone: str) -> Label:
    """Make a text of a card to be written later; what is "danger" is hidden until there is some."""
    note = Label(tone=tone, wraps=True)
    note.setVisible(tone != "danger")
    return note


class SettingsCard(QFrame):
    """Grows by `add_row` and `add_widget`."""

    def __init__(self, theme: Theme, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._metrics = theme.metrics
        self.setProperty("card", True)
        self.setAccessibleName(title)
        heading = Label(title, tone="title")
        self._column = QVBoxLayout(self)
        metrics = theme.metrics
        self._column.setContentsMargins(
            metrics.space_l, metrics.space_l, metrics.space_l, metrics.space_l
        )
        self._column.setSpacing(metrics.space_m)
        self._column.addWidget(heading)

    def add_row(self, name: str, hint: str, control: QWidget) -> QWidget:
        """Add a row; the control takes the name for screen readers unless it has one.

        What is returned is the row, which can be hidden.
        """
        if not control.accessibleName():
            control.setAccessibleName(name)
        control.setAccessibleDescription(hint)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        label = Label(name)
        label.setBuddy(control)
        texts.addWidget(label)
        if hint:
            explained = Label(hint, tone="caption", wraps=True)
            texts.addWidget(explained)
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(self._metrics.space_xl)
        row.addLayout(texts, 1)
        row.addWidget(control, alignment=Qt.AlignmentFlag.AlignRight)
        self._column.addWidget(box)
        return box

    def add_widget(self, widget: QWidget) -> None:
        """Add something that takes the whole width."""
        self._column.addWidget(widget)
