"""The settings card of the model hub: address, access token, offline mode, downloads at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QPushButton, QWidget

from m1desk.models import HUGGING_FACE
from m1desk.ui.theme import set_look
from m1desk.ui.widgets.calm_fields import whole_number
from m1desk.ui.widgets.settings_card import SettingsCard, settings_note

if TYPE_CHECKING:
    from m1desk.store import AppSettings
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.download_items import HubPart
    from m1desk.ui.viewmodels.settings import SettingsViewModel
    from m1desk.ui.viewmodels.settings_hub import HubTokenViewModel, TokenState

_FIELD: Final = 300
_MOST_AT_ONCE: Final = 8
_MAKE_ONE_AT: Final = "/settings/tokens"


class HubCard(SettingsCard):
    """Changes the settings as they are touched; the token goes to the keyring alone."""

    def __init__(
        self,
        theme: Theme,
        settings: SettingsViewModel,
        token: HubTokenViewModel,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(theme, "Model hub and downloads", parent)
        self._settings = settings
        self._token = token
        self._address = QLineEdit()
        self._address.setPlaceholderText(HUGGING_FACE)
        self._address.setFixedWidth(_FIELD)
        self._address_note = settings_note("danger")
        self._field = QLineEdit()
        self._field.setEchoMode(QLineEdit.EchoMode.Password)
        self._field.setPlaceholderText("hf_…")
        self._store = QPushButton("Save")
        self._store.setAccessibleName("Save the access token")
        self._remove = QPushButton("Remove")
        self._remove.setAccessibleName("Remove the access token")
        self._token_note = settings_note("muted")
        self._offline = QCheckBox()
        self._at_once = whole_number("", 1, _MOST_AT_ONCE)
        self._at_once.setFixedWidth(200)
        self._lay_out()
        self._show_settings(settings.settings)
        self._show_token(token.state)
        self._connect()

    def focus_on(self, part: HubPart) -> None:
        """Put the cursor where a token is entered, or the focus on the switch of offline mode."""
        (self._field if part == "token" else self._offline).setFocus()

    def _lay_out(self) -> None:
        self.add_row(
            "Address",
            "Where models are found and fetched from: Hugging Face, or a mirror of it.",
            self._address,
        )
        self.add_widget(self._address_note)
        entry = QWidget()
        row = QHBoxLayout(entry)
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self._field, self._store, self._remove):
            row.addWidget(widget)
        entry.setFixedWidth(_FIELD)
        self._field.setAccessibleName("Access token")
        self.add_row(
            "Access token",
            "For gated and private models. It is kept in the system's keyring and nowhere else.",
            entry,
        )
        self.add_widget(self._token_note)
        self.add_row(
            "Offline mode",
            "No question and no download goes to the hub; models that are here work as ever.",
            self._offline,
        )
        self.add_row("Downloads at once", "Others wait for their turn.", self._at_once)

    def _connect(self) -> None:
        self._address.editingFinished.connect(self._on_address)
        self._field.textChanged.connect(lambda _text: self._show_token(self._token.state))
        self._field.returnPressed.connect(self._on_store)
        self._store.clicked.connect(self._on_store)
        self._remove.clicked.connect(self._token.remove)
        self._offline.toggled.connect(lambda on: self._settings.change(offline=on))
        self._at_once.valueChanged.connect(
            lambda value: self._settings.change(parallel_downloads=value)
        )
        self._settings.changed.connect(self._show_settings)
        self._token.changed.connect(self._show_token)

    def _on_address(self) -> None:
        text = self._address.text().strip().rstrip("/")
        problem = address_problem(text)
        self._address_note.setText(problem)
        self._address_note.setVisible(bool(problem))
        if not problem:
            self._settings.change(hub_endpoint=text)

    def _on_store(self) -> None:
        token = self._field.text().strip()
        if token:
            self._field.clear()
            self._token.store(token)

    def _show_settings(self, settings: AppSettings) -> None:
        if not self._address.hasFocus():
            self._address.setText(settings.hub_endpoint)
        self._offline.setChecked(settings.offline)
        self._at_once.setValue(settings.parallel_downloads)

    def _show_token(self, state: TokenState) -> None:
        entered = bool(self._field.text().strip())
        self._field.setEnabled(not state.problem)
        self._field.setToolTip(state.problem)
        self._store.setEnabled(entered and not state.problem)
        self._store.setToolTip(state.problem or ("" if entered else "Enter a token first"))
        self._remove.setVisible(state.is_stored)
        self._token_note.setText(_token_text(state))
        set_look(self._token_note, "tone", "success" if state.is_stored else "muted")


def address_problem(text: str) -> str:
    """Why `text` can't be the hub's address, "" when it can; empty stands for Hugging Face."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        fits = False
    if not fits:
        return "That is not the address of a hub. Enter one like https://example.org."
    if "@" in parts.netloc:
        return "Leave name and password out of the address: it is not kept secret."
    return ""


def _token_text(state: TokenState) -> str:
    if state.problem:
        return state.problem
    if not state.endpoint:
        return "Asking the keyring…"
    host = urlsplit(state.endpoint).netloc
    if state.from_environment:
        return f"HF_TOKEN of the environment is used for {host}."
    if state.is_stored:
        return f"A token for {host} is stored."
    return f"No token for {host} is stored. You make one at {state.endpoint}{_MAKE_ONE_AT}."
