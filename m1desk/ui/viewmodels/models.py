"""The models on this machine: our folder's, the user's, other programs', and those added."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from m1desk.errors import M1DeskError
from m1desk.models import OtherPlaces, Removal, plan_removal, remove_model
from m1desk.ui.viewmodels.model_entries import (
    FileReport,
    ModelEntry,
    ModelList,
    find_entries,
    inspect_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.store import AppSettings
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.settings import SettingsViewModel


class ModelsViewModel(QObject):
    """Looks at the disk on the loop's threads and keeps the list.

    `own` is the app's folder for models; `others` are other programs', by default this user's.

    Signals:
        changed: the list is new (read `entries`).
        failed: an M1DeskError.
        deleted: the ModelEntry that was deleted and the bytes freed (object: more than 32 bits).
    """

    changed = Signal()
    failed = Signal(object)
    deleted = Signal(object, object)

    def __init__(
        self,
        bridge: Bridge,
        settings: SettingsViewModel,
        own: Path,
        *,
        others: OtherPlaces | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._settings = settings
        self._own = own
        self._others = others
        self._list = ModelList(())
        self._scanned = False
        self._scanning = False
        self._again = False
        self._places = _places(settings.settings)
        settings.changed.connect(self._on_settings_changed)

    @property
    def entries(self) -> tuple[ModelEntry, ...]:
        """The models, by name."""
        return self._list.entries

    @property
    def whole_entries(self) -> tuple[ModelEntry, ...]:
        """Those to choose from: nothing that is still being fetched."""
        return tuple(entry for entry in self.entries if entry.is_whole)

    @property
    def gguf_entries(self) -> tuple[ModelEntry, ...]:
        """Those for llama.cpp: no checkpoints, nothing that is still being fetched."""
        return tuple(entry for entry in self.entries if entry.is_gguf)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each place that could not be looked into."""
        return self._list.notes

    @property
    def folder(self) -> Path:
        """The folder models are fetched to."""
        return self._settings.settings.models_place(self._own)

    @property
    def was_scanned(self) -> bool:
        """Whether the list has been made at least once."""
        return self._scanned

    def refresh(self) -> None:
        """Look at the folders again; while that is being done, once more afterwards."""
        if self._scanning:
            self._again = True
            return
        self._scanning = True
        settings = self._settings.settings
        listed = dict.fromkeys((*settings.added_models, *settings.recent_models))
        self._bridge.submit(
            asyncio.to_thread(
                find_entries,
                self._own,
                settings.folders_beside(self._own),
                tuple(Path(path) for path in listed),
                self._others,
            ),
            on_done=self._on_found,
            on_error=self._on_not_found,
        )

    def inspect(self, path: Path, on_done: Callable[[FileReport], None]) -> None:
        """Look into a file and call `on_done` on the GUI thread; what is wrong is in the report."""
        self._bridge.submit(asyncio.to_thread(inspect_file, path), on_done=on_done)

    def add(self, *paths: Path) -> None:
        """List files, wherever they lie; a folder is looked into from now on."""
        settings = self._settings.settings
        files = [str(path.absolute()) for path in paths if not path.is_dir()]
        folders = [str(path.absolute()) for path in paths if path.is_dir()]
        self._settings.change(
            added_models=tuple(dict.fromkeys((*files, *settings.added_models))),
            model_folders=tuple(dict.fromkeys((*settings.model_folders, *folders))),
        )
        self.refresh()

    def remove(self, entry: ModelEntry) -> None:
        """Take a model off the list; its file stays."""
        self._settings.forget_model(entry.path)
        self.refresh()

    def plan_deletion(self, entry: ModelEntry, on_planned: Callable[[Removal], None]) -> None:
        """Find out what deleting a model would do, and call `on_planned` on the GUI thread."""
        self._bridge.submit(
            asyncio.to_thread(plan_removal, entry.model),
            on_done=on_planned,
            on_error=self._on_error,
        )

    def delete(self, entry: ModelEntry, removal: Removal) -> None:
        """Delete a model for good, as planned."""
        self._bridge.submit(
            asyncio.to_thread(remove_model, removal),
            on_done=lambda freed: self._on_deleted(entry, freed),
            on_error=self._on_error,
        )

    def _on_found(self, found: ModelList) -> None:
        self._list = found
        self._scanned = True
        self._on_scan_ended()
        self.changed.emit()

    def _on_not_found(self, error: Exception) -> None:
        self._on_scan_ended()
        self._tell(error)

    def _on_scan_ended(self) -> None:
        self._scanning = False
        if self._again:
            self._again = False
            self.refresh()

    def _on_deleted(self, entry: ModelEntry, freed: int) -> None:
        self._settings.forget_model(entry.path)
        self.deleted.emit(entry, freed)
        self.refresh()

    def _on_error(self, error: Exception) -> None:
        self._tell(error)
        self.refresh()

    def _tell(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self.failed.emit(error)

    def _on_settings_changed(self, settings: AppSettings) -> None:
        places = _places(settings)
        if places != self._places:
            self._places = places
            self.refresh()


def _places(settings: AppSettings) -> tuple[object, ...]:
    return settings.model_folders, settings.download_folder
