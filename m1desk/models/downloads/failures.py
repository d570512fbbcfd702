"""Why a download stopped, as values that travel between processes."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from m1desk.errors import HubError, M1DeskError, StorageError
from m1desk.models.downloads.part_file import DiskFullError, TooLongError
from m1desk.models.downloads.values import DownloadFailure
from m1desk.models.hub_errors import hub_error

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class StoppedError(Exception):
    """The download can't go on, for the reason given."""

    def __init__(self, failure: DownloadFailure) -> None:
        super().__init__(failure.what)
        self.failure = failure


def failure_of(error: M1DeskError) -> DownloadFailure:
    """The failure that an error of ours is to a download."""
    if isinstance(error, HubError):
        return DownloadFailure(error.kind, error.what, error.why, error.todo, error.retry_after)
    kind = "disk" if isinstance(error, StorageError) else "answer"
    return DownloadFailure(kind, error.what, error.why, error.todo)


def in_use(path: str) -> DownloadFailure:
    """Another process writes the file."""
    return DownloadFailure(
        "in_use",
        f"{path} is being downloaded already.",
        "Another copy of M1 Desk works on it.",
        "Wait for it, or close it.",
    )


def changed(path: str) -> DownloadFailure:
    """The hub has another file now than when the download was begun."""
    return DownloadFailure(
        "changed",
        f"{path} is not the file any more that was asked for.",
        "Its size or checksum on the hub has changed.",
        "Remove this download and start it again.",
    )


def wrong_content(path: str) -> DownloadFailure:
    """The checksum of what arrived is not the hub's."""
    return DownloadFailure(
        "checksum",
        f"{path} arrived with wrong content.",
        "Its checksum is not the one the hub names. What had arrived was removed.",
        "Start it again; if that happens twice, the network or a proxy changes files.",
    )


def is_there_already(target: Path) -> DownloadFailure:
    """A file of that name, with other content, is in the way."""
    return DownloadFailure(
        "disk",
        f"{target} is there already, with other content.",
        "It may be an older revision of the file, or a damaged one.",
        "Remove or rename it, then start the download again.",
    )


def transfer_failure(error: Exception, subject: str) -> DownloadFailure | None:
    """What an error in a transfer means; None for one that is a fault of ours."""
    if isinstance(error, StoppedError):
        return error.failure
    if isinstance(error, TooLongError):
        return DownloadFailure(
            "answer", "The server sent more than the file is long.", "", "Try again later."
        )
    if isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in _FULL):
        return DownloadFailure(
            "disk_full",
            "The disk is full.",
            "What has arrived is kept.",
            "Free some space, then continue the download.",
        )
    if isinstance(error, M1DeskError):
        return failure_of(error)
    if type(error) is OSError or isinstance(error, PermissionError):
        return _disk_failure(error)
    translated = hub_error(error, subject)
    return failure_of(translated) if translated is not None else None


def _disk_failure(error: OSError) -> DownloadFailure:
    if error.errno is None:
        # http_get's own complaint about a body that ended too early
        return DownloadFailure(
            "network", "The transfer broke off.", "The server ended it early.", "Continue it."
        )
    if error.errno == errno.EFBIG:
        return DownloadFailure(
            "disk",
            "The file can't be written.",
            "The file system takes no file of this size (FAT32 ends at 4 GB).",
            "Choose a folder on another disk.",
        )
    return DownloadFailure(
        "disk",
        "The file can't be written.",
        f"The system says: {error.strerror or error}.",
        "Check the disk and the folder's permissions, then continue the download.",
    )
