"""The settings while the window is open: read once, changed in one place, saved at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.store import AppSettings, SettingsStore


class SettingsViewModel(QObject):
    """Holds the settings; a change that can't be saved still rules until the window closes.

    Signals:
        changed: the new AppSettings.
        save_failed: a StorageError.
    """

    changed = Signal(object)
    save_failed = Signal(object)

    def __init__(
        self, store: SettingsStore, *, keep: bool = True, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._keep = keep
        self._settings = store.load()

    @property
    def settings(self) -> AppSettings:
        """The settings now."""
        return self._settings

    def change(self, **fields: Any) -> None:  # noqa: ANN401 - replace() knows the names and types
        """Set fields of AppSettings by name and save them; TypeError for an unknown name."""
        changed = replace(self._settings, **fields)
        if changed == self._settings:
            return
        self._settings = changed
        if self._keep:
            self._save()
        self.changed.emit(changed)

    def remember_model(self, path: Path) -> None:
        """Put a model first among those used lately."""
        text = str(path)
        self.change(last_model_path=text, recent_models=self._settings.recent_with(text))

    def forget_model(self, path: Path) -> None:
        """Take a model out of those used lately and those added."""
        now = self._settings
        self.change(
            recent_models=tuple(entry for entry in now.recent_models if entry != str(path)),
            added_models=tuple(entry for entry in now.added_models if entry != str(path)),
        )

    def _save(self) -> None:
        try:
            self._store.save(self._settings)
        except StorageError as error:
            self.save_failed.emit(error)
