"""The downloads in the database, so that they survive a kill and a reboot."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from m1desk.models.downloads.values import (
    Download,
    DownloadFailure,
    DownloadFile,
    DownloadState,
    part_path,
)

if TYPE_CHECKING:
    import sqlite3

    from m1desk.store import Database


class DownloadRecords:
    """Reads and writes downloads; raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        me = psutil.Process()
        self._owner = (me.pid, me.create_time())

    def add(self, wanted: Download) -> Download:
        """Write down a new download, queued and owned by this process; gives it its number."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO downloads(repo_id, commit_hash, title, endpoint, folder, state,"
                " created, owner_pid, owner_started) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    wanted.repo_id,
                    wanted.commit,
                    wanted.title,
                    wanted.endpoint,
                    str(wanted.folder),
                    DownloadState.QUEUED,
                    time.time(),
                    *self._owner,
                ),
            )
            number = int(cursor.lastrowid or 0)
            connection.executemany(
                "INSERT INTO download_files(download_id, position, path, size_bytes, sha256,"
                " blob_id) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, place, file.path, file.size_bytes, file.sha256, file.blob_id)
                    for place, file in enumerate(wanted.files)
                ],
            )
        found = self.get(number)
        assert found is not None  # noqa: S101 - written a moment ago
        return found

    def get(self, number: int) -> Download | None:
        """The download with this number, with what is on disk of it now."""
        row = self._database.query_one("SELECT * FROM downloads WHERE id = ?", (number,))
        return self._download(row) if row else None

    def all(self) -> tuple[Download, ...]:
        """All downloads, oldest first."""
        rows = self._database.query("SELECT * FROM downloads ORDER BY id")
        return tuple(self._download(row) for row in rows)

    def set_state(
        self, number: int, state: DownloadState, failure: DownloadFailure | None = None
    ) -> None:
        """Write down where a download stands."""
        self._database.execute(
            "UPDATE downloads SET state = ?, failure = ? WHERE id = ?",
            (state, json.dumps(asdict(failure)) if failure else None, number),
        )

    def set_file_done(self, number: int, path: str, *, fetched: bool) -> None:
        """Write down that a file is whole and verified."""
        self._database.execute(
            "UPDATE download_files SET done = 1, fetched = ? WHERE download_id = ? AND path = ?",
            (fetched, number, path),
        )

    def set_files_open(self, number: int) -> None:
        """Write down that files which were done are to be looked at again."""
        self._database.execute(
            "UPDATE download_files SET done = 0 WHERE download_id = ?", (number,)
        )

    def delete(self, number: int) -> None:
        """Forget a download; its files are not touched."""
        self._database.execute("DELETE FROM downloads WHERE id = ?", (number,))

    def claim(self, number: int) -> bool:
        """Make this process the owner of a download; False while another living one owns it."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT owner_pid, owner_started FROM downloads WHERE id = ?", (number,)
            ).fetchone()
            if row is None or self._is_others(row["owner_pid"], row["owner_started"]):
                return False
            connection.execute(
                "UPDATE downloads SET owner_pid = ?, owner_started = ? WHERE id = ?",
                (*self._owner, number),
            )
            return True

    def release(self) -> None:
        """Own nothing any more, so that another process may take over."""
        self._database.execute(
            "UPDATE downloads SET owner_pid = NULL, owner_started = NULL"
            " WHERE owner_pid = ? AND owner_started = ?",
            self._owner,
        )

    def checksum_of(self, path: Path) -> str:
        """SHA-256 that a finished download gave for a file; "" when none did."""
        rows = self._database.query(
            "SELECT folder, path, sha256 FROM download_files JOIN downloads ON id = download_id"
            " WHERE done = 1 AND sha256 <> '' ORDER BY id DESC"
        )
        wanted = path.absolute()
        return next(
            (str(row["sha256"]) for row in rows if Path(row["folder"], row["path"]) == wanted), ""
        )

    def _is_others(self, pid: int | None, started: float | None) -> bool:
        if pid is None or started is None or (pid, started) == self._owner:
            return False
        try:
            return abs(psutil.Process(pid).create_time() - started) < 1.0
        except psutil.Error:
            return False

    def _download(self, row: sqlite3.Row) -> Download:
        folder = Path(row["folder"])
        files = tuple(
            _file(each)
            for each in self._database.query(
                "SELECT * FROM download_files WHERE download_id = ? ORDER BY position",
                (row["id"],),
            )
        )
        return Download(
            id=row["id"],
            repo_id=row["repo_id"],
            commit=row["commit_hash"],
            title=row["title"],
            endpoint=row["endpoint"],
            folder=folder,
            files=files,
            state=DownloadState(row["state"]),
            failure=_failure(row["failure"]),
            created=row["created"],
            bytes_done=sum(_bytes_there(folder, file) for file in files),
        )


def _file(row: sqlite3.Row) -> DownloadFile:
    return DownloadFile(
        path=row["path"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        blob_id=row["blob_id"],
        is_done=bool(row["done"]),
        was_fetched=bool(row["fetched"]),
    )


def _bytes_there(folder: Path, file: DownloadFile) -> int:
    if file.is_done:
        return file.size_bytes
    try:
        return min(part_path(folder / file.path).stat().st_size, file.size_bytes)
    except OSError:
        return 0


def _failure(text: str | None) -> DownloadFailure | None:
    if not text:
        return None
    values: dict[str, Any] = json.loads(text)
    return DownloadFailure(**values)
