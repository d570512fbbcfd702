"""The access token of the model hub: whether one is kept, keeping another, dropping it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from m1desk.errors import M1DeskError
from m1desk.models import hub_settings, token_name
from m1desk.store import delete_secret, get_secret, keyring_status, set_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.store import AppSettings
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.settings import SettingsViewModel


@dataclass(frozen=True, slots=True)
class TokenState:
    """What is known of the token for the hub that is asked now; never the token itself.

    Attributes:
        endpoint: the hub's address, "" while it is not known.
        is_stored: the keyring keeps one for it.
        from_environment: HF_TOKEN is set, and goes before the keyring's.
        problem: why none can be kept, "" when one can.
    """

    endpoint: str = ""
    is_stored: bool = False
    from_environment: bool = False
    problem: str = ""


class HubTokenViewModel(QObject):
    """Asks the keyring on the loop's threads: it may want a password first.

    Signals:
        changed: the new TokenState.
        token_changed: another token is in force from now on.
        failed: an M1DeskError.
    """

    changed = Signal(object)
    token_changed = Signal()
    failed = Signal(object)

    def __init__(
        self, bridge: Bridge, settings: SettingsViewModel, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._settings = settings
        self._state = TokenState()
        self._asked_for: str | None = None
        settings.changed.connect(self._on_settings_changed)

    @property
    def state(self) -> TokenState:
        """What was found last."""
        return self._state

    def refresh(self) -> None:
        """Look again."""
        self._asked_for = self._settings.settings.hub_endpoint
        self._run(read_state, self._on_read)

    def store(self, token: str) -> None:
        """Keep a token for the hub that is asked now, in place of the one there."""
        self._run(lambda settings: store_token(settings, token), self._on_changed)

    def remove(self) -> None:
        """Drop the token of the hub that is asked now."""
        self._run(remove_token, self._on_changed)

    def _run(
        self,
        work: Callable[[AppSettings], TokenState],
        on_done: Callable[[TokenState], None],
    ) -> None:
        self._bridge.submit(
            asyncio.to_thread(work, self._settings.settings),
            on_done=on_done,
            on_error=self._on_error,
        )

    def _on_read(self, state: TokenState) -> None:
        self._state = state
        self.changed.emit(state)

    def _on_changed(self, state: TokenState) -> None:
        self._on_read(state)
        self.token_changed.emit()

    def _on_settings_changed(self, settings: AppSettings) -> None:
        if self._asked_for is not None and settings.hub_endpoint != self._asked_for:
            self.refresh()

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self.failed.emit(error)


def read_state(settings: AppSettings) -> TokenState:
    """Ask the keyring whether it keeps a token; blocks."""
    try:
        endpoint = hub_settings(settings).endpoint
    except M1DeskError as error:
        return TokenState(problem=str(error))
    state = TokenState(endpoint, from_environment=bool(os.environ.get("HF_TOKEN")))
    keyring = keyring_status()
    if not keyring.usable:
        return replace(state, problem=f"No token can be kept: {keyring.reason}")
    try:
        return replace(state, is_stored=get_secret(token_name(endpoint)) is not None)
    except M1DeskError as error:
        return replace(state, problem=str(error))


def store_token(settings: AppSettings, token: str) -> TokenState:
    """Give the keyring a token; blocks. Raises BadInput for a bad address, StorageError."""
    set_secret(token_name(hub_settings(settings).endpoint), token)
    return read_state(settings)


def remove_token(settings: AppSettings) -> TokenState:
    """Have the keyring drop the token; blocks. Raises BadInput for a bad address, StorageError."""
    delete_secret(token_name(hub_settings(settings).endpoint))
    return read_state(settings)
