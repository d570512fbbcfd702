"""A field for a file: typed, or chosen in a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme


class FileField(QWidget):
    """A path and a button to choose it; `name` is told to screen readers.

    Signals:
        changed: the path.
    """

    changed = Signal()

    def __init__(
        self, theme: Theme, name: str, filters: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._name = name
        self._filters = filters
        self.field = QLineEdit()
        self.field.setAccessibleName(name)
        self.field.textChanged.connect(lambda _text: self.changed.emit())
        choose = QPushButton("Choose…")
        choose.setAutoDefault(False)
        choose.setAccessibleName(f"Choose: {name}")
        choose.clicked.connect(self._on_choose)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_s)
        layout.addWidget(self.field, 1)
        layout.addWidget(choose)

    @property
    def path(self) -> str:
        """The path, "" for none."""
        return self.field.text().strip()

    def set_path(self, path: str) -> None:
        """Show a path."""
        self.field.setText(path)

    def _on_choose(self) -> None:
        dialog = QFileDialog(self, self._name)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([self._filters, "All files (*)"])
        dialog.fileSelected.connect(self.field.setText)
        dialog.open()
