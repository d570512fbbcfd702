"""The app's one SQLite file: opened, brought up to date, and guarded for one thread at a time."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from m1desk.errors import StorageError
from m1desk.store.migrations import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from m1desk.store.migrations import Migration

    Value = str | int | float | bytes | None

_log = logging.getLogger(__name__)

_APPLICATION_ID: Final = 0x4D314453  # "M1DS", so that a stranger's database is recognised
_BUSY_SECONDS: Final = 5.0
_SIDE_FILES: Final = ("-wal", "-shm")


class DatabaseDamagedError(StorageError):
    """The file is no usable database; `set_aside` keeps it and makes room for a new one."""


class DatabaseTooNewError(StorageError):
    """A newer version of the app has written the file; this one leaves it alone."""


class Database:
    """An open database; a lock lets one thread at a time use it.

    Raises StorageError when the file can't be opened or written, DatabaseDamagedError when it is
    broken or not ours, DatabaseTooNewError when a newer version of the app made it.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        with self._explained():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare(migrations)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The bare connection; its errors are sqlite3's own."""
        return self._connection

    @property
    def schema_version(self) -> int:
        """Number of the last migration the file has seen."""
        return self._pragma("user_version")

    def execute(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Cursor:
        """Run one statement that returns no rows; raises StorageError."""
        with self._lock, self._explained():
            return self._connection.execute(sql, values)

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """All rows of one statement; raises StorageError."""
        with self._lock, self._explained():
            return self._connection.execute(sql, values).fetchall()

    def query_one(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Row | None:
        """First row of one statement, if there is one; raises StorageError."""
        with self._lock, self._explained():
            row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return row

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing of it; a block within a block joins the outer one."""
        with self._lock, self._explained():
            if self._depth:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def problems(self) -> tuple[str, ...]:
        """Faults found by SQLite's own check, none when all is well; reads the whole file."""
        rows = self.query("PRAGMA quick_check")
        return tuple(str(row[0]) for row in rows if row[0] != "ok")

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._lock:
            self._connection.close()

    def _prepare(self, migrations: Sequence[Migration]) -> None:
        with self._explained():
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._refuse_strangers(migrations)
            # A network file system may refuse WAL; SQLite then stays with its rollback journal.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
        for migration in migrations:
            self._migrate(migration)
        with self.transaction():  # proves that the file can be written
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")

    def _refuse_strangers(self, migrations: Sequence[Migration]) -> None:
        version = self._pragma("user_version")
        newest = migrations[-1].number if migrations else 0
        ours = self._pragma("application_id") == _APPLICATION_ID
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not ours and tables:
            raise DatabaseDamagedError(
                f"{self.path} is not a database of M1 Desk.",
                "Another program has made it.",
                "Move the file elsewhere, or let M1 Desk set it aside and begin a new one.",
            )
        if version > newest:
            raise DatabaseTooNewError(
                "The database was written by a newer version of M1 Desk.",
                f"{self.path} has schema {version}; this version knows schemas up to {newest}.",
                "Start the newer version, or move the file elsewhere to begin a new one.",
            )

    def _migrate(self, migration: Migration) -> None:
        with self.transaction() as connection:
            # Asked again inside the transaction: another process may have just done it.
            if self._pragma("user_version") >= migration.number:
                return
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {int(migration.number)}")
        _log.info("database brought to schema %d: %s", migration.number, migration.purpose)

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _storage_error(self.path, error) from error


def set_aside(path: Path, now: float | None = None) -> Path:
    """Rename the database at `path` with a time stamp and return its new name; nothing is deleted.

    `now` is in seconds since the epoch. Close the database first. Raises StorageError.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    target = _free_name(path, stamp)
    try:
        path.rename(target)
        for ending in _SIDE_FILES:
            side = path.with_name(path.name + ending)
            if side.exists():
                side.rename(target.with_name(target.name + ending))
    except OSError as error:
        raise StorageError(
            f"{path} can't be set aside.",
            f"The system says: {error.strerror or error}.",
            "Close other copies of M1 Desk, or move the file yourself.",
        ) from error
    _log.warning("database set aside as %s", target)
    return target


def _free_name(path: Path, stamp: str) -> Path:
    target = path.with_name(f"{path.stem}.set-aside-{stamp}{path.suffix}")
    count = 2
    while target.exists():
        target = path.with_name(f"{path.stem}.set-aside-{stamp}-{count}{path.suffix}")
        count += 1
    return target


def _storage_error(path: Path, error: sqlite3.Error) -> StorageError:
    """Say for the user what SQLite names in `sqlite_errorname`."""
    name = getattr(error, "sqlite_errorname", "")
    why = f"SQLite says: {error}."
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return DatabaseDamagedError(
            f"The database {path} is damaged.",
            why,
            "Restore it from a backup, or let M1 Desk set it aside and begin a new one.",
        )
    if name.startswith("SQLITE_FULL"):
        return StorageError(
            "The disk is full; nothing more could be saved.", why, "Free some space."
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StorageError(
            f"The database {path} can't be written.",
            why,
            "Check the permissions of the file and of its folder.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageError(
            "The database is in use by another program.", why, "Close it and try again."
        )
    return StorageError(f"The database {path} could not be used.", why)
