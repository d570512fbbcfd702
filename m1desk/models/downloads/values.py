"""A download as a value: what is fetched, how far it is, and what went wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from m1desk.errors import M1DeskError

PART_ENDING: Final = ".part"
"""What the name of a file that is not all there yet ends with."""

NOTES_ENDING: Final = ".part.json"
LOCK_ENDING: Final = ".part.lock"


class DownloadState(StrEnum):
    """Where a download stands."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_active(self) -> bool:
        """Whether a process works on it."""
        return self in {DownloadState.DOWNLOADING, DownloadState.VERIFYING}

    @property
    def is_unfinished(self) -> bool:
        """Whether it will go on by itself."""
        return self.is_active or self is DownloadState.QUEUED


@dataclass(frozen=True, slots=True)
class DownloadFailure:
    """Why a download stopped.

    Attributes:
        kind: a kind of HubError's, or "disk_full", "disk", "checksum", "changed", "in_use",
            "ended" (the process died).
        retry_after: seconds the hub asked to wait, None when it did not.
    """

    kind: str
    what: str
    why: str = ""
    todo: str = ""
    retry_after: float | None = None

    def __str__(self) -> str:
        """All that is known, in one line."""
        return " ".join(part for part in (self.what, self.why, self.todo) if part)

    def error(self) -> M1DeskError:
        """The same as an error to raise."""
        return M1DeskError(self.what, self.why, self.todo)


@dataclass(frozen=True, slots=True)
class DownloadFile:
    """A file of a download.

    Attributes:
        path: inside the repository, and below the download's folder.
        sha256: of the content, "" if the hub keeps none.
        blob_id: git's checksum, for files without `sha256`; "" if unknown.
        is_done: it lies at its place, verified.
        was_fetched: this download put it there; one that was there before is not ours to remove.
    """

    path: str
    size_bytes: int
    sha256: str = ""
    blob_id: str = ""
    is_done: bool = False
    was_fetched: bool = False


@dataclass(frozen=True, slots=True)
class Download:
    """A model on its way, as it was at one moment.

    Attributes:
        commit: the repository's commit the files are fetched at.
        title: for the person, such as "owner/name · Q4_K_M".
        folder: that the files' paths are below.
        bytes_done: on disk, of all files.
        bytes_verified: whose checksum was computed, of all files.
        bytes_per_second: over the last ten seconds; None when not moving.
        seconds_left: at this speed; None when it can't be told.
        note: what it waits for, "" when it does not.
        created: seconds since the epoch.
    """

    id: int
    repo_id: str
    commit: str
    title: str
    endpoint: str
    folder: Path
    files: tuple[DownloadFile, ...]
    state: DownloadState
    failure: DownloadFailure | None = None
    created: float = 0.0
    bytes_done: int = 0
    bytes_verified: int = 0
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    note: str = ""

    @property
    def bytes_total(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def fraction(self) -> float:
        """How much is on disk, from 0 to 1."""
        return self.bytes_done / self.bytes_total if self.bytes_total else 1.0

    @property
    def main_path(self) -> Path:
        """The file to load once it is done: the first GGUF, else the checkpoint's folder."""
        models = (file.path for file in self.files if file.path.endswith(".gguf"))
        return self.folder / next(models, "")

    def target(self, file: DownloadFile) -> Path:
        """Where a file lies when it is whole."""
        return self.folder / file.path


def part_path(target: Path) -> Path:
    """Where the beginning of a file lies until it is whole."""
    return target.with_name(target.name + PART_ENDING)


def side_paths(target: Path) -> tuple[Path, ...]:
    """All files that exist beside `target` only while it is fetched."""
    return tuple(
        target.with_name(target.name + end) for end in (PART_ENDING, NOTES_ENDING, LOCK_ENDING)
    )


def remove_quietly(path: Path) -> None:
    """Remove a file, if it is there and can be."""
    for _ in range(3):
        try:
            path.unlink(missing_ok=True)
        except OSError:  # Windows: a process that just died may still hold it
            time.sleep(0.2)
        else:
            return
