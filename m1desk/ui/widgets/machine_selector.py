"""Chooses the machine that models are planned for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from m1desk.ui.theme import set_look
from m1desk.ui.viewmodels.discover_machine import machine_text
from m1desk.ui.widgets.calm_fields import choice
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from m1desk.errors import M1DeskError
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.discover_machine import MachineViewModel

_FILE: Final = "from file"
_WIDTH: Final = 290


class MachineSelector(QWidget):
    """A list of machines; under it, that this computer is awaited, or why a file was refused."""

    def __init__(
        self, theme: Theme, machines: MachineViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._machines = machines
        self._box = choice("Machine to plan for", ())
        self._box.setFixedWidth(_WIDTH)
        self._about = ElidedLabel(tone="caption")
        self._about.setFixedWidth(_WIDTH)
        self._lay_out(theme)
        self._box.activated.connect(self._on_activated)
        machines.choices_changed.connect(self._on_choices)
        machines.changed.connect(self._on_changed)
        machines.failed.connect(self._on_failed)
        self._on_choices()

    @property
    def about(self) -> str:
        """That the machine is awaited, or why a file was refused; "" when there is nothing."""
        return self._about.whole_text

    def _lay_out(self, theme: Theme) -> None:
        self._about.setVisible(False)
        label = Label("Plan for", tone="muted")
        label.setBuddy(self._box)
        row = QHBoxLayout()
        row.setSpacing(theme.metrics.space_s)
        row.addWidget(label)
        row.addWidget(self._box)
        below = QHBoxLayout()
        below.addStretch(1)
        below.addWidget(self._about)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addLayout(below)

    def _on_choices(self) -> None:
        self._box.clear()
        for key, name in self._machines.choices:
            self._box.addItem(name, key)
        self._box.insertSeparator(1)
        self._box.insertSeparator(self._box.count())
        self._box.addItem("From file…", _FILE)
        self._on_changed()

    def _on_changed(self) -> None:
        self._box.setCurrentIndex(self._box.findData(self._machines.key))
        current = self._machines.current
        if current is None:
            self._say("Looking at this computer…")
            return
        self._say("")
        about = "\n".join((machine_text(current.machine), *current.machine.sources))
        self._box.setToolTip(plain_tip(about))
        self._box.setAccessibleDescription(about)

    def _say(self, text: str, tone: str = "caption") -> None:
        self._about.set_text(text)
        self._about.set_detail(text)
        self._about.setVisible(bool(text))
        set_look(self._about, "tone", tone)

    def _on_failed(self, error: M1DeskError) -> None:
        self._say(str(error), "danger")

    def _on_activated(self, index: int) -> None:
        key = self._box.itemData(index)
        if key == _FILE:
            self._box.setCurrentIndex(self._box.findData(self._machines.key))
            self._pick()
        elif key is not None:
            self._machines.choose(key)

    def _pick(self) -> None:
        dialog = QFileDialog(self, "Machine to plan for", "", "Machines (*.json)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self._machines.choose_file(Path(path)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
