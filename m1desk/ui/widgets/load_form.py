"""The form in which the choices for loading a model stand, and its part that opens on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QToolButton, QVBoxLayout, QWidget

from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme

FIELD_WIDTH: Final = 240
_LABEL_WIDTH: Final = 120


class AdvancedPart(QWidget):
    """A button, and below it a form that it shows and hides; add rows to `form`."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.form = load_form(theme)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.toggle = QToolButton()
        self.toggle.setText("Advanced")
        self.toggle.setProperty("kind", "ghost")
        self.toggle.setProperty("flush", True)
        self.toggle.setCheckable(True)
        self.toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggle.setIcon(theme.icon("chevron-right"))
        self._body = QWidget()
        self._body.setLayout(self.form)
        self._body.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_m)
        layout.addWidget(self.toggle, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._body)
        self.toggle.toggled.connect(self._on_toggled)

    def _on_toggled(self, shown: bool) -> None:  # noqa: FBT001 - a slot of Qt's
        self._body.setVisible(shown)
        self.toggle.setIcon(self._theme.icon("chevron-down" if shown else "chevron-right"))


def load_form(theme: Theme) -> QFormLayout:
    """Make an empty form."""
    spacing = theme.metrics.space_m
    form = QFormLayout()
    form.setHorizontalSpacing(spacing * 2)
    form.setVerticalSpacing(spacing)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    return form


def load_label(text: str) -> Label:
    """Make the name of a row, as wide as all others."""
    label = Label(text)
    label.setFixedWidth(_LABEL_WIDTH)
    return label
