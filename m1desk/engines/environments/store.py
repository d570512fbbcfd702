"""Where environments are kept: a folder each, with a record that says which build counts.

A virtual environment can't be moved, so each is made where it stays, as a numbered build below its
name. What makes it count is the record, written last and whole: until then, what was there
before is used, and nothing where there was nothing. The build that counted before stays beside it,
for a rollback, until the next one counts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil

from m1desk.engines.environments.choice import LIBRARIES_VARIABLE
from m1desk.engines.environments.records import (
    Build,
    Record,
    build_folder,
    read_record,
    write_record,
)
from m1desk.engines.environments.values import (
    EngineEnvironment,
    EnvironmentAnswer,
    InstallRequest,
    KeptEnvironment,
    check_name,
)
from m1desk.errors import BadInput, StorageError
from m1desk.store import FileLock, Folders

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
                f"Repair it (m1desk engines repair {name}), or remove it.",
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

    def new_build(self, request: InstallRequest) -> Path:
        """A folder for the next build of an environment, which is not made yet.

        What earlier, unfinished builds left is deleted. Where nothing counts yet, what is begun
        is noted, so that it can be repaired. Call while holding the lock.
        """
        folder = self.root / request.name
        record = read_record(folder)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            builds = [path for path in folder.iterdir() if path.is_dir()]
            if record.now is None:
                write_record(folder, Record(begun=request))
        except OSError as error:
            raise _unwritable(folder, error) from error
        self._discard_others(folder, record)
        numbers = [int(path.name) for path in builds if path.name.isdigit()]
        return folder / str(max(numbers, default=0) + 1)

    def keep(
        self,
        environment: EngineEnvironment,
        answer: EnvironmentAnswer,
        request: InstallRequest | None = None,
    ) -> None:
        """Let an environment count from now on.

        Of a managed one, what counted until now is kept for a rollback, and what was kept is
        deleted; but one that is known to be broken is not worth what was kept before it.

        Call while holding the lock. Raises StorageError: then nothing has changed.
        """
        known = read_record(self.root / environment.name)
        kept = [one for one in (known.now, known.before) if one is not None and one.is_whole]
        before = min(kept, key=lambda one: bool(one.failed_test), default=None)
        now = Build(environment, answer, request)
        self._write(environment.name, Record(now, before if environment.managed else None))

    def note_test(
        self,
        environment: EngineEnvironment,
        answer: EnvironmentAnswer | None,
        failed_test: str = "",
    ) -> None:
        """Keep what a test said, or why it failed, if this build still counts.

        Call while holding the lock. Raises StorageError: then nothing has changed.
        """
        record = read_record(self.root / environment.name)
        if record.now is None or record.now.environment.python != environment.python:
            return  # another one was installed while it was tested
        now = replace(record.now, answer=answer or record.now.answer, failed_test=failed_test)
        self._write(environment.name, replace(record, now=now))

    def before(self, name: str) -> Build:
        """The build that a rollback brings back; raises BadInput where there is none."""
        self.find(name)
        before = read_record(self.root / name).before
        if before is None or not before.is_whole:
            raise BadInput(
                f"There is no earlier build of {name} to go back to.",
                "One is kept when another takes its place, until the next one does.",
                "Install the version that you want.",
            )
        return before

    def swap(self, name: str, answer: EnvironmentAnswer) -> EngineEnvironment:
        """Let the build before count again, and the one that counts be the one before.

        Call while holding the lock, when the build has passed its test with this answer. Raises
        BadInput, StorageError: then nothing has changed.
        """
        before, now = self.before(name), read_record(self.root / name).now
        back = replace(before, answer=answer, failed_test="")
        self._write(name, Record(back, now if now is not None and now.is_whole else None))
        return back.environment

    def forget(self, name: str) -> int:
        """Delete the build before and give the bytes freed.

        Raises:
            BadInput: there is none, or it is in use, or another process changes environments.
            StorageError: the record can't be written.
        """
        with self.locked():
            build = build_folder(self.root / name, self.before(name).environment)
            self._refuse_if_used(f"The build of {name} before", build)
            freed = folder_bytes(build)
            self._write(name, replace(read_record(self.root / name), before=None))
        return freed

    def remove(self, name: str) -> int:
        """Delete an environment and give the bytes freed; one that the user named stays whole.

        Raises:
            BadInput: there is none, or it is in use, or another process changes environments.
            StorageError: it can't be deleted.
        """
        kept = self.find(name)
        with self.locked():
            if kept.environment is None or kept.environment.managed:
                self._refuse_if_used(f'The engine environment "{name}"', self.root / name)
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

    def _write(self, name: str, record: Record) -> None:
        """Write the record, then delete the builds that are not in it; raises StorageError."""
        folder = self.root / name
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            write_record(folder, record)
        except OSError as error:
            raise _unwritable(folder, error) from error
        self._discard_others(folder, record)

    def _discard_others(self, folder: Path, record: Record) -> None:
        managed = [one for one in (record.now, record.before) if one and one.environment.managed]
        kept = {build_folder(folder, one.environment) for one in managed}
        for path in list(folder.iterdir()):
            if path.is_dir() and path not in kept:
                self._discard_if_idle(path)

    @staticmethod
    def _refuse_if_used(what: str, folder: Path) -> None:
        if users := users_of(folder):
            raise BadInput(
                f"{what} is in use.",
                f"Process {users[0]} runs from it.",
                "Unload the model first.",
            )

    def _discard_if_idle(self, build: Path) -> None:
        """Delete a build that does not count; what can't be deleted now goes the next time."""
        if not users_of(build):
            with contextlib.suppress(StorageError):
                self.discard(build)

    def _sweep(self) -> None:
        """Delete what a crash kept from being deleted."""
        for path in self.root.glob(f"{_GONE}*"):
            shutil.rmtree(path, ignore_errors=True)

    def _read(self, name: str) -> KeptEnvironment:
        record = read_record(self.root / name)
        now, before = record.now, record.before
        if now is None:
            return KeptEnvironment(name, problem=_UNFINISHED, request=record.begun)
        kept = KeptEnvironment(
            name,
            now.environment,
            now.answer,
            failed_test=now.failed_test,
            request=now.request,
            before=before.environment if before is not None and before.is_whole else None,
        )
        if now.environment.is_there:
            return kept
        return replace(kept, problem=f"Its interpreter {now.environment.python} is not there.")


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


def _unwritable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"The folder {folder} can't be used.",
        f"The system says: {error.strerror or error}.",
        "Check its permissions and the room on its disk.",
    )
