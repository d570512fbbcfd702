"""The cards of the dialog for a server: where it is, its secrets, whom to trust, the way there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QLineEdit

from m1desk.engines import ServerProfile, ServerSecrets
from m1desk.engines.remote.profiles import parse_host_and_port, parse_ssh
from m1desk.errors import BadInput
from m1desk.ui.widgets.calm_fields import choice, free_choice, text_line, whole_number
from m1desk.ui.widgets.file_field import FileField
from m1desk.ui.widgets.label import Paragraph
from m1desk.ui.widgets.server_headers import KEPT, ServerHeaders
from m1desk.ui.widgets.settings_card import SettingsCard

if TYPE_CHECKING:
    from m1desk.engines import ServedModel, SshTunnel
    from m1desk.ui.theme import Theme

_FIELD: Final = 380
_MOST_TOKENS: Final = 100_000_000
_PEM: Final = "Certificates (*.pem *.crt *.cer)"
_KEYS: Final = "Keys (*.pem *.key)"
_TRUST: Final = (
    ("system", "The system's authorities"),
    ("authority", "An authority of your own"),
    ("pinned", "One certificate alone"),
)


class AddressCard(SettingsCard):
    """Its name, its address, the model to ask."""

    changed = Signal()

    def __init__(self, theme: Theme, models: tuple[ServedModel, ...] = ()) -> None:
        super().__init__(theme, "Server")
        self.name = text_line("Lab", _FIELD)
        self.address = text_line("https://example.org/prefix", _FIELD)
        names = [(one.name, one.name) for one in models]
        self.model, line = free_choice("Model", names, "The first that it lists")
        self.model.setFixedWidth(_FIELD)
        self.context = whole_number("", 0, _MOST_TOKENS, step=1024, suffix=" tokens")
        self.context.setSpecialValueText("As the server says")
        self.context.setFixedWidth(_FIELD)
        self.add_row("Name", "What you call it.", self.name)
        self.add_row(
            "Address",
            "With the path that a proxy may want. A /v1 at its end is left out.",
            self.address,
        )
        self.add_row("Model", "A test lists what there is.", self.model)
        self.add_row(
            "Context length", "For a server that does not say. Documents need it.", self.context
        )
        for field in (self.name, self.address, line):
            field.textChanged.connect(lambda _text: self.changed.emit())

    def show_profile(self, profile: ServerProfile) -> None:
        """Show a server's settings."""
        self.name.setText(profile.name)
        self.address.setText(profile.base_url)
        self.model.setEditText(profile.model)
        self.context.setValue(profile.context_tokens)

    def fill(self, profile: ServerProfile) -> ServerProfile:
        """Return the profile with what is entered here."""
        return replace(
            profile,
            name=self.name.text(),
            base_url=self.address.text(),
            model=self.model.currentText().strip(),
            context_tokens=self.context.value(),
        )


class SecretsCard(SettingsCard):
    """Its key and headers."""

    changed = Signal()

    def __init__(self, theme: Theme, keeping: str) -> None:
        super().__init__(theme, "Key and headers")
        self.wants_key = QCheckBox("It wants a key")
        self.key = text_line("", _FIELD)
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.headers = ServerHeaders(theme)
        self.note = Paragraph(keeping, tone="caption")
        self.key.setAccessibleName("Key")
        self.add_row("Key", "Sent as a bearer key.", self.wants_key)
        self._key_row = self.add_row("The key itself", "", self.key)
        self.add_widget(self.note)
        self.add_widget(Paragraph("More headers"))
        self.add_widget(self.headers)
        self.wants_key.toggled.connect(lambda _on: self._on_changed())
        self.key.textChanged.connect(lambda _text: self.changed.emit())
        self.headers.changed.connect(self.changed)
        self._on_changed()

    def show_profile(self, profile: ServerProfile, hint: str) -> None:
        """Show a server's settings; `hint` says where its key is found."""
        self.wants_key.setChecked(profile.wants_key)
        self.key.setPlaceholderText(hint)
        self.headers.show_headers(profile)

    def fill(self, profile: ServerProfile) -> ServerProfile:
        """Return the profile with what is entered here, but for the secrets."""
        return replace(
            profile,
            wants_key=self.wants_key.isChecked(),
            headers=self.headers.plain,
            secret_headers=self.headers.secret_names,
        )

    @property
    def secrets(self) -> ServerSecrets:
        """The secrets that were typed."""
        key = self.key.text().strip() if self.wants_key.isChecked() else ""
        return ServerSecrets(key, self.headers.secrets)

    def _on_changed(self) -> None:
        self._key_row.setVisible(self.wants_key.isChecked())
        self.changed.emit()


class TrustCard(SettingsCard):
    """Whose certificates are trusted, and who asks."""

    changed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Trust")
        self.kind = choice("", _TRUST)
        self.kind.setFixedWidth(_FIELD)
        self.authority = FileField(theme, "File of the authority", _PEM)
        self.pinned = text_line("SHA-256 fingerprint; the test shows it", _FIELD)
        self.certificate = FileField(theme, "Client certificate", _PEM)
        self.client_key = FileField(theme, "Key of the client certificate", _KEYS)
        for field in (self.authority, self.certificate, self.client_key):
            field.setFixedWidth(_FIELD)
            field.changed.connect(self.changed)
        self.add_row("Its certificate is trusted by", "For https.", self.kind)
        self._authority_row = self.add_row("File of the authority", "PEM.", self.authority)
        self._pinned_row = self.add_row(
            "Fingerprint", "Whoever signed it, whatever its name and date.", self.pinned
        )
        self.add_row("Client certificate", "Only if the server asks who you are.", self.certificate)
        self.add_row("Its key", "PEM, not encrypted.", self.client_key)
        self.kind.currentIndexChanged.connect(lambda _index: self._on_kind())
        self.pinned.textChanged.connect(lambda _text: self.changed.emit())
        self._on_kind()

    def show_profile(self, profile: ServerProfile) -> None:
        """Show a server's settings."""
        kind = "pinned" if profile.pinned_sha256 else "authority" if profile.ca_file else "system"
        self.kind.setCurrentIndex(self.kind.findData(kind))
        self.authority.set_path(profile.ca_file)
        self.pinned.setText(profile.pinned_sha256)
        self.certificate.set_path(profile.client_certificate)
        self.client_key.set_path(profile.client_key)

    def fill(self, profile: ServerProfile) -> ServerProfile:
        """Return the profile with what is entered here; raises BadInput when a field is empty."""
        kind = self.kind.currentData()
        ca_file = self.authority.path if kind == "authority" else ""
        pinned = self.pinned.text().strip() if kind == "pinned" else ""
        if kind == "authority" and not ca_file:
            raise BadInput("The file of the authority is missing.", "", "Choose a PEM file.")
        if kind == "pinned" and not pinned:
            raise BadInput("The fingerprint is missing.", "", "Test the server: it is shown there.")
        return replace(
            profile,
            ca_file=ca_file,
            pinned_sha256=pinned,
            client_certificate=self.certificate.path,
            client_key=self.client_key.path,
        )

    def _on_kind(self) -> None:
        kind = self.kind.currentData()
        self._authority_row.setVisible(kind == "authority")
        self._pinned_row.setVisible(kind == "pinned")
        self.changed.emit()


class TunnelCard(SettingsCard):
    """The way through another machine."""

    changed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "SSH tunnel")
        self.through = text_line("user@host, or a name of ssh's configuration", _FIELD)
        self.leads_to = text_line("127.0.0.1:8000", _FIELD)
        self.config = FileField(theme, "Configuration of ssh", "All (*)")
        self.config.setFixedWidth(_FIELD)
        self.add_row(
            "Through",
            "Empty: the server is reached directly. ssh must get in without asking.",
            self.through,
        )
        self.add_row(
            "To", "Where the server is as seen from there, if not at its address.", self.leads_to
        )
        self.add_row("Configuration", "That ssh reads instead of yours.", self.config)
        for field in (self.through, self.leads_to):
            field.textChanged.connect(lambda _text: self.changed.emit())
        self.config.changed.connect(self.changed)

    def show_profile(self, profile: ServerProfile) -> None:
        """Show a server's settings."""
        tunnel = profile.tunnel
        if tunnel is not None:
            port = f":{tunnel.port}" if tunnel.port else ""
            self.through.setText(tunnel.destination + port)
            if tunnel.forward_host:
                self.leads_to.setText(f"{tunnel.forward_host}:{tunnel.forward_port}")
            self.config.set_path(tunnel.config_file)

    def fill(self, profile: ServerProfile) -> ServerProfile:
        """Return the profile with what is entered here; raises BadInput."""
        return replace(profile, tunnel=self._tunnel())

    def _tunnel(self) -> SshTunnel | None:
        through, to = self.through.text().strip(), self.leads_to.text().strip()
        if not through:
            if to:
                raise BadInput("The tunnel leads somewhere, but through no machine.")
            return None
        tunnel = replace(parse_ssh(through), config_file=self.config.path)
        if to:
            host, port = parse_host_and_port(to)
            tunnel = replace(tunnel, forward_host=host, forward_port=port)
        return tunnel


def key_hint(profile: ServerProfile, *, is_missing: bool) -> str:
    """What an empty field for the key says about a server that was added."""
    return KEPT if profile.wants_key and not is_missing else "Key"
