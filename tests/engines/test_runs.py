"""What the sweep recognises, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from m1desk.engines.guard.record import (
    RUN_VARIABLE,
    ProcessIdentity,
    RunRecord,
    parse_record,
    write_record,
)
from m1desk.engines.guard.this_platform import this_platform
from m1desk.engines.runs import sweep_leftovers, sweep_runs
from m1desk.store import Folders

GONE = ProcessIdentity(2**22 - 3, "another-boot:1")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits, with nothing of a run about it."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process:
        yield process
        process.kill()


def record_of(engine: ProcessIdentity | None, owner: ProcessIdentity = GONE) -> RunRecord:
    return RunRecord("a-run", owner, GONE, engine, ("engine", "--model", "x"))


def identity_of(pid: int) -> ProcessIdentity:
    birth = this_platform().birth(pid)
    assert birth is not None
    return ProcessIdentity(pid, birth)


def test_a_leftover_is_known_by_pid_and_creation_time(
    bystander: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    write_record(tmp_path / "a-run.json", record_of(identity_of(bystander.pid)))
    (ended,) = sweep_runs(tmp_path)
    assert ended.pid == bystander.pid
    assert bystander.wait(10) != 0
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_got_the_number_later_is_left_alone(
    bystander: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    later = ProcessIdentity(bystander.pid, "another-boot:12345")
    write_record(tmp_path / "a-run.json", record_of(later))
    assert sweep_runs(tmp_path) == []
    assert bystander.poll() is None
    assert list(tmp_path.iterdir()) == []


def test_a_descendant_is_known_by_the_runs_id_in_its_environment(tmp_path: Path) -> None:
    orphan = subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        env={**os.environ, RUN_VARIABLE: "a-run"},
    )
    with orphan:
        write_record(tmp_path / "a-run.json", record_of(None))
        assert [process.pid for process in sweep_runs(tmp_path)] == [orphan.pid]
        assert orphan.wait(10) != 0


def test_a_living_owners_run_is_left_alone(
    bystander: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    owner = identity_of(os.getpid())
    write_record(tmp_path / "a-run.json", record_of(identity_of(bystander.pid), owner))
    assert sweep_runs(tmp_path) == []
    assert bystander.poll() is None
    assert (tmp_path / "a-run.json").exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"run": "x"}',
        '{"run": "x", "owner": {"pid": -1, "birth": "b"}, "guard": {}, "engine": null, "argv": []}',
        '{"run": "x", "owner": {"pid": "1", "birth": 2}, "guard": 3, "engine": 4, "argv": "no"}',
        "[" * 100_000,
    ],
)
def test_a_broken_record_is_removed(content: str, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text(content)
    assert sweep_runs(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record = record_of(ProcessIdentity(7, "b"))
    write_record(tmp_path / "a-run.json", record)
    assert parse_record((tmp_path / "a-run.json").read_text()) == record


def test_the_apps_own_folders_are_swept(home: Path) -> None:
    folders = Folders.under(home)
    write_record(folders.runs / "a-run.json", record_of(None))
    assert sweep_leftovers(folders) == []
    assert list(folders.runs.iterdir()) == []
