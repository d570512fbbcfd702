"""Opening an address that a model wrote: only after the person has seen all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from m1desk.ui.widgets.confirm import confirm

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget


def ask_to_open(parent: QWidget, address: str) -> None:
    """Ask whether an address is to be opened in the browser, and open it then."""
    shown = QUrl(address).toString(QUrl.ComponentFormattingOption.FullyEncoded)
    confirm(
        parent,
        "Open this address in your browser?",
        f"It comes from the model:\n\n{shown}",
        "Open",
        lambda: QDesktopServices.openUrl(QUrl(address)),
        destroys=False,
    )
