"""The hair line between two parts."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame


def separator(*, vertical: bool = False) -> QFrame:
    """Make a line of one pixel from left to right, or from top to bottom."""
    line = QFrame()
    line.setProperty("line", True)
    if vertical:
        line.setFixedWidth(1)
    else:
        line.setFixedHeight(1)
    return line
