"""The questions before a model is deleted: what goes, what that frees, and whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox

from m1desk.ui.theme import set_look
from m1desk.ui.units import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

    from m1desk.models import Removal

_PATHS_SHOWN = 4


def ask_to_delete(
    title: str, removal: Removal, on_agreed: Callable[[], object], parent: QWidget
) -> None:
    """Ask, and call `on_agreed` for a yes; a model that is not ours to delete is only explained."""
    if removal.refusal:
        tell_why_not(f"{title} can't be deleted from here.", removal, parent)
        return
    box = _box(f"Delete {title}?", _consequences(removal), parent)
    box.setIcon(QMessageBox.Icon.Warning)
    delete = box.addButton("Delete", QMessageBox.ButtonRole.DestructiveRole)
    set_look(delete, "kind", "danger")
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    box.buttonClicked.connect(lambda button: on_agreed() if button is delete else None)
    box.open()


def tell_why_not(what: str, removal: Removal, parent: QWidget) -> None:
    """Say why a model stays, and what to do instead."""
    _box(what, f"{removal.refusal}\n\n{removal.todo}".strip(), parent).open()


def tell_in_use(title: str, parent: QWidget) -> None:
    """Say that a loaded model is not deleted."""
    _box(f"{title} is loaded.", "Unload it first, then delete it.", parent).open()


def _consequences(removal: Removal) -> str:
    count = len(removal.paths)
    what = "It is" if count == 1 else f"Its {count} files are"
    lines = [f"{what} deleted for good, and {bytes_text(removal.frees_bytes)} become free."]
    if removal.model.source == "huggingface":
        lines.append("It lies in the Hugging Face cache, which other programs use too.")
    if removal.note:
        lines.append(removal.note)
    shown = [str(path) for path in removal.paths[:_PATHS_SHOWN]]
    if count > _PATHS_SHOWN:
        shown.append(f"and {count - _PATHS_SHOWN} more")
    return "\n\n".join([*lines, "\n".join(shown)])


def _box(text: str, more: str, parent: QWidget) -> QMessageBox:
    box = QMessageBox(parent)
    box.setWindowTitle("Delete model")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(text)
    box.setInformativeText(more)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return box
