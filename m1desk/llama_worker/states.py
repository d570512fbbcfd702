"""Saved states on disk: a manifest and a state file for each name, replaced whole or not at all.

    prepared-NAME.json                      the manifest: what is valid
    prepared-NAME.PID.RANDOM.state          what the engine wrote; it begins with the tokens

A state file is written under a name of its own, and the manifest that names it then takes the old
one's place in one step. Whatever no manifest names is left over from a crash, and is removed once
the process that made it is gone. Only files of these two forms are ever touched.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import psutil

from m1desk.llama_worker.states_digest import Abandoned, bytes_digest, file_digest
from m1desk.llama_worker.states_files import (
    flush,
    flush_folder,
    read_regular,
    read_tokens,
    try_to_remove,
    unreadable,
)
from m1desk.llama_worker.states_manifest import (
    Manifest,
    StateKey,
    StateRefused,
    decode_manifest,
    is_name,
)
from m1desk.wire import PreparedEntry

_MOST_MANIFEST_BYTES: Final = 64 << 10
_VERIFY_THREADS: Final = 4
_STATE_FILE: Final = re.compile(r"prepared-([a-z0-9-]+)\.(\d+)\.[0-9a-f]{16}\.state")
_OWN_FILE: Final = re.compile(r"prepared-[a-z0-9-]+\.(\d+)\.[0-9a-f]{16}\.(?:state|manifest)")
_MANIFEST_FILE: Final = re.compile(r"prepared-([a-z0-9-]+)\.json")

FileIdentity = tuple[str, int, int, int]
"""A file's name, its number on the disk, its size (bytes) and when it was written (ns)."""


@dataclass(frozen=True, eq=False)  # without slots: a weak reference tells when it is let go
class SavedState:
    """A state that may be restored; while one of these exists its file is not removed.

    Attributes:
        identity: of the file as it was opened.
    """

    manifest: Manifest
    path: Path
    tokens: npt.NDArray[np.int32]
    identity: FileIdentity

    @property
    def name(self) -> str:
        """The prepared document's name."""
        return self.manifest.name

    @property
    def count(self) -> int:
        """How many tokens it holds."""
        return self.manifest.tokens

    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was opened, and verified since; reads nothing."""
        try:
            return _identity(self.path) == self.identity
        except StateRefused:
            return False


@dataclass(slots=True, eq=False)
class Draft:
    """A state file that is written and not yet valid."""

    name: str
    path: Path
    tokens: npt.NDArray[np.int32]
    complete: bool
    abandoned: threading.Event = field(default_factory=threading.Event)


class StateStore:
    """The saved states in one folder, for one key. Every method is safe from any thread."""

    def __init__(self, folder: Path, key: StateKey) -> None:
        """The folder is made when it is first written to."""
        self._folder = folder
        self._key = key
        self._lock = threading.RLock()
        self._drafts: set[Path] = set()
        self._given_up: set[Path] = set()  # drafts that a deletion caught before they were valid
        self._readers: Counter[Path] = Counter()
        self._verified: set[FileIdentity] = set()

    def entries(self) -> list[PreparedEntry]:
        """All prepared documents, sorted by name; those that can't be used say why."""
        names = {found[1] for one in self._files() if (found := _MANIFEST_FILE.fullmatch(one.name))}
        return [self._entry(name) for name in sorted(filter(is_name, names))]

    def open(self, name: str) -> SavedState:
        """The state of that name, after every check but the one that reads it all (`verify`).

        Raises:
            StateRefused: there is none, or it can't be used.
        """
        with self._lock:  # held until the reader counts: a commit would remove the file meanwhile
            manifest = self._manifest(name)
            self._key.check(manifest.key)
            path = self._folder / manifest.file
            identity = _identity(path)
            state = SavedState(manifest, path, read_tokens(path, manifest), identity)
            self._readers[path] += 1
        weakref.finalize(state, self._let_go, path)
        return state

    def verify(self, state: SavedState) -> None:
        """Compare the whole file with its digest; about 1 GB/s a core, once for each file.

        Whoever has it read later asks `SavedState.is_unchanged` right before.

        Raises:
            StateRefused: it is not what was written.
        """
        if state.identity in self._verified and state.is_unchanged():
            return
        threads = min(_VERIFY_THREADS, os.cpu_count() or 1)
        try:
            digest = file_digest(state.path, threads=threads)
        except OSError as error:
            raise unreadable(error) from error
        if digest != state.manifest.digest:
            raise StateRefused("damaged", "Its state file is damaged.")
        self._verified.add(state.identity)

    def new_file(self, name: str) -> Path:
        """An empty file for a state, readable by this user alone.

        Raises:
            OSError: the folder can't be written to.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"prepared-{name}.{os.getpid()}.{secrets.token_hex(8)}.state"
        with self._lock:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._drafts.add(path)
        return path

    def discard(self, path: Path) -> None:
        """Remove a file that will not become a state."""
        with self._lock:
            self._forget_draft(path)
        path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Room on the folder's disk (bytes)."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return int(psutil.disk_usage(str(self._folder)).free)

    def commit(self, draft: Draft) -> Manifest:
        """Make a written file the state of its name: on disk, with its digest, in one step.

        Raises:
            OSError: the disk is full or fails; the old state is still there and valid.
            Abandoned: the draft was given up meanwhile, or its name deleted.
        """
        try:
            flush(draft.path)
            digest = file_digest(draft.path, is_abandoned=lambda: self._is_given_up(draft))
            manifest = self._account(draft, digest)
            self._make_valid(draft, manifest)
        except BaseException:
            self.discard(draft.path)
            raise
        self.sweep()
        return manifest

    def delete(self, name: str) -> bool:
        """Remove a prepared document, usable or not; False when there is none of that name.

        What is being saved under the name right now is given up, too.

        Raises:
            OSError: the system does not allow it.
        """
        with self._lock:
            self._given_up |= {path for path in self._drafts if _name_in(path) == name}
            old = self._named_file(name)
            manifest = self._manifest_path(name)
            found = manifest.exists() or manifest.is_symlink()
            manifest.unlink(missing_ok=True)
            self._remove(old)
            self.sweep()
        return found

    def sweep(self) -> None:
        """Remove files that no manifest names and no living process is writing."""
        with self._lock:
            named = {entry for one in self._files() if (entry := self._named_by(one))}
            for path in self._files():
                found = _OWN_FILE.fullmatch(path.name)
                if found and path not in named and not self._is_in_use(path, int(found[1])):
                    try_to_remove(path)

    # What is on disk

    def _files(self) -> Iterator[Path]:
        try:
            yield from list(self._folder.iterdir())
        except OSError:  # not there yet, or not readable: then it holds nothing for us
            return

    def _manifest_path(self, name: str) -> Path:
        return self._folder / f"prepared-{name}.json"

    def _manifest(self, name: str) -> Manifest:
        path = self._manifest_path(name)
        try:
            raw = read_regular(path, 0, _MOST_MANIFEST_BYTES)
        except FileNotFoundError:
            raise StateRefused("not_found", "There is no prepared document of that name.") from None
        except OSError as error:
            raise unreadable(error) from error
        manifest = decode_manifest(raw)
        found = _STATE_FILE.fullmatch(manifest.file)
        if manifest.name != name or found is None or found[1] != name:
            raise StateRefused("damaged", "Its manifest belongs to another name.")
        return manifest

    def _named_by(self, path: Path) -> Path | None:
        """The state file that a manifest names."""
        found = _MANIFEST_FILE.fullmatch(path.name)
        return self._named_file(found[1]) if found else None

    def _named_file(self, name: str) -> Path | None:
        try:
            return self._folder / self._manifest(name).file
        except StateRefused:
            return None

    def _entry(self, name: str) -> PreparedEntry:
        entry = PreparedEntry(
            name=name, tokens=0, bytes=0, complete=False, created=0.0, model="", refused=None
        )
        try:
            manifest = self._manifest(name)
            entry["tokens"], entry["bytes"] = manifest.tokens, manifest.size
            entry["complete"], entry["created"] = manifest.complete, manifest.created
            entry["model"] = manifest.key.model_name
            self._key.check(manifest.key)
            read_tokens(self._folder / manifest.file, manifest)
        except StateRefused as refused:
            entry["refused"] = refused.refusal()
        return entry

    # Replacing

    def _make_valid(self, draft: Draft, manifest: Manifest) -> None:
        with self._lock:  # a deletion comes before it, and stops it, or after
            if self._is_given_up(draft):
                raise Abandoned
            old = self._named_file(draft.name)
            identity = _identity(draft.path)
            self._replace_manifest(manifest)  # the last step that may fail
            self._forget_draft(draft.path)
            self._verified.add(identity)
            self._remove(old)

    def _is_given_up(self, draft: Draft) -> bool:
        return draft.abandoned.is_set() or draft.path in self._given_up

    def _forget_draft(self, path: Path) -> None:
        self._drafts.discard(path)
        self._given_up.discard(path)

    def _account(self, draft: Draft, digest: str) -> Manifest:
        return Manifest(
            name=draft.name,
            created=time.time(),
            complete=draft.complete,
            tokens=len(draft.tokens),
            tokens_digest=bytes_digest(draft.tokens.astype("<i4").tobytes()),
            file=draft.path.name,
            size=draft.path.stat().st_size,
            digest=digest,
            key=self._key,
        )

    def _replace_manifest(self, manifest: Manifest) -> None:
        target = self._manifest_path(manifest.name)
        temporary = (self._folder / manifest.file).with_suffix(".manifest")
        try:
            with temporary.open("xb") as file:
                file.write(manifest.encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        flush_folder(self._folder)

    def _remove(self, path: Path | None) -> None:
        if path is not None and not self._readers[path]:
            try_to_remove(path)

    def _let_go(self, path: Path) -> None:
        """A reader is gone: what was replaced meanwhile can go too."""
        with self._lock:
            self._readers[path] -= 1
            if self._readers[path] <= 0:
                del self._readers[path]
                name = _name_in(path)
                if name is not None and self._named_file(name) != path:
                    try_to_remove(path)

    def _is_in_use(self, path: Path, maker: int) -> bool:
        if maker == os.getpid():
            return path in self._drafts or self._readers[path] > 0
        try:
            written = path.lstat().st_mtime
            return psutil.Process(maker).create_time() <= written
        except (OSError, psutil.Error):
            return False


def _name_in(path: Path) -> str | None:
    """The document's name in the name of a state file."""
    found = _STATE_FILE.fullmatch(path.name)
    return found[1] if found else None


def _identity(path: Path) -> FileIdentity:
    try:
        found = path.lstat()
    except OSError as error:
        raise unreadable(error) from error
    return (path.name, found.st_ino, found.st_size, found.st_mtime_ns)
