"""What is left of an engine, its guard and its owner when one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from crowd import HERE, MARK, Crowd, crowd, standin

from m1desk.engines.guard.record import RUN_VARIABLE, parse_record
from m1desk.engines.guard.this_platform import this_platform
from m1desk.engines.runs import sweep_runs
from m1desk.wire import EngineExited, EngineStarted, Failed, decode_event

ROOT = HERE.parent.parent
GUARD = [sys.executable, "-m", "m1desk.engines.guard"]
FAMILY_SIZE = 7  # owner, guard, engine, two children, two grandchildren
SECONDS_TO_END = 2.0
SECONDS_TO_START = 30.0


@dataclass
class Household:
    """An owner with its guard and an engine that has deaf children and grandchildren."""

    owner: subprocess.Popen[bytes]
    guard: int
    engine: int
    crowd: Crowd
    runs: Path


def marked(people: Crowd) -> dict[str, str]:
    return {**os.environ, MARK: people.mark, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def people() -> Iterator[Crowd]:
    with crowd() as found:
        yield found


@pytest.fixture
def household(people: Crowd, tmp_path: Path) -> Iterator[Household]:
    owner = subprocess.Popen(
        [sys.executable, str(HERE / "standin_owner.py"), str(tmp_path), *standin("family")],
        env=marked(people),
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout is not None
        pids = json.loads(owner.stdout.readline())
        assert people.wait_for(FAMILY_SIZE, SECONDS_TO_START) == FAMILY_SIZE
        yield Household(owner, pids["guard"], pids["engine"], people, tmp_path)
        owner.kill()


def run_guard(argv: list[str], people: Crowd, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*GUARD, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=marked(people),
        cwd=ROOT,
    )


def test_killing_the_owner_leaves_nothing(household: Household) -> None:
    household.owner.kill()
    household.owner.wait()
    assert household.crowd.wait_for(0, SECONDS_TO_END) == 0
    assert list(household.runs.glob("*.json")) == []


def test_killing_the_engine_leaves_nothing_of_it(household: Household) -> None:
    os.kill(household.engine, signal.SIGKILL)
    assert household.crowd.wait_for(0, SECONDS_TO_END) == 0
    assert list(household.runs.glob("*.json")) == []


def test_killing_the_guard_leaves_nothing_because_the_owner_notices(household: Household) -> None:
    os.kill(household.guard, signal.SIGKILL)
    assert household.crowd.wait_for(0, SECONDS_TO_END) == 0
    assert list(household.runs.glob("*.json")) == []


def test_the_sweep_ends_what_survived_owner_and_guard(household: Household) -> None:
    os.kill(household.owner.pid, signal.SIGSTOP)  # so that it can't notice the guard's end
    os.kill(household.guard, signal.SIGKILL)
    household.owner.kill()
    household.owner.wait()
    assert household.crowd.count() > 0  # grandchildren that no guard holds any more
    ended = sweep_runs(household.runs)
    assert household.crowd.wait_for(0, SECONDS_TO_END) == 0
    assert any("standin_engine.py" in process.command for process in ended)
    assert list(household.runs.glob("*.json")) == []


def test_the_record_names_owner_guard_and_engine(household: Household) -> None:
    (path,) = household.runs.glob("*.json")
    record = parse_record(path.read_text())
    assert record.owner.pid == household.owner.pid
    assert record.guard.pid == household.guard
    assert record.engine is not None
    assert record.engine.pid == household.engine
    assert record.run == path.stem
    assert record.argv == standin("family")
    assert psutil.Process(household.engine).environ()[RUN_VARIABLE] == record.run


def test_the_sweep_spares_the_engine_of_a_living_owner(household: Household) -> None:
    assert sweep_runs(household.runs) == []
    assert household.crowd.count() == FAMILY_SIZE
    assert len(list(household.runs.glob("*.json"))) == 1


def test_stop_ends_a_whole_family_that_ignores_signals(people: Crowd) -> None:
    guard = run_guard(["--grace", "0.2", "--", *standin("family")], people)
    with guard:
        assert people.wait_for(FAMILY_SIZE - 1, SECONDS_TO_START) == FAMILY_SIZE - 1
        output, _ = guard.communicate(b"stop\n", timeout=20)
    events = [decode_event(line) for line in output.splitlines()]
    assert isinstance(events[-1], EngineExited)
    assert events[-1].signal == signal.SIGKILL
    assert people.count() == 0


def test_a_request_to_end_reaches_an_engine_that_listens(people: Crowd) -> None:
    guard = run_guard(["--grace", "30", "--", *standin("ready")], people)
    with guard:
        assert guard.stdout is not None
        lines = [guard.stdout.readline() for _ in range(4)]
        assert any(isinstance(decode_event(line), EngineStarted) for line in lines)
        output, _ = guard.communicate(b"stop\n", timeout=20)
    assert decode_event(output.splitlines()[-1]) == EngineExited(None, signal.SIGTERM)


def test_an_ending_engine_takes_its_orphans_along(people: Crowd) -> None:
    guard = run_guard(["--", *standin("orphans")], people)
    with guard:
        assert guard.stdout is not None
        output = guard.stdout.read()
        assert guard.wait(20) == 0
    assert decode_event(output.splitlines()[-1]) == EngineExited(3, None)
    assert people.count() == 0


def test_a_program_that_does_not_exist_is_said_to_be_missing(people: Crowd) -> None:
    guard = run_guard(["--", "/nowhere/engine"], people)
    with guard:
        output, _ = guard.communicate(timeout=20)
    event = decode_event(output)
    assert isinstance(event, Failed)
    assert "/nowhere/engine" in event.detail
    assert guard.returncode == 1


def test_terminating_the_guard_ends_the_engine(people: Crowd) -> None:
    guard = run_guard(["--grace", "0.1", "--", *standin("deaf")], people)
    with guard:
        assert people.wait_for(2, SECONDS_TO_START) == 2
        assert guard.stdout is not None
        while b"ready" not in guard.stdout.readline():
            pass
        guard.terminate()
        guard.wait(20)
    assert people.count() == 0


def test_an_owner_that_is_gone_already_gets_no_engine(people: Crowd) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    guard = run_guard(["--owner", str(gone.pid), "--", *standin("ready")], people)
    with guard:
        output, _ = guard.communicate(timeout=20)
    assert output == b""


def test_a_dead_owner_is_noticed_though_its_lifeline_stays_open(people: Crowd) -> None:
    """A forked helper of the owner may hold the other end of the pipe."""
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with owner:
        guard = run_guard(["--owner", str(owner.pid), "--", *standin("ready")], people)
        with guard:
            assert people.wait_for(2, SECONDS_TO_START) == 2
            owner.kill()
            owner.wait()
            assert people.wait_for(0, SECONDS_TO_END) == 0


def test_a_birth_tells_two_processes_apart_and_says_when() -> None:
    platform = this_platform()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process:
        birth = platform.birth(process.pid)
        assert birth is not None
        assert birth == platform.birth(process.pid)
        assert birth != platform.birth(os.getpid())
        assert abs(platform.epoch_of(birth) - time.time()) < 60
        process.kill()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert platform.birth(process.pid) is None
