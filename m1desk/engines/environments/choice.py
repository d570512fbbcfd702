"""Which build of llama.cpp the engine is loaded from: the app's own, or one that was installed.

llama-cpp-python looks for its libraries where the variable LLAMA_CPP_LIB_PATH says. So a build is a
folder of libraries, and one variable, which all child processes inherit, switches the worker, its
self-test, its measuring and the list of devices at once. The libraries must be of the very
version that the app's bindings were made for.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from m1desk.store import Folders

LIBRARIES_VARIABLE: Final = "LLAMA_CPP_LIB_PATH"
PACKAGE: Final = "llama-cpp-python"
_FILE: Final = "chosen-llama-cpp.json"


def bindings_version() -> str:
    """The version that a build must have; "" where the app has no bindings."""
    try:
        return _public(importlib.metadata.version(PACKAGE))
    except importlib.metadata.PackageNotFoundError:
        return ""


def matches_bindings(version: str) -> bool:
    """Whether libraries of this version can be used; what follows a "+" names the build."""
    return _public(version) == bindings_version()


def apply_choice(
    folders: Folders, variables: MutableMapping[str, str] | None = None
) -> Path | None:
    """Let child processes load the chosen build; gives its libraries, None for the app's own.

    What the user has set in the environment counts more. A choice that is gone, or that was made
    for other bindings, counts for nothing.

    Args:
        folders: of the app.
        variables: stands for this process's environment.
    """
    target = os.environ if variables is None else variables
    if target.get(LIBRARIES_VARIABLE):
        return Path(target[LIBRARIES_VARIABLE])
    libraries = _chosen(folders)
    if libraries is not None:
        target[LIBRARIES_VARIABLE] = str(libraries)
    return libraries


def chosen_name(folders: Folders) -> str:
    """The environment that was chosen and can be used; "" for the app's own build."""
    return str(_read(folders).get("name", "")) if _chosen(folders) else ""


def was_chosen(folders: Folders, name: str) -> bool:
    """Whether a choice names this environment, though its libraries may be gone since."""
    return _read(folders).get("name") == name


def choose(folders: Folders, name: str, version: str, libraries: Path | None) -> None:
    """Keep a choice for the next start and let it count now; None goes back to the app's own.

    Raises:
        StorageError: it can't be kept.
    """
    path = _path(folders)
    before = _read(folders).get("libraries")
    if os.environ.get(LIBRARIES_VARIABLE) == before:
        os.environ.pop(LIBRARIES_VARIABLE, None)
    try:
        if libraries is None:
            path.unlink(missing_ok=True)
            return
        fields = {"name": name, "version": version, "libraries": str(libraries)}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(fields), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StorageError(
            "The choice of an engine could not be kept.",
            f"The system says: {error.strerror or error}.",
            f"Check the permissions of {path.parent}.",
        ) from error
    apply_choice(folders)


def _chosen(folders: Folders) -> Path | None:
    fields = _read(folders)
    libraries = Path(str(fields.get("libraries", "")))
    usable = matches_bindings(str(fields.get("version", ""))) and libraries.is_dir()
    return libraries if fields and usable else None


def _read(folders: Folders) -> dict[str, object]:
    try:
        found = json.loads(_path(folders).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _path(folders: Folders) -> Path:
    return folders.data / "engines" / _FILE


def _public(version: str) -> str:
    return version.split("+", maxsplit=1)[0]
