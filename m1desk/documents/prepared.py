"""Prepared documents on the disk: what an engine has read and saved, within a budget.

The engine writes, checks and restores these files (docs/prepared.md). Here they are only listed,
to say what they are, and deleted, those unused longest first.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from m1desk.errors import StorageError

_MANIFEST: Final = re.compile(r"prepared-(?P<name>set-(?P<set>\d{1,18})-[0-9a-f]{12})\.json")
_FILE: Final = re.compile(r"prepared-(?P<name>set-(?P<set>\d{1,18})-[0-9a-f]{12})\.")
_MOST_MANIFEST_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class PreparedState:
    """One saved state.

    Attributes:
        set_id: of the set of documents it holds.
        tokens: how many the engine has read.
        size_bytes: on the disk.
        model: name of the model that read them.
        created, last_used: seconds since the epoch.
        is_complete: False when the reading was cut off; it goes on from there.
    """

    name: str
    set_id: int
    tokens: int
    size_bytes: int
    model: str
    created: float
    last_used: float
    is_complete: bool


class PreparedStates:
    """The saved states in a folder; any thread may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self) -> tuple[PreparedState, ...]:
        """All states that are ours, the one used last first; what can't be read is left out."""
        try:
            paths = sorted(self._folder.glob("prepared-*.json"))
        except OSError:
            return ()
        found = [state for state in map(_read, paths) if state is not None]
        return tuple(sorted(found, key=lambda state: state.last_used, reverse=True))

    def touch(self, name: str) -> None:
        """Note that a state was used just now; harmless when it is gone."""
        try:
            os.utime(self._manifest(name))
        except OSError:
            return

    def delete(self, name: str) -> int:
        """Delete a state and return the bytes freed.

        Raises:
            StorageError: a file can't be deleted.
        """
        freed = 0
        # The manifest first: without it the rest means nothing, whenever this is interrupted.
        files = sorted(self._folder.glob(f"prepared-{name}.*"))
        for path in (self._manifest(name), *files):
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(
                    "A prepared document can't be deleted.",
                    f"{path}: {error.strerror or error}.",
                    "Unload the model, or delete the file yourself.",
                ) from error
            freed += size
        return freed

    def delete_set(self, set_id: int) -> None:
        """Delete all states of a set, also one that is being made; raises StorageError."""
        for path in sorted(self._folder.glob(f"prepared-set-{set_id}-*")):
            named = _FILE.match(path.name)
            if named is not None:
                self.delete(named["name"])

    def sweep(self, set_ids: Collection[int]) -> None:
        """Delete the states of all sets but these; raises StorageError."""
        for path in sorted(self._folder.glob("prepared-set-*")):
            named = _FILE.match(path.name)
            if named is not None and int(named["set"]) not in set_ids:
                self.delete(named["name"])

    def _manifest(self, name: str) -> Path:
        return self._folder / f"prepared-{name}.json"

    def make_room(
        self, budget_bytes: int, keep: frozenset[str] = frozenset()
    ) -> tuple[PreparedState, ...]:
        """Delete those unused longest until all together are within the budget.

        Returns what was deleted. `keep` names those that are in use. Raises StorageError.
        """
        states = self.entries()
        total = sum(state.size_bytes for state in states)
        removed: list[PreparedState] = []
        for state in reversed(states):
            if total <= budget_bytes:
                break
            if state.name in keep:
                continue
            self.delete(state.name)
            total -= state.size_bytes
            removed.append(state)
        return tuple(removed)


def state_name(set_id: int, text_sha256: str, model_path: Path, kv_type: str) -> str:
    """Name the state of a set's text, as `DocumentsText.sha256` tells it, for a model.

    Other text has another name: leaving a file out for one question costs nothing of what was
    read before.
    """
    key = f"{text_sha256}\0{model_path.absolute()}\0{kv_type}".encode("utf-8", "surrogateescape")
    return f"set-{set_id}-{hashlib.sha256(key).hexdigest()[:12]}"


def _read(path: Path) -> PreparedState | None:
    """Read what a manifest says; the engine checks it for itself when it uses the state."""
    named = _MANIFEST.fullmatch(path.name)
    if named is None:
        return None
    try:
        with path.open("rb") as file:
            fields = json.loads(file.read(_MOST_MANIFEST_BYTES))
        return PreparedState(
            name=named["name"],
            set_id=int(named["set"]),
            tokens=int(fields["tokens"]),
            size_bytes=int(fields["size"]),
            model=str(fields["key"]["model_name"]),
            created=float(fields["created"]),
            last_used=path.stat().st_mtime,
            is_complete=bool(fields["complete"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
