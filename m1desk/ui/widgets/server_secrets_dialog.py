"""Asks for the secrets of a server that are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout

from m1desk.engines import ServerSecrets
from m1desk.engines.remote.secrets import KEY
from m1desk.ui.viewmodels.servers_words import secret_name
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from m1desk.engines import ServerProfile
    from m1desk.ui.theme import Theme

_WIDTH: Final = 460


class ServerSecretsDialog(QDialog):
    """A field for each.

    Signals:
        given: the ServerSecrets, all that were asked for; the dialog has closed.
    """

    given = Signal(object)

    def __init__(
        self,
        theme: Theme,
        profile: ServerProfile,
        missing: tuple[str, ...],
        keeping: str,
        parent: QWidget | None = None,
    ) -> None:
        """Make it; `keeping` says where what is entered will be kept."""
        super().__init__(parent)
        self.setWindowTitle(f"Secrets of {profile.name}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(_WIDTH)
        self.fields = {what: QLineEdit() for what in missing}
        self.go_on = QPushButton("Go on")
        metrics = theme.metrics
        layout = QVBoxLayout(self)
        space = metrics.space_l
        layout.setContentsMargins(space, space, space, space)
        layout.setSpacing(metrics.space_s)
        layout.addWidget(
            Paragraph(f"{profile.name} ({profile.base_url}) wants to see these:", tone="strong")
        )
        for what, field in self.fields.items():
            label = Label(secret_name(what))
            label.setBuddy(field)
            field.setAccessibleName(secret_name(what))
            field.setEchoMode(QLineEdit.EchoMode.Password)
            field.textChanged.connect(lambda _text: self._on_changed())
            layout.addWidget(label)
            layout.addWidget(field)
        layout.addWidget(Paragraph(keeping, tone="caption"))
        layout.addLayout(self._foot(space))
        self._on_changed()

    def _foot(self, space: int) -> QHBoxLayout:
        self.go_on.setProperty("kind", "primary")
        self.go_on.setDefault(True)
        self.go_on.clicked.connect(self._on_given)
        cancel = QPushButton("Cancel")
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        foot = QHBoxLayout()
        foot.setContentsMargins(0, space, 0, 0)
        foot.addStretch(1)
        foot.addWidget(cancel)
        foot.addWidget(self.go_on)
        return foot

    def _on_changed(self) -> None:
        missing = any(not field.text().strip() for field in self.fields.values())
        self.go_on.setEnabled(not missing)
        self.go_on.setToolTip("Enter what it wants to see" if missing else "")

    def _on_given(self) -> None:
        values = {what: field.text().strip() for what, field in self.fields.items()}
        key = values.pop(KEY, "")
        self.accept()
        self.given.emit(ServerSecrets(key, values))
