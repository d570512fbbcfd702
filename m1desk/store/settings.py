"""What a person has chosen, kept in the database; a bad stored value falls back to its default."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from m1desk.store.database import Database

_log = logging.getLogger(__name__)

Theme = Literal["system", "light", "dark"]
CloseBehaviour = Literal["ask", "quit", "background"]

_RECENT_LIMIT: Final = 12


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Everything a person can choose, with its default.

    Attributes:
        font_size: size of body text (pixels); 0 takes the usual one.
        default_system_prompt, default_sampling: given to new conversations; the keys of
            `default_sampling` are those of `SamplingParameters`.
        default_context_tokens: context length for loading a model (tokens).
        default_parallel: requests served at once.
        default_gpu_layers: layers placed on the GPU; -1 all of them.
        default_kv_type: type of the KV cache: "f16", "q8_0" or "q4_0".
        last_model_path, recent_models: files, newest first.
        added_models: files listed among the models, wherever they lie, newest first.
        model_folders: folders to look for models in, besides the app's own.
        download_folder: where models are fetched to, "" for the app's own folder.
        load_last_model: whether the last model is loaded at start.
        window_geometry, window_state: Qt's own bytes.
        open_conversation: id of the conversation shown, None for a new one.
        close_behaviour: what closing the window does while something runs.
        offline: no connection leaves this machine.
        hub_endpoint: address of the model hub, "" for Hugging Face's own.
        parallel_downloads: models fetched at once.
        prepared_budget_bytes: what prepared documents may take of the disk together.
    """

    theme: Theme = "system"
    font_size: int = 0
    default_system_prompt: str = ""
    default_sampling: Mapping[str, object] = field(default_factory=dict)
    default_context_tokens: int = 8192
    default_parallel: int = 4
    default_gpu_layers: int = -1
    default_kv_type: str = "f16"
    last_model_path: str = ""
    recent_models: tuple[str, ...] = ()
    added_models: tuple[str, ...] = ()
    model_folders: tuple[str, ...] = ()
    download_folder: str = ""
    load_last_model: bool = False
    window_geometry: bytes = b""
    window_state: bytes = b""
    sidebar_visible: bool = True
    open_page: str = "chat"
    open_conversation: int | None = None
    close_behaviour: CloseBehaviour = "ask"
    offline: bool = False
    hub_endpoint: str = ""
    parallel_downloads: int = 2
    prepared_budget_bytes: int = 20 << 30

    def recent_with(self, path: str) -> tuple[str, ...]:
        """`recent_models` with `path` moved or added to the front, twelve at most."""
        others = (recent for recent in self.recent_models if recent != path)
        return (path, *others)[:_RECENT_LIMIT]

    def models_place(self, own: Path) -> Path:
        """The folder models are fetched to, which is `own` unless another was chosen."""
        return Path(self.download_folder) if self.download_folder else own

    def folders_beside(self, own: Path) -> tuple[Path, ...]:
        """The folders to look for models in, besides `own`."""
        chosen = (*self.model_folders, *([self.download_folder] if self.download_folder else []))
        return tuple(dict.fromkeys(Path(folder) for folder in chosen if Path(folder) != own))


class SettingsStore:
    """Loads and saves `AppSettings`; values that a newer version added are left in place."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> AppSettings:
        """Read the settings; unknown names are ignored, bad values logged and replaced."""
        rows = self._database.query("SELECT key, value FROM settings")
        known: dict[str, Any] = {}  # each reader returns the type of its field
        for key, text in rows:
            read = _READERS.get(key)
            if read is None:
                continue
            try:
                known[key] = read(json.loads(text))
            except (ValueError, TypeError, binascii.Error):
                _log.warning("setting %s has an unusable value; its default is used", key)
        return AppSettings(**known)

    def save(self, settings: AppSettings) -> None:
        """Store all settings; raises StorageError."""
        rows = [
            (entry.name, json.dumps(_plain(getattr(settings, entry.name))))
            for entry in fields(settings)
        ]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO settings(key, value) VALUES (?, ?)"
                " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                rows,
            )


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return dict(value) if isinstance(value, Mapping) else value


def _one_of(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(value)
        return value

    return read


def _whole(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(value)
        return value

    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    return tuple(_text(entry) for entry in value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _bytes(value: object) -> bytes:
    return base64.b64decode(_text(value), validate=True)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _id_or_none(value: object) -> int | None:
    return None if value is None else _whole(1, 2**63 - 1)(value)


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "theme": _one_of("system", "light", "dark"),
    "font_size": _whole(0, 72),
    "default_system_prompt": _text,
    "default_sampling": _mapping,
    "default_context_tokens": _whole(1, 2**31 - 1),
    "default_parallel": _whole(1, 256),
    "default_gpu_layers": _whole(-1, 2**16),
    "default_kv_type": _one_of("f16", "q8_0", "q4_0"),
    "last_model_path": _text,
    "recent_models": _texts,
    "added_models": _texts,
    "model_folders": _texts,
    "download_folder": _text,
    "load_last_model": _flag,
    "window_geometry": _bytes,
    "window_state": _bytes,
    "sidebar_visible": _flag,
    "open_page": _text,
    "open_conversation": _id_or_none,
    "close_behaviour": _one_of("ask", "quit", "background"),
    "offline": _flag,
    "hub_endpoint": _text,
    "parallel_downloads": _whole(1, 16),
    "prepared_budget_bytes": _whole(0, 1 << 50),
}
