"""The database file: made, brought up to date, and refused with reasons."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from m1desk.errors import StorageError
from m1desk.store import Database, DatabaseDamagedError, DatabaseTooNewError, set_aside
from m1desk.store.migrations import MIGRATIONS, Migration

if TYPE_CHECKING:
    from pathlib import Path

NEWEST = MIGRATIONS[-1].number


def test_a_new_file_gets_the_newest_schema(tmp_path: Path) -> None:
    with Database(tmp_path / "a.db") as database:
        assert database.schema_version == NEWEST
        assert database.query_one("PRAGMA journal_mode")[0] == "wal"
        assert database.query_one("PRAGMA foreign_keys")[0] == 1
        assert database.query_one("PRAGMA busy_timeout")[0] == 5000
        assert database.problems() == ()


def test_migrations_are_numbered_without_gaps() -> None:
    assert [migration.number for migration in MIGRATIONS] == list(range(1, NEWEST + 1))


def test_opening_again_keeps_what_was_written(tmp_path: Path) -> None:
    with Database(tmp_path / "a.db") as database:
        database.execute("INSERT INTO settings VALUES ('a', '1')")
    with Database(tmp_path / "a.db") as database:
        assert database.query_one("SELECT value FROM settings")["value"] == "1"


@pytest.mark.parametrize("known", range(NEWEST))
def test_an_older_file_is_brought_up_to_date(tmp_path: Path, known: int) -> None:
    Database(tmp_path / "a.db", MIGRATIONS[:known]).close()
    with Database(tmp_path / "a.db") as database:
        assert database.schema_version == NEWEST
        assert database.query("SELECT * FROM conversations") == []


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    Database(tmp_path / "a.db").close()
    bad = Migration(NEWEST + 1, "bad", ("CREATE TABLE half (a)", "CREATE NONSENSE"))
    with pytest.raises(StorageError):
        Database(tmp_path / "a.db", (*MIGRATIONS, bad))
    with Database(tmp_path / "a.db") as database:
        assert database.schema_version == NEWEST
        assert not database.query("SELECT 1 FROM sqlite_master WHERE name = 'half'")


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    future = Migration(NEWEST + 1, "future", ("CREATE TABLE future (a)",))
    Database(path, (*MIGRATIONS, future)).close()
    before = path.read_bytes()
    with pytest.raises(DatabaseTooNewError, match="newer version") as caught:
        Database(path)
    assert f"schema {NEWEST + 1}" in caught.value.why
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" * 300])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(DatabaseDamagedError, match="damaged") as caught:
        Database(path)
    assert "set it aside" in caught.value.todo
    kept = set_aside(path, now=0.0)
    assert kept.read_bytes() == content
    assert "set-aside-19" in kept.name
    with Database(path) as database:
        assert database.schema_version == NEWEST


def test_setting_aside_twice_in_a_second_keeps_both(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    kept = []
    for content in (b"one", b"two"):
        path.write_bytes(content)
        kept.append(set_aside(path, now=0.0))
    assert [file.read_bytes() for file in kept] == [b"one", b"two"]


def test_setting_aside_takes_the_side_files_along(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"x")
    (tmp_path / "a.db-wal").write_bytes(b"w")
    kept = set_aside(path)
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"w"
    assert not (tmp_path / "a.db-wal").exists()


def test_damage_found_later_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Database(path) as database:
        database.execute("INSERT INTO measurements VALUES ('k', ?, 0)", ("x" * 200_000,))
    content = bytearray(path.read_bytes())
    for place in range(4096, len(content), 4096):
        content[place : place + 4096] = b"\xff" * min(4096, len(content) - place)
    path.write_bytes(content)
    with pytest.raises(DatabaseDamagedError), Database(path) as database:
        database.query("SELECT * FROM measurements")


def test_a_stranger_s_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (a)")
    other.close()
    with pytest.raises(DatabaseDamagedError, match="not a database of M1 Desk"):
        Database(path)


def test_a_place_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "missing" / "a.db", tmp_path / "file" / "a.db"):
        with pytest.raises(StorageError, match="can't be written"):
            Database(path)


def test_a_database_that_another_holds_is_named(tmp_path: Path) -> None:
    with Database(tmp_path / "a.db") as database, Database(tmp_path / "a.db") as other:
        other.execute("PRAGMA busy_timeout = 1")
        with database.transaction(), pytest.raises(StorageError, match="in use"):
            other.execute("INSERT INTO settings VALUES ('a', '1')")


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with Database(tmp_path / "a.db") as database:

        def fail_half_way() -> None:
            with database.transaction():
                database.execute("INSERT INTO settings VALUES ('a', '1')")
                with database.transaction():
                    database.execute("INSERT INTO settings VALUES ('b', '1')")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_half_way()
        assert database.query("SELECT * FROM settings") == []
        with database.transaction():
            database.execute("INSERT INTO settings VALUES ('c', '1')")
        assert len(database.query("SELECT * FROM settings")) == 1


def test_threads_take_turns(tmp_path: Path) -> None:
    with Database(tmp_path / "a.db") as database:
        database.execute("INSERT INTO settings VALUES ('n', '0')")

        def count() -> None:
            for _ in range(50):
                with database.transaction():
                    number = int(database.query_one("SELECT value FROM settings")["value"])
                    database.execute("UPDATE settings SET value = ?", (str(number + 1),))

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert database.query_one("SELECT value FROM settings")["value"] == "200"


def test_using_a_closed_database_is_a_storage_error(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    database.close()
    database.close()
    with pytest.raises(StorageError):
        database.query("SELECT 1")
