"""The dialog in which a vLLM is named that is on this machine already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QDialog, QPushButton, QVBoxLayout, QWidget

from m1desk.engines.environments.values import check_name, check_reference
from m1desk.errors import BadInput
from m1desk.ui.theme import set_look
from m1desk.ui.widgets.calm_fields import add_choice, choice, text_line
from m1desk.ui.widgets.dialog_foot import dialog_foot
from m1desk.ui.widgets.dialog_size import open_within_window
from m1desk.ui.widgets.file_field import FileField
from m1desk.ui.widgets.label import Paragraph
from m1desk.ui.widgets.separator import separator
from m1desk.ui.widgets.settings_card import SettingsCard, scrolled_cards

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.environments import EnvironmentsViewModel

_SIZE: Final = (720, 440)
_FIELD: Final = 340
_INTERPRETER: Final = "interpreter"
_IMAGE: Final = "image"
_TOOLS: Final = (("", "podman, else docker"), ("podman", "podman"), ("docker", "docker"))
_TESTED: Final = "It is asked for its version and never changed."


class VllmHereDialog(QDialog):
    """Takes in what is named when it is accepted; the panel of engines shows how far that is."""

    def __init__(
        self, theme: Theme, environments: EnvironmentsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._environments = environments
        self.setWindowTitle("Add an existing vLLM")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.name = text_line("lab", _FIELD)
        self.place = choice("", [(_INTERPRETER, "A Python interpreter")])
        add_choice(self.place, _IMAGE, "A container image", environments.image_refusal)
        self.python = FileField(theme, "Interpreter", "Interpreters (python*)")
        self.python.field.setPlaceholderText("…/bin/python")
        self.image = text_line("docker.io/vllm/vllm-openai:v0.23.0", _FIELD)
        self.tool = choice("", _TOOLS)
        self.pull = QCheckBox("Fetch it if it is not here")
        self.add = QPushButton("Add")
        for field in (self.place, self.python, self.tool, self.pull):
            field.setFixedWidth(_FIELD)
        self._said = Paragraph(tone="muted")
        self._image_rows: tuple[QWidget, ...] = ()
        self._python_row = QWidget()
        self._lay_out(theme)
        self._connect()
        self._on_changed()

    @property
    def said(self) -> str:
        """What stands beside the buttons: what is missing, or what is wrong."""
        return self._said.text()

    def _lay_out(self, theme: Theme) -> None:
        card = SettingsCard(theme, "A vLLM that is on this machine")
        card.add_row("Name", "Small letters, digits, points and dashes.", self.name)
        card.add_row("Where it is", "", self.place)
        self._python_row = card.add_row(
            "Interpreter", "The one of the environment that vLLM is installed in.", self.python
        )
        self._image_rows = (
            card.add_row("Image", "With its tag; what it names now is what runs.", self.image),
            card.add_row("Run by", "", self.tool),
            card.add_row("Not here yet", "Several gigabytes.", self.pull),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scrolled_cards(theme, (card,)), 1)
        layout.addWidget(separator())
        layout.addLayout(dialog_foot(theme, self, self._said, self.add))
        open_within_window(self, *_SIZE)

    def _connect(self) -> None:
        self.place.currentIndexChanged.connect(lambda _row: self._on_changed())
        for field in (self.name, self.image):
            field.textChanged.connect(lambda _text: self._on_changed())
        self.python.changed.connect(self._on_changed)
        self.add.clicked.connect(self._on_add)

    @property
    def _is_image(self) -> bool:
        return bool(self.place.currentData() == _IMAGE)

    def _on_changed(self) -> None:
        self._python_row.setVisible(not self._is_image)
        for row in self._image_rows:
            row.setVisible(self._is_image)
        reason = ""
        if not self.name.text().strip():
            reason = "Give it a name"
        elif self._is_image and not self.image.text().strip():
            reason = "Enter the image's name"
        elif not self._is_image and not self.python.path:
            reason = "Choose its interpreter"
        self.add.setEnabled(not reason)
        self.add.setToolTip(reason)
        self._say(reason or _TESTED, "muted")

    def _on_add(self) -> None:
        name, image = self.name.text().strip(), self.image.text().strip()
        try:
            check_name(name)
            if self._is_image:
                check_reference(image)
        except BadInput as error:
            self._say(str(error), "danger")
            return
        self.accept()
        if self._is_image:
            tool, pull = self.tool.currentData(), self.pull.isChecked()
            self._environments.take_in_image(name, image, tool=tool, pull=pull)
        else:
            self._environments.take_in(name, Path(self.python.path))

    def _say(self, text: str, tone: str) -> None:
        self._said.setText(text)
        set_look(self._said, "tone", tone)
