"""The foot of a dialog: what it says, Cancel, and the button that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton

if TYPE_CHECKING:
    from PySide6.QtWidgets import QDialog, QWidget

    from m1desk.ui.theme import Theme


def dialog_foot(
    theme: Theme, dialog: QDialog, said: QWidget, accept: QPushButton, *others: QPushButton
) -> QHBoxLayout:
    """Lay out the foot: `accept` answers Enter too, `others` stand before Cancel."""
    metrics = theme.metrics
    accept.setProperty("kind", "primary")
    accept.setDefault(True)
    cancel = QPushButton("Cancel")
    cancel.clicked.connect(dialog.reject)
    for button in (*others, cancel):
        button.setAutoDefault(False)
    foot = QHBoxLayout()
    foot.setContentsMargins(metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_m)
    foot.setSpacing(metrics.space_s)
    foot.addWidget(said, 1)
    for button in (*others, cancel, accept):
        foot.addWidget(button, alignment=Qt.AlignmentFlag.AlignVCenter)
    return foot
