"""The dialog in which a server is added or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QPushButton, QVBoxLayout, QWidget

from m1desk.engines import ServerProfile
from m1desk.engines.remote.profiles import checked, parse_address
from m1desk.errors import BadInput, M1DeskError
from m1desk.ui.theme import set_look
from m1desk.ui.viewmodels.servers_words import keeping_text
from m1desk.ui.widgets.dialog_foot import dialog_foot
from m1desk.ui.widgets.dialog_size import open_within_window
from m1desk.ui.widgets.label import Paragraph
from m1desk.ui.widgets.separator import separator
from m1desk.ui.widgets.server_cards import (
    AddressCard,
    SecretsCard,
    TrustCard,
    TunnelCard,
    key_hint,
)
from m1desk.ui.widgets.settings_card import scrolled_cards

if TYPE_CHECKING:
    from m1desk.engines import ServedModel
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.servers import KnownServer, ServersViewModel

_SIZE: Final = (780, 720)
_KEEPS: Final = "Secrets stay as they are unless you type others."
_MOVED: Final = "At another address its secrets are asked for anew: the old ones are deleted."


class ServerDialog(QDialog):
    """Begins with a server to `change`; or empty; or with one that is proposed, and a `note` on it.

    `models` are those that the server is known to list.

    Signals:
        saved: name (str) of the server; the dialog has closed.
    """

    saved = Signal(str)

    def __init__(
        self,
        theme: Theme,
        servers: ServersViewModel,
        *,
        change: KnownServer | None = None,
        begin_with: ServerProfile | None = None,
        note: str = "",
        models: tuple[ServedModel, ...] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._servers = servers
        self._change = change
        self._saving = ""
        self.setWindowTitle("Add a server" if change is None else f"Change {change.profile.name}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.server = AddressCard(theme, models)
        self.secrets = SecretsCard(theme, keeping_text(servers.keyring))
        self.trust = TrustCard(theme)
        self.tunnel = TunnelCard(theme)
        self.save = QPushButton("Add the server" if change is None else "Save")
        self._said = Paragraph(tone="muted")
        self._note = note
        self._lay_out()
        self._show(change, begin_with or ServerProfile("", ""))
        self._connect()
        self._on_changed()

    @property
    def said(self) -> str:
        """What stands beside the buttons: what is missing, or what went wrong."""
        return self._said.text()

    def _show(self, change: KnownServer | None, begin_with: ServerProfile) -> None:
        profile = begin_with if change is None else change.profile
        for card in (self.server, self.trust, self.tunnel):
            card.show_profile(profile)
        is_missing = change is None or bool(change.missing)
        self.secrets.show_profile(profile, key_hint(profile, is_missing=is_missing))

    def _lay_out(self) -> None:
        cards = (self.server, self.secrets, self.trust, self.tunnel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scrolled_cards(self._theme, cards), 1)
        layout.addWidget(separator())
        layout.addLayout(dialog_foot(self._theme, self, self._said, self.save))
        open_within_window(self, *_SIZE)

    def _connect(self) -> None:
        for card in (self.server, self.secrets, self.trust, self.tunnel):
            card.changed.connect(self._on_changed)
        self.save.clicked.connect(self._on_save)
        self._servers.saved.connect(self._on_saved)
        self._servers.not_saved.connect(self._on_not_saved)

    def _profile(self) -> ServerProfile:
        """The server as it is entered; raises BadInput."""
        profile = self.server.fill(ServerProfile("", ""))
        return checked(self.tunnel.fill(self.trust.fill(self.secrets.fill(profile))))

    def _is_moved(self) -> bool:
        """Whether scheme, host or port are others than before."""
        try:
            entered = parse_address(self.server.address.text())
        except BadInput:
            return False
        return self._change is not None and entered.origin != self._change.profile.address.origin

    def _on_changed(self) -> None:
        reason = ""
        if not self.server.name.text().strip():
            reason = "Give it a name"
        elif not self.server.address.text().strip():
            reason = "Enter its address"
        self.save.setEnabled(not reason and not self._saving)
        self.save.setToolTip(reason)
        keeps = "" if self._change is None else _MOVED if self._is_moved() else _KEEPS
        self._say(reason or self._note or keeps, "muted")

    def _on_save(self) -> None:
        try:
            profile = self._profile()
        except BadInput as error:
            self._tell(error)
            return
        self._saving = profile.name
        self.save.setEnabled(False)
        if self._change is None:
            self._servers.add(profile, self.secrets.secrets)
        else:
            self._servers.update(profile, self.secrets.secrets, was=self._change.profile.name)

    def _on_saved(self, name: str) -> None:
        if name == self._saving:
            self.accept()
            self.saved.emit(name)

    def _on_not_saved(self, error: M1DeskError) -> None:
        if self._saving:
            self._saving = ""
            self._on_changed()
            self._tell(error)

    def _tell(self, error: M1DeskError) -> None:
        self._say(" ".join(part for part in (error.what, error.why, error.todo) if part), "danger")

    def _say(self, text: str, tone: str) -> None:
        self._said.setText(text)
        set_look(self._said, "tone", tone)
