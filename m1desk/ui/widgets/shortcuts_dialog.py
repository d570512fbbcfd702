"""The list of keyboard shortcuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QVBoxLayout, QWidget

from m1desk.ui.actions import COMMANDS, TYPING_KEYS, native_keys
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme


class ShortcutsDialog(QDialog):
    """Shows every shortcut under the part of the window it belongs to."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._metrics = theme.metrics
        self.setWindowTitle("Keyboard shortcuts")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        grid = QGridLayout()
        grid.setHorizontalSpacing(self._metrics.space_xxl)
        grid.setVerticalSpacing(self._metrics.space_s)
        grid.setColumnStretch(0, 1)
        self._fill(grid)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        margin = self._metrics.space_xl
        layout.setContentsMargins(margin, margin, margin, self._metrics.space_l)
        layout.setSpacing(self._metrics.space_xl)
        layout.addLayout(grid)
        layout.addWidget(buttons)
        self.setMinimumWidth(440)

    def _fill(self, grid: QGridLayout) -> None:
        keys_of: dict[tuple[str, str], list[str]] = {}
        for command in COMMANDS:
            keys_of.setdefault((command.group, command.text), []).append(native_keys(command.keys))
        for keys, text, group in TYPING_KEYS:
            keys_of.setdefault((group, text), []).append(keys)
        lines = [(group, text, " · ".join(keys)) for (group, text), keys in keys_of.items()]
        row = 0
        for group in dict.fromkeys(line[0] for line in lines):
            if row:
                grid.setRowMinimumHeight(row, self._metrics.space_s)
                row += 1
            grid.addWidget(Label(group, tone="caption"), row, 0)
            row += 1
            for _, text, keys in (line for line in lines if line[0] == group):
                grid.addWidget(Label(text, tone="body"), row, 0)
                label = Label(keys, tone="muted")
                label.setAccessibleName(f"{text}: {keys}")
                grid.addWidget(label, row, 1, Qt.AlignmentFlag.AlignRight)
                row += 1
