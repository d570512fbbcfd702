"""How large a dialog opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PySide6.QtWidgets import QDialog

_EDGE: Final = 40
"""What is seen of the window around it (pixels, both sides together)."""


def open_within_window(dialog: QDialog, width: int, height: int) -> None:
    """Give a dialog this size (pixels), or less if the window it belongs to is hardly larger."""
    parent = dialog.parentWidget()
    if parent is not None:
        room = parent.window().size()
        width, height = min(width, room.width() - _EDGE), min(height, room.height() - _EDGE)
    dialog.resize(width, height)
