"""Which processes belong to a run, and the end of those that a crash left behind."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import psutil

from m1desk.engines.guard.belongings import Belongings, remove_belongings, segments_of
from m1desk.engines.guard.platforms import Platform
from m1desk.engines.guard.record import (
    RUN_VARIABLE,
    ProcessIdentity,
    RunRecord,
    parse_record,
    remove_record,
)
from m1desk.engines.guard.this_platform import this_platform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from m1desk.store import Folders

_PATIENCE_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.02
_EMPTY_LOOKS: Final = 2  # for a moment, a process that starts another program has no environment
_DRAFT_AGE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class EndedProcess:
    """A leftover that was ended: its number and what it was."""

    pid: int
    command: str


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What ending a run came to.

    Attributes:
        is_over: whether nothing of it is left; a process in the middle of a disk access can hold
            out for a while, and so can a container whose program gives no answer.
    """

    ended: tuple[EndedProcess, ...]
    is_over: bool


def sweep_leftovers(folders: Folders) -> list[EndedProcess]:
    """End what runs of dead owners left behind, and remove their records.

    A process is recognised by its number together with its creation time, or by the run's id in
    its environment, never by its name; engines whose owner lives are left alone. Takes
    milliseconds, or up to three seconds when something resists.
    """
    return sweep_runs(folders.runs)


def sweep_runs(runs: Path) -> list[EndedProcess]:
    """Do the same for a folder of run records."""
    platform = this_platform()
    ended: list[EndedProcess] = []
    for path in sorted(runs.glob("*.json")):
        record = _read(path)
        if record is None:
            remove_record(path)  # broken: it says nothing that could be trusted
        elif not _lives(platform, record.owner):
            end = end_run(record.run, tuple(_identities(record)), belongings=record.belongings)
            ended += end.ended
            if end.is_over:
                remove_record(path)
    for draft in runs.glob("*.part"):
        if _is_old(draft):
            remove_record(draft)
    return ended


def end_lost_run(path: Path, run: str, session: int | None, patience_seconds: float) -> bool:
    """Do the last duty of a guard that is dead; whether nothing is left of the run.

    Its record is kept until then, for the next start's sweep.

    Args:
        path: the record, as far as the guard wrote it.
        run: as for `end_run`.
        session: likewise.
        patience_seconds: likewise.
    """
    record = _read(path)
    belongings = Belongings() if record is None else record.belongings
    end = end_run(run, session=session, patience_seconds=patience_seconds, belongings=belongings)
    if end.is_over:
        remove_record(path)
    return end.is_over


def end_run(
    run: str,
    identities: tuple[ProcessIdentity, ...] = (),
    session: int | None = None,
    patience_seconds: float = _PATIENCE_SECONDS,
    belongings: Belongings | None = None,
) -> RunEnd:
    """Kill every process of a run, until none is left or the patience is over.

    What they shared and kept beside is removed when none is left.

    Args:
        run: the id that the run's processes carry in their environment.
        identities: processes known by number and creation time.
        session: also every member of this session; only safe while its leader's number can't have
            been given to another process, that is right after its end was noticed.
        patience_seconds: how long this may block.
        belongings: what is known to be the run's beside its processes.
    """
    platform = this_platform()
    ended: dict[int, EndedProcess] = {}
    known = belongings or Belongings()
    deadline = time.monotonic() + patience_seconds
    empty_looks = 0
    while empty_looks < _EMPTY_LOOKS and time.monotonic() < deadline:
        left = list(_members(platform, run, identities, session))
        if not known.container:  # what podman maps is podman's own
            shared = known.segments | segments_of(process.pid for process in left)
            known = replace(known, segments=shared)
        for process in left:
            ended.setdefault(process.pid, EndedProcess(process.pid, _command_of(process)))
            _kill(process)
        empty_looks = 0 if left else empty_looks + 1
        if empty_looks < _EMPTY_LOOKS:
            time.sleep(_PAUSE_SECONDS)
    is_over = empty_looks == _EMPTY_LOOKS and remove_belongings(known)
    return RunEnd(tuple(ended.values()), is_over)


def _members(
    platform: Platform, run: str, identities: tuple[ProcessIdentity, ...], session: int | None
) -> Iterator[psutil.Process]:
    known = {identity.pid for identity in identities if _lives(platform, identity)}
    for process in psutil.process_iter():
        if process.pid == os.getpid() or _is_dead(process):
            continue
        if (
            process.pid in known
            or _run_of(process) == run
            or (session is not None and _session_of(process.pid) == session)
        ):
            yield process


def _identities(record: RunRecord) -> Iterator[ProcessIdentity]:
    yield record.guard
    if record.engine is not None:
        yield record.engine


def _lives(platform: Platform, identity: ProcessIdentity) -> bool:
    return platform.birth(identity.pid) == identity.birth


def _run_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(RUN_VARIABLE)
    except (psutil.Error, OSError):
        return None  # another user's, or gone


def _session_of(pid: int) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        return  # gone already


def _read(path: Path) -> RunRecord | None:
    try:
        return parse_record(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _DRAFT_AGE_SECONDS
    except OSError:
        return False
