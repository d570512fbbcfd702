"""Owners with a vLLM in a state of its life, how each may be killed, and the look for leftovers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from crowd import HERE, MARK, Crowd, crowd
from support.vllm_child import names_in_shared_memory, shared_by

from m1desk.engines.guard.record import RunRecord, parse_record
from m1desk.engines.runs import sweep_runs

SECONDS_TO_END = 20.0


@dataclass
class Household:
    """An owner with its guard and a vLLM, in the state it was told to bring it to."""

    owner: subprocess.Popen[str]
    crowd: Crowd
    runs: Path
    before: set[str] = field(default_factory=names_in_shared_memory)
    shared: set[str] = field(default_factory=set)

    def wait_for_state(self) -> RunRecord:
        assert self.owner.stdout is not None
        assert self.owner.stdout.readline() == "reached\n", "the engine ended before: see its log"
        self.shared = shared_by(self.crowd.living())
        (path,) = self.runs.glob("*.json")
        return parse_record(path.read_text())

    def last_word(self) -> dict[str, str]:
        """How the engine ended, as its owner tells."""
        assert self.owner.stdout is not None
        found: dict[str, str] = json.loads(self.owner.stdout.readline())
        return found

    def check_nothing_is_left(self, record: RunRecord, living: int) -> None:
        """Only the owner may live, and nothing that the engine's processes had made."""
        assert self.crowd.wait_for(living, SECONDS_TO_END) == living
        deadline = time.monotonic() + SECONDS_TO_END
        while list(self.runs.glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(self.runs.iterdir()) == []
        new = names_in_shared_memory() - self.before
        assert self.shared & new == set()
        assert new <= shared_by(list(psutil.process_iter())), "what nobody uses was left"
        assert record.belongings.scratch is not None
        assert not record.belongings.scratch.exists()


class Homes:
    """Starts households, each with folders of its own."""

    def __init__(self, held: ExitStack, folder: Path, interpreter: str, model: Path) -> None:
        self._held = held
        self._folder = folder
        self._told = (interpreter, str(model))

    def start(self, moment: str, form: str) -> Household:
        """Start one; `form`: "one_process" and a worker, or "several" processes before it."""
        people = self._held.enter_context(crowd())
        home = self._folder / people.mark
        path = os.pathsep.join((str(HERE.parent.parent), str(HERE.parent)))
        owner = subprocess.Popen(
            [sys.executable, HERE / "vllm_owner.py", moment, *self._told, form],
            env={**os.environ, MARK: people.mark, "M1DESK_HOME": str(home), "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._held.enter_context(owner)
        self._held.callback(owner.kill)
        return Household(owner, people, home / "runs")


@contextmanager
def homes(folder: Path, interpreter: str, model: Path) -> Iterator[Homes]:
    """Households below a folder, with an interpreter, or "image:" and an image's identifier."""
    with ExitStack() as held:
        yield Homes(held, folder, interpreter, model)


def ask_to_unload(home: Household) -> None:
    record = home.wait_for_state()
    assert home.owner.stdin is not None
    home.owner.stdin.write("unload\n")
    home.owner.stdin.flush()
    assert home.last_word() == {"state": "stopped", "reason": ""}
    home.check_nothing_is_left(record, living=1)


def kill_the_owner(home: Household) -> None:
    record = home.wait_for_state()
    home.owner.kill()
    home.owner.wait()
    home.check_nothing_is_left(record, living=0)


def kill_the_guard(home: Household) -> None:
    record = home.wait_for_state()
    os.kill(record.guard.pid, signal.SIGKILL)
    assert home.last_word() == {"state": "failed", "reason": "guard_lost"}
    home.check_nothing_is_left(record, living=1)


def kill_the_engine(home: Household) -> None:
    record = home.wait_for_state()
    assert record.engine is not None
    os.kill(record.engine.pid, signal.SIGKILL)
    assert home.last_word() == {"state": "failed", "reason": "killed"}
    home.check_nothing_is_left(record, living=1)


def kill_owner_and_guard(home: Household) -> RunRecord:
    """Nobody is left to clean up but the next start's sweep; gives what that had to go by."""
    record = home.wait_for_state()
    os.kill(home.owner.pid, signal.SIGSTOP)  # so that it can't notice the guard's end
    os.kill(record.guard.pid, signal.SIGKILL)
    home.owner.kill()
    home.owner.wait()
    sweep_runs(home.runs)
    home.check_nothing_is_left(record, living=0)
    return record
