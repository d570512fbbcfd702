"""The model files on this machine: those in the model folders and those used lately."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from m1desk.errors import M1DeskError, ModelFileError, StorageError
from m1desk.models import (
    GgufHeader,
    LocalModel,
    check_loadable,
    read_gguf_header,
    scan_models,
)
from m1desk.ui.units import bytes_text, context_text, short_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.settings import SettingsViewModel

_SHARD: Final = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model in the list.

    Attributes:
        in_folder: it lies in a model folder; others are listed because they were used or added.
    """

    model: LocalModel
    in_folder: bool

    @property
    def path(self) -> Path:
        """The file to load."""
        return self.model.path

    @property
    def title(self) -> str:
        """The file's name without its ending: what the engine calls the model too."""
        return model_title(self.path)

    @property
    def detail(self) -> str:
        """What it is, in a line; only its size when it can't be read."""
        header = self.model.header
        return describe(header) if header is not None else bytes_text(self.model.size_bytes)

    @property
    def problem(self) -> str:
        """Why it can't be loaded, "" when it can."""
        return self.model.error

    @property
    def files(self) -> tuple[Path, ...]:
        """All its files; of a broken model the one that was found."""
        return self.model.header.parts if self.model.header else (self.path,)


@dataclass(frozen=True, slots=True)
class FileReport:
    """What looking into a file gave: its header or why there is none, and whether it can load."""

    path: Path
    header: GgufHeader | None
    error: M1DeskError | None


class ModelsViewModel(QObject):
    """Looks at the disk on the loop's threads and keeps the list.

    Signals:
        changed: the list is new (read `entries`).
        failed: an M1DeskError.
        deleted: title (str) of a deleted model and the bytes freed (object: more than 32 bits).
    """

    changed = Signal()
    failed = Signal(object)
    deleted = Signal(str, object)

    def __init__(
        self,
        bridge: Bridge,
        settings: SettingsViewModel,
        folder: Path,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._settings = settings
        self._folder = folder
        self._entries: tuple[ModelEntry, ...] = ()
        self._scanned = False

    @property
    def entries(self) -> tuple[ModelEntry, ...]:
        """The models, by name."""
        return self._entries

    @property
    def folder(self) -> Path:
        """The app's own folder for models."""
        return self._folder

    @property
    def was_scanned(self) -> bool:
        """Whether the list has been made at least once."""
        return self._scanned

    def refresh(self) -> None:
        """Look at the folders again."""
        settings = self._settings.settings
        folders = (self._folder, *(Path(folder) for folder in settings.model_folders))
        recent = tuple(Path(path) for path in settings.recent_models)
        self._bridge.submit(
            asyncio.to_thread(find_entries, folders, recent),
            on_done=self._on_found,
            on_error=self._on_error,
        )

    def inspect(self, path: Path, on_done: Callable[[FileReport], None]) -> None:
        """Look into a file and call `on_done` on the GUI thread; what is wrong is in the report."""
        self._bridge.submit(asyncio.to_thread(inspect_file, path), on_done=on_done)

    def add(self, path: Path) -> None:
        """List a file, wherever it lies."""
        text = str(path.absolute())
        self._settings.change(recent_models=self._settings.settings.recent_with(text))
        self.refresh()

    def remove(self, entry: ModelEntry) -> None:
        """Take a model off the list; its file stays."""
        self._settings.forget_model(entry.path)
        self.refresh()

    def delete(self, entry: ModelEntry) -> None:
        """Delete a model's files for good."""
        self._bridge.submit(
            asyncio.to_thread(delete_files, entry.files),
            on_done=lambda freed: self._on_deleted(entry, freed),
            on_error=self._on_error,
        )

    def _on_found(self, entries: tuple[ModelEntry, ...]) -> None:
        self._entries = entries
        self._scanned = True
        self.changed.emit()

    def _on_deleted(self, entry: ModelEntry, freed: int) -> None:
        self._settings.forget_model(entry.path)
        self.deleted.emit(entry.title, freed)
        self.refresh()

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self.failed.emit(error)
        self.refresh()


def find_entries(folders: tuple[Path, ...], recent: tuple[Path, ...]) -> tuple[ModelEntry, ...]:
    """Look at all model files; blocks while the disk is read."""
    found = {
        model.path.absolute(): ModelEntry(_checked(model), in_folder=True)
        for model in scan_models(*folders)
    }
    for path in recent:
        if path.absolute() not in found:
            found[path.absolute()] = ModelEntry(_checked(_look(path)), in_folder=False)
    return tuple(sorted(found.values(), key=lambda entry: (entry.title.casefold(), entry.path)))


def inspect_file(path: Path) -> FileReport:
    """Read a file's header and ask whether the engine can load it; blocks."""
    try:
        header = read_gguf_header(path)
    except M1DeskError as error:
        return FileReport(path, None, error)
    try:
        check_loadable(header)
    except ModelFileError as error:
        return FileReport(header.path, header, error)
    return FileReport(header.path, header, None)


def delete_files(paths: tuple[Path, ...]) -> int:
    """Delete files and return the bytes freed; raises StorageError at the first that stays."""
    freed = 0
    for path in paths:
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError as error:
            raise StorageError(
                f"{path.name} could not be deleted.",
                f"The system says: {error.strerror or error}.",
                "Check the permissions of its folder, or delete it there yourself.",
            ) from error
        freed += size
    return freed


def model_title(path: Path) -> str:
    """Name a model by its file, without the ending and the numbers of a split one."""
    return _SHARD.sub("", path.stem)


def describe(header: GgufHeader) -> str:
    """Describe a model in a line: architecture, parameters, quantization, size, trained context."""
    parts = [
        header.architecture,
        f"{short_count(header.parameter_count)} parameters",
        header.file_type_name,
        bytes_text(header.size_bytes),
    ]
    if header.context_tokens:
        parts.append(f"{context_text(header.context_tokens)} context")
    return " · ".join(part for part in parts if part)


def _look(path: Path) -> LocalModel:
    try:
        header = read_gguf_header(path)
    except M1DeskError as error:
        size = path.stat().st_size if path.is_file() else 0
        return LocalModel(path, path.stem, size, error=str(error))
    return LocalModel(header.path, header.name, header.size_bytes, header)


def _checked(model: LocalModel) -> LocalModel:
    """Note what keeps the engine from loading a file that could be read."""
    if model.header is None or model.error:
        return model
    try:
        check_loadable(model.header)
    except ModelFileError as error:
        return replace(model, error=str(error))
    return model
