"""Where the app keeps its files: one place per kind, all under one folder with M1DESK_HOME."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE: Final = "M1DESK_HOME"
"""The environment variable that moves every folder of the app under one."""

_APP: Final = "m1desk"
_PRIVATE: Final = 0o700


@dataclass(frozen=True, slots=True)
class Folders:
    """The app's folders, readable by their owner alone; all but mere `places` exist.

    Attributes:
        data: the database.
        config: files a person may edit.
        cache: what can be made again.
        logs: the app's and the engines' logs.
        models: model files, unless the user keeps them elsewhere.
        runs: records of running engines, for the sweep after a crash.
    """

    data: Path
    config: Path
    cache: Path
    logs: Path
    models: Path
    runs: Path

    @staticmethod
    def resolve(environment: Mapping[str, str] | None = None) -> Folders:
        """Folders of this user, made where they are missing.

        `environment` stands for `os.environ` when given. Raises StorageError when a folder can't
        be made.
        """
        home = _home(environment)
        return _made(_of_platform()) if home is None else Folders.under(home)

    @staticmethod
    def places(environment: Mapping[str, str] | None = None) -> Folders:
        """Where the folders of this user are, or would be: for a look that makes nothing."""
        home = _home(environment)
        return _of_platform() if home is None else _below(_absolute(home))

    @staticmethod
    def under(home: Path) -> Folders:
        """Folders below `home`, made where they are missing; raises StorageError."""
        root = _absolute(home)
        _make(root)
        return _made(_below(root))

    @property
    def database(self) -> Path:
        """The file of the app's one database."""
        return self.data / "m1desk.sqlite3"


def _home(environment: Mapping[str, str] | None) -> Path | None:
    variables = os.environ if environment is None else environment
    home = variables.get(HOME_VARIABLE, "").strip()
    return Path(home) if home else None


def _absolute(home: Path) -> Path:
    return Path(os.path.abspath(home.expanduser()))  # noqa: PTH100 - resolve() follows links


def _below(root: Path) -> Folders:
    return Folders(
        data=root / "data",
        config=root / "config",
        cache=root / "cache",
        logs=root / "logs",
        models=root / "models",
        runs=root / "runs",
    )


def _of_platform() -> Folders:
    places = platformdirs.PlatformDirs(_APP, appauthor=False)
    data = places.user_data_path
    return Folders(
        data=data,
        config=places.user_config_path,
        cache=places.user_cache_path,
        logs=places.user_log_path,
        models=data / "models",
        runs=data / "runs",
    )


def _made(folders: Folders) -> Folders:
    for field in fields(folders):
        _make(getattr(folders, field.name))
    return folders


def _make(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} can't be made.",
            f"The system says: {error.strerror or error}.",
            f"Make it writable, or choose another place with {HOME_VARIABLE}.",
        ) from error
