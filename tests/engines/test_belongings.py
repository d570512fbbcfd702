"""Shared memory and sockets of a run: gone with it, and nobody else's touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path

import pytest
from crowd import HERE, MARK, Crowd, crowd
from support.vllm_child import names_in_shared_memory, shared_by

from m1desk.engines.guard.belongings import (
    SHARED_MEMORY,
    Belongings,
    Segment,
    SegmentWatch,
    remove_belongings,
)
from m1desk.engines.guard.record import ProcessIdentity, RunRecord, parse_record
from m1desk.engines.runs import sweep_runs

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="only Linux has /dev/shm")

ROOT = HERE.parent.parent
SECONDS_TO_START = 30.0
SECONDS_TO_END = 10.0
ME = ProcessIdentity(1, "a-boot:1")


@dataclass
class Household:
    """An owner, its guard and an engine of two processes that share memory."""

    owner: subprocess.Popen[bytes]
    guard: int
    engine: int
    people: Crowd
    runs: Path
    scratch: Path
    shared: set[str]

    def check_nothing_is_left(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_END
        while list(self.runs.glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(self.runs.glob("*.json")) == []
        assert self.shared & names_in_shared_memory() == set()
        assert not self.scratch.exists()


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    with crowd() as people:
        scratch = tmp_path / f"m1desk-run-{people.mark[:16]}"
        owner = subprocess.Popen(
            [
                *(sys.executable, str(HERE / "standin_owner.py"), str(tmp_path), "--scratch"),
                *(str(scratch), sys.executable, str(HERE / "standin_sharer.py")),
            ],
            env={
                **os.environ,
                MARK: people.mark,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(scratch),
            },
            stdout=subprocess.PIPE,
        )
        with owner:
            assert owner.stdout is not None
            pids = json.loads(owner.stdout.readline())
            shared = shared_by(people.living())
            assert len(shared) == 2, "a segment and a semaphore"
            yield Household(owner, pids["guard"], pids["engine"], people, tmp_path, scratch, shared)
            owner.kill()


def test_killing_the_engine_leaves_no_shared_memory(household: Household) -> None:
    os.kill(household.engine, signal.SIGKILL)
    household.check_nothing_is_left()


def test_killing_the_owner_leaves_no_shared_memory(household: Household) -> None:
    household.owner.kill()
    household.owner.wait()
    household.check_nothing_is_left()


def test_killing_the_guard_leaves_no_shared_memory(household: Household) -> None:
    os.kill(household.guard, signal.SIGKILL)
    household.check_nothing_is_left()


def test_the_sweep_removes_what_only_the_record_still_knows(household: Household) -> None:
    """All processes are dead, so that nothing maps the segments any more."""
    (path,) = household.runs.glob("*.json")
    deadline = time.monotonic() + SECONDS_TO_START
    while len(parse_record(path.read_text()).belongings.segments) < len(household.shared):
        assert time.monotonic() < deadline, "the guard did not record what is shared"
        time.sleep(0.02)
    for pid in (household.owner.pid, household.guard):
        os.kill(pid, signal.SIGSTOP)
    for process in household.people.living():
        process.kill()
    household.owner.wait()
    assert household.people.wait_for(0, SECONDS_TO_END) == 0
    assert household.shared <= names_in_shared_memory()
    sweep_runs(household.runs)
    household.check_nothing_is_left()


@pytest.fixture
def foreign() -> Iterator[shared_memory.SharedMemory]:
    """A segment of this process's, as any other program might have one."""
    segment = shared_memory.SharedMemory(create=True, size=4096)
    resource_tracker.unregister(f"/{segment.name}", "shared_memory")
    yield segment
    segment.close()
    (SHARED_MEMORY / segment.name).unlink(missing_ok=True)


def segment_of(memory: shared_memory.SharedMemory) -> Segment:
    return Segment(memory.name, (SHARED_MEMORY / memory.name).stat().st_ino)


def test_what_was_there_before_is_nobodys_of_the_run(foreign: shared_memory.SharedMemory) -> None:
    watch = SegmentWatch()
    assert not watch.look(lambda: [os.getpid()])
    assert not watch.note([os.getpid()])
    assert watch.found == frozenset()


def test_what_somebody_still_uses_is_left(foreign: shared_memory.SharedMemory) -> None:
    remove_belongings(Belongings(frozenset({segment_of(foreign)})))
    assert foreign.name in names_in_shared_memory()


def test_a_later_segment_of_the_same_name_is_left(foreign: shared_memory.SharedMemory) -> None:
    found = segment_of(foreign)
    foreign.close()
    remove_belongings(Belongings(frozenset({Segment(found.name, found.inode + 1)})))
    assert foreign.name in names_in_shared_memory()
    remove_belongings(Belongings(frozenset({found})))
    assert foreign.name not in names_in_shared_memory()


def test_only_a_folder_with_our_kind_of_name_is_ever_removed(tmp_path: Path) -> None:
    remove_belongings(Belongings(scratch=tmp_path))
    assert tmp_path.is_dir()


@pytest.mark.parametrize(
    "damage",
    [
        {"scratch": "/home/somebody"},
        {"scratch": "m1desk-run-0123456789abcdef"},
        {"segments": [{"name": "../etc/passwd", "inode": 1}]},
        {"segments": [{"name": "psm_1", "inode": "1"}]},
        {"segments": 7},
        [],
    ],
)
def test_a_record_that_names_something_else_is_broken(damage: object) -> None:
    text = RunRecord("a-run", ME, ME, None, ("engine",)).to_json()
    with pytest.raises(ValueError, match="not a run record"):
        parse_record(json.dumps({**json.loads(text), "belongings": damage}))


def test_a_record_keeps_what_belongs_to_the_run() -> None:
    kept = Belongings(
        frozenset({Segment("psm_1", 7), Segment("sem.mp-2", 8)}),
        Path("/tmp/m1desk-run-0123456789abcdef"),
    )
    record = RunRecord("a-run", ME, ME, ME, ("engine",), kept)
    assert parse_record(record.to_json()) == record
    fields = json.loads(record.to_json())
    del fields["belongings"]  # as earlier versions wrote it
    assert parse_record(json.dumps(fields)).belongings == Belongings()
