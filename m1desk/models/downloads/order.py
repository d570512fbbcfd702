"""What a transfer process is told to fetch, and the events it answers with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from m1desk.models.downloads.values import DownloadFile

PROGRESS: Final = "progress"
"""`bytes_done`, `bytes_verified` (of all files), `verifying` (bool)."""
FILE_DONE: Final = "file_done"
"""`path`, `fetched` (false: it was there before)."""
DONE: Final = "done"
FAILED: Final = "failed"
"""The fields of `DownloadFailure`."""


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """One download for one process, which gets it as a line of JSON on standard input.

    Attributes:
        reserve_bytes: that must stay free on the disk.
    """

    endpoint: str
    repo_id: str
    commit: str
    folder: str
    files: tuple[DownloadFile, ...]
    reserve_bytes: int
    token: str | None = field(default=None, repr=False)

    def to_line(self) -> bytes:
        """As the process reads it."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @staticmethod
    def from_line(line: bytes) -> TransferOrder:
        """Read what `to_line` wrote."""
        values: dict[str, Any] = json.loads(line)
        files = tuple(DownloadFile(**file) for file in values.pop("files"))
        return TransferOrder(files=files, **values)


def event_line(event: str, values: Mapping[str, object]) -> bytes:
    """An event as a line of JSON."""
    return json.dumps({"event": event, **values}).encode() + b"\n"
