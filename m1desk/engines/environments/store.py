"""Where environments are kept: a folder each, with a record that says which build counts.

A virtual environment can't be moved, so each is made where it stays, as a numbered build below its
name. What makes it count is the record, written last and whole: until then, what was there
before is used, and nothing where there was nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import psutil

from m1desk.engines.environments.asking import answer_fields, answer_of
from m1desk.engines.environments.choice import LIBRARIES_VARIABLE
from m1desk.engines.environments.values import (
    EngineEnvironment,
    EnvironmentAnswer,
    KeptEnvironment,
    check_name,
)
from m1desk.errors import BadInput, StorageError
from m1desk.store import FileLock, Folders

_RECORD: Final = "environment.json"
_LOG: Final = "install.log"
_LOCK: Final = ".lock"
_GONE: Final = ".gone-"
_UNFINISHED: Final = "Its installation did not come to its end."


class EnvironmentStore:
    """The environments below one folder. Methods wait for the disk."""

    def __init__(self, root: Path, runs: Path) -> None:
        """Use `root`; `runs` takes the records of running tools."""
        self.root = root
        self.runs = runs

    @staticmethod
    def of(folders: Folders) -> EnvironmentStore:
        """The user's own."""
        return EnvironmentStore(folders.data / "engines", folders.runs)

    def list(self) -> tuple[KeptEnvironment, ...]:
        """All of them by name, those that can't be used too."""
        try:
            names = sorted(path.name for path in self.root.iterdir() if path.is_dir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return tuple(self._read(name) for name in names if not name.startswith("."))

    def environments(self) -> tuple[EngineEnvironment, ...]:
        """Those that can be used."""
        kept = self.list()
        return tuple(one.environment for one in kept if one.environment and not one.problem)

    def find(self, name: str) -> KeptEnvironment:
        """The one of that name; raises BadInput when there is none."""
        check_name(name)
        if not (self.root / name).is_dir():
            names = ", ".join(one.name for one in self.list())
            raise BadInput(
                f'There is no engine environment "{name}".',
                f"There are: {names}." if names else "None was installed yet.",
                "See them all with `m1desk engines list`.",
            )
        return self._read(name)

    def get(self, name: str) -> EngineEnvironment:
        """The one of that name, which can be used; raises BadInput when it can't or is none."""
        kept = self.find(name)
        if kept.environment is None or kept.problem:
            raise BadInput(
                f'The engine environment "{name}" can\'t be used.',
                kept.problem,
                "Install it again, or remove it.",
            )
        return kept.environment

    def log_path(self, name: str) -> Path:
        """The file with all that installers and tests of this environment said."""
        return self.root / name / _LOG

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one, of all processes, who changes environments here.

        Raises:
            BadInput: somebody else does.
            StorageError: the folder can't be made or written.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        with FileLock(self.root / _LOCK) as lock:
            if not lock.acquire():
                raise BadInput(
                    "Another installation of an engine is running.",
                    f"Process {lock.holder_pid()} does it.",
                    "Wait until it has ended.",
                )
            self._sweep()
            yield

    def new_build(self, name: str) -> Path:
        """A folder for the next build of an environment, which is not made yet.

        What earlier, unfinished builds left is deleted. Call while holding the lock.
        """
        folder = self.root / name
        used = self._record(name).get("build")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            builds = [path for path in folder.iterdir() if path.is_dir()]
        except OSError as error:
            raise _unwritable(folder, error) from error
        for left in builds:
            if left.name != used:
                self._discard_if_idle(left)
        numbers = [int(path.name) for path in builds if path.name.isdigit()]
        return folder / str(max(numbers, default=0) + 1)

    def keep(self, environment: EngineEnvironment, answer: EnvironmentAnswer) -> None:
        """Let an environment count from now on; of a managed one, older builds are deleted.

        Call while holding the lock. Raises StorageError: then nothing has changed.
        """
        folder = self.root / environment.name
        fields: dict[str, object] = {
            "engine": environment.engine,
            "size_bytes": environment.size_bytes,
            "answer": answer_fields(answer),
        }
        build = _build_of(folder, environment.python) if environment.managed else None
        fields |= {"build": build} if build else {"python": str(environment.python)}
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            part = folder / f"{_RECORD}.part"
            part.write_text(json.dumps(fields, indent=1), encoding="utf-8")
            part.replace(folder / _RECORD)
        except OSError as error:
            raise _unwritable(folder, error) from error
        for path in folder.iterdir():
            if path.is_dir() and path.name != build:
                self._discard_if_idle(path)

    def remove(self, name: str) -> int:
        """Delete an environment and give the bytes freed; one that the user named stays whole.

        Raises:
            BadInput: there is none, or it is in use, or another process changes environments.
            StorageError: it can't be deleted.
        """
        kept = self.find(name)
        with self.locked():
            users = users_of(self.root / name)
            if kept.environment is not None and not kept.environment.managed:
                users = ()
            if users:
                raise BadInput(
                    f'The engine environment "{name}" is in use.',
                    f"Process {users[0]} runs from it.",
                    "Unload the model first.",
                )
            freed = folder_bytes(self.root / name)
            self.discard(self.root / name)
        return freed

    def discard(self, path: Path) -> None:
        """Delete a folder: out of sight at once, whatever happens while its files go."""
        gone = self.root / f"{_GONE}{secrets.token_hex(8)}"
        try:
            path.rename(gone)
            shutil.rmtree(gone)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(
                f"{path} could not be deleted.",
                f"The system says: {error.strerror or error}.",
                "Check the permissions there, or delete it yourself.",
            ) from error

    def _discard_if_idle(self, build: Path) -> None:
        """Delete a build that does not count; what can't be deleted now goes the next time."""
        if not users_of(build):
            with contextlib.suppress(StorageError):
                self.discard(build)

    def _sweep(self) -> None:
        """Delete what a crash kept from being deleted."""
        for path in self.root.glob(f"{_GONE}*"):
            shutil.rmtree(path, ignore_errors=True)

    def _record(self, name: str) -> Mapping[str, Any]:
        """What is kept of an environment; empty where there is nothing that can be read."""
        try:
            found = json.loads((self.root / name / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _read(self, name: str) -> KeptEnvironment:
        fields = self._record(name)
        try:
            answer = answer_of(fields["answer"])
            environment = _environment(self.root / name, fields, answer)
        except (KeyError, TypeError, ValueError):
            return KeptEnvironment(name, problem=_UNFINISHED)
        kept = KeptEnvironment(name, environment, answer)
        if environment.python.exists():
            return kept
        return replace(kept, problem=f"Its interpreter {environment.python} is not there.")


def python_in(build: Path) -> Path:
    """The interpreter of a virtual environment."""
    return build / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take, links not followed and hard links counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                found = (Path(place) / name).lstat()
                if found.st_nlink == 1 or (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    total += found.st_size
    return total


def users_of(folder: Path) -> tuple[int, ...]:
    """Numbers of the processes that were started with a program or libraries of this folder."""
    inside = f"{folder.absolute()}{os.sep}"
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            words = process.cmdline()[:1]
            libraries = process.environ().get(LIBRARIES_VARIABLE, "")
            if any(word.startswith(inside) for word in (*words, libraries)):
                found.append(process.pid)
    return tuple(found)


def _environment(
    folder: Path, fields: Mapping[str, Any], answer: EnvironmentAnswer
) -> EngineEnvironment:
    build, size = fields.get("build"), fields.get("size_bytes")
    return EngineEnvironment(
        name=folder.name,
        engine=str(fields["engine"]),
        package=answer.package,
        version=answer.version,
        python=python_in(folder / str(build)) if build else Path(str(fields["python"])),
        managed=bool(build),
        size_bytes=size if isinstance(size, int) else None,
    )


def _build_of(folder: Path, python: Path) -> str:
    """The build that an interpreter belongs to."""
    return python.relative_to(folder).parts[0]


def _unwritable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"The folder {folder} can't be used.",
        f"The system says: {error.strerror or error}.",
        "Check its permissions and the room on its disk.",
    )
