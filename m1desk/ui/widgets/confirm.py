"""A question before something is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from m1desk.ui.theme import set_look

if TYPE_CHECKING:
    from collections.abc import Callable


def confirm(
    parent: QWidget,
    title: str,
    text: str,
    yes: str,
    run: Callable[[], object],
    *,
    destroys: bool = True,
) -> None:
    """Ask, and call `run` if the answer is `yes`; nothing waits for the answer.

    `destroys`: something is lost by it, and the button looks like that.
    """
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle("M1 Desk")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(title)
    box.setInformativeText(text)
    accept = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole))
    set_look(accept, "kind", "danger" if destroys else "primary")
    accept.clicked.connect(lambda _=False: run())
    box.open()
