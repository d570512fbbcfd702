"""The guard's work: start the engine, hold the lifeline, and end every descendant."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from m1desk.engines.guard.belongings import Belongings, SegmentWatch, remove_belongings
from m1desk.engines.guard.record import (
    RUN_VARIABLE,
    ProcessIdentity,
    RunRecord,
    remove_record,
    write_record,
)
from m1desk.wire import EngineExited, EngineStarted, Failed, WorkerEvent, encode_event

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.engines.guard.platforms import Engine, Platform

_OWNER_CHECK_SECONDS: Final = 0.25
_ORPHANED_GRACE_SECONDS: Final = 1.0  # with nobody left to wait for it, an end must come soon
_KILL_PAUSE_SECONDS: Final = 0.01
_SCRATCH_MODE: Final = 0o700  # whoever reaches the sockets in it can use the engine
_STDIN: Final = 0
_STDOUT: Final = 1


class _News(Enum):
    STOP = auto()  # the owner, or the system, wants an end
    KILL = auto()  # the owner knows that asking is of no use
    OWNER_GONE = auto()
    CHILD = auto()  # the engine or an orphan of it may have ended


@dataclass(frozen=True, slots=True)
class Orders:
    """What a guard is told: whom to start, for whom, and how patiently to end it.

    Attributes:
        record: where the record of the run is written, None for nowhere.
        scratch: a folder to make for the run, and to remove after it; None for none.
        container: the program that the engine's command line runs a container with, which is
            named as that folder is; "" where it runs none.
        grace_seconds: between SIGTERM and SIGKILL when the owner asks for an end.
        kill_seconds: how long processes may take to be gone after SIGKILL: one in the middle of a
            disk access dies no sooner than that ends, one with much memory has to give it back.
    """

    argv: tuple[str, ...]
    run: str
    owner_pid: int
    record: Path | None
    grace_seconds: float
    kill_seconds: float = 5.0
    scratch: Path | None = None
    container: str = ""


class Guard:
    """One engine's guard. `run` returns when nothing of the engine is left."""

    def __init__(self, orders: Orders, platform: Platform) -> None:
        self._orders = orders
        self._platform = platform
        self._owner: ProcessIdentity | None = None
        self._record: RunRecord | None = None
        self._segments = SegmentWatch()
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()

    def run(self) -> int:
        """Start the engine and stay until it has ended; 0, or 1 when it could not be started."""
        self._platform.become_guard()
        record = self._begin_record()
        if record is None:
            return 0  # the owner died meanwhile: nobody wants an engine
        self._owner = record.owner
        self._write(record)
        try:
            self._make_scratch()
            engine = self._platform.start_engine(self._orders.argv, self._engine_environment())
        except (OSError, ValueError) as error:
            _say(Failed("engine_error", f"{self._orders.argv[0]} cannot be started: {error}"))
            self._remove_traces()
            return 1
        self._announce(engine, record)
        self._listen(engine)
        self._wait_for_end(engine)
        if self._end_all(engine):
            self._remove_traces()
        return 0

    def _begin_record(self) -> RunRecord | None:
        owner = self._platform.birth(self._orders.owner_pid)
        guard = self._platform.birth(os.getpid())
        if owner is None or guard is None:
            return None
        return RunRecord(
            run=self._orders.run,
            owner=ProcessIdentity(self._orders.owner_pid, owner),
            guard=ProcessIdentity(os.getpid(), guard),
            engine=None,
            argv=self._orders.argv,
            belongings=self._belongings(),
        )

    def _engine_environment(self) -> dict[str, str]:
        return {**os.environ, RUN_VARIABLE: self._orders.run}

    def _announce(self, engine: Engine, record: RunRecord) -> None:
        birth = self._platform.birth(engine.pid)
        if birth is None:
            _say(EngineStarted(engine.pid, time.time()))  # it has ended already
            return
        self._write(replace(record, engine=ProcessIdentity(engine.pid, birth)))
        _say(EngineStarted(engine.pid, self._platform.epoch_of(birth)))

    def _listen(self, engine: Engine) -> None:
        for number in _ending_signals():
            signal.signal(number, lambda _number, _frame: self._news.put(_News.STOP))
        self._platform.watch(engine, lambda: self._news.put(_News.CHILD))
        threading.Thread(target=self._hold_lifeline, daemon=True).start()

    def _hold_lifeline(self) -> None:
        """Read standard input to its end: the owner holds the other end as long as it lives."""
        line = b""
        while True:
            try:
                chunk = os.read(_STDIN, 4096)
            except OSError:
                chunk = b""
            if not chunk:
                self._news.put(_News.OWNER_GONE)
                return
            *lines, line = (line + chunk).split(b"\n")
            for word in lines:
                if word.strip() in _WORDS:
                    self._news.put(_WORDS[word.strip()])

    def _wait_for_end(self, engine: Engine) -> None:
        """Stay until the engine has ended by itself, or had its time after a request to end."""
        news = self._next_news(engine, until=None)
        if news is None or news is _News.KILL:
            return
        self._platform.terminate(engine)
        deadline = time.monotonic() + self._orders.grace_seconds
        while news is not None:
            if news is _News.OWNER_GONE:
                deadline = min(deadline, time.monotonic() + _ORPHANED_GRACE_SECONDS)
            news = self._next_news(engine, until=deadline)
            if news in {_News.STOP, _News.KILL}:
                return  # asked a second time: somebody is impatient

    def _next_news(self, engine: Engine, until: float | None) -> _News | None:
        """Wait for a wish for an end; None when the engine has ended, or at the time `until`."""
        while True:
            self._platform.reap(engine)
            if engine.poll() is not None:
                return None
            wait = _OWNER_CHECK_SECONDS
            if until is not None:
                wait = min(wait, until - time.monotonic())
                if wait <= 0:
                    return None
            try:
                news = self._news.get(timeout=wait)
            except queue.Empty:
                if self._segments.look(self._platform.descendants):
                    self._write_segments()
                if until is None and not self._owner_lives():
                    return _News.OWNER_GONE
                continue
            if news is not _News.CHILD:
                return news

    def _owner_lives(self) -> bool:
        """Ask the system: a forked helper of a dead owner can hold the lifeline open."""
        owner = self._owner
        return owner is not None and self._platform.birth(owner.pid) == owner.birth

    def _end_all(self, engine: Engine) -> bool:
        """Kill what is left; whether all of it is gone."""
        deadline = time.monotonic() + self._orders.kill_seconds
        said = False
        while True:
            left = self._platform.descendants()
            self._segments.note(left)  # the dead can't be asked what they shared
            for pid in left:
                self._platform.kill(pid)
            self._platform.reap(engine)
            if not said and engine.poll() is not None:
                _say(_exit_of(engine))
                said = True
            if said and not left:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_KILL_PAUSE_SECONDS)

    def _write(self, record: RunRecord) -> None:
        self._record = record
        if self._orders.record is None:
            return
        try:
            write_record(self._orders.record, record)
        except OSError as error:  # an engine without a record is better than none
            sys.stderr.write(f"guard: the run can't be recorded: {error}\n")

    def _write_segments(self) -> None:
        """Record what was found, for whoever sweeps when this process is killed."""
        if self._record is not None:
            self._write(replace(self._record, belongings=self._belongings()))

    def _belongings(self) -> Belongings:
        orders = self._orders
        # a container has its shared memory for itself; what podman maps outside is podman's own
        segments = frozenset() if orders.container else self._segments.found
        return Belongings(segments, orders.scratch, orders.container)

    def _make_scratch(self) -> None:
        """Make the folder after the record that names it, and only where there is none."""
        if self._orders.scratch is not None:
            self._orders.scratch.mkdir(mode=_SCRATCH_MODE)

    def _remove_traces(self) -> None:
        """Remove what the run left, its record last."""
        is_over = remove_belongings(self._belongings())
        if is_over and self._orders.record is not None:
            remove_record(self._orders.record)


_WORDS: Final = {b"stop": _News.STOP, b"kill": _News.KILL}
"""What the owner may write into the lifeline."""


def _ending_signals() -> list[signal.Signals]:
    names = ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")
    return [signal.Signals[name] for name in names if name in signal.Signals.__members__]


def _exit_of(engine: Engine) -> EngineExited:
    code = engine.returncode
    return EngineExited(None, -code) if code < 0 else EngineExited(code, None)


def _say(event: WorkerEvent) -> None:
    """Write an event in one piece, since the engine writes to the same pipe."""
    with contextlib.suppress(OSError):  # an owner that is gone reads nothing
        os.write(_STDOUT, encode_event(event))
