"""The guard on macOS: a session, libproc, and a watcher that outlives the guard."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from m1desk.engines.guard.posix import Posix

assert sys.platform == "darwin"  # noqa: S101 - tells the type checker which platform this is for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from m1desk.engines.guard.platforms import Engine

_PROC_PIDTBSDINFO: Final = 3
_SZOMB: Final = 5


class _BsdInfo(ctypes.Structure):
    """`struct proc_bsdinfo` of <sys/proc_info.h>."""

    _fields_ = (
        ("flags", ctypes.c_uint32),
        ("status", ctypes.c_uint32),
        ("exit_status", ctypes.c_uint32),
        ("pid", ctypes.c_uint32),
        ("parent", ctypes.c_uint32),
        ("users_and_groups", ctypes.c_uint32 * 7),
        ("command", ctypes.c_char * 16),
        ("name", ctypes.c_char * 32),
        ("files_and_terminal", ctypes.c_uint32 * 5),
        ("nice", ctypes.c_int32),
        ("start_seconds", ctypes.c_uint64),
        ("start_microseconds", ctypes.c_uint64),
    )


class MacOS(Posix):
    """Processes as libproc shows them.

    macOS has neither a subreaper nor a parent-death signal: what belongs to an engine is what is
    in the guard's session or below the guard, and a watcher process ends it when the guard dies.
    """

    def __init__(self) -> None:
        self._libproc = ctypes.CDLL("/usr/lib/libproc.dylib", use_errno=True)
        self._watcher = 0

    def birth(self, pid: int) -> str | None:
        """Read the start time, in microseconds since the epoch."""
        info = self._info(pid)
        if info is None or info.status == _SZOMB:
            return None
        return f"{info.start_seconds}.{info.start_microseconds:06d}"

    def epoch_of(self, birth: str) -> float:
        """Read the same as a number."""
        return float(birth)

    def start_engine(self, argv: Sequence[str], env: Mapping[str, str]) -> Engine:
        """Start the watcher, then the engine."""
        self._watcher = self._start_watcher()
        return subprocess.Popen(list(argv), env=dict(env), stdin=subprocess.DEVNULL)

    def descendants(self) -> list[int]:
        """List the session's members and everything below the guard, but for the two of us."""
        return self._members(os.getpid())

    def reap(self, engine: Engine) -> None:
        """Collect the engine; orphans are launchd's here."""
        engine.poll()

    def _start_watcher(self) -> int:
        guard = os.getpid()
        watcher = os.fork()
        if watcher:
            return watcher
        with contextlib.suppress(BaseException):
            self._watcher = os.getpid()
            os.closerange(0, 3)  # the pipes are the owner's and the engine's
            _wait_for_exit(guard)
            while left := self._members(guard):
                for pid in left:
                    self.kill(pid)
        os._exit(0)

    def _members(self, guard: int) -> list[int]:
        infos = {pid: info for pid in self._all_pids() if (info := self._info(pid)) is not None}
        below = {guard}
        grown = True
        while grown:
            more = {pid for pid, info in infos.items() if info.parent in below} - below
            below |= more
            grown = bool(more)
        return [
            pid
            for pid, info in infos.items()
            if (pid in below or _session_of(pid) == guard)
            and pid not in {guard, self._watcher}
            and info.status != _SZOMB
        ]

    def _all_pids(self) -> list[int]:
        room = self._libproc.proc_listallpids(None, 0) + 64
        pids = (ctypes.c_int * room)()
        count = self._libproc.proc_listallpids(pids, ctypes.sizeof(pids))
        return [pid for pid in pids[: max(0, count)] if pid > 0]

    def _info(self, pid: int) -> _BsdInfo | None:
        info = _BsdInfo()
        size = ctypes.sizeof(info)
        given = self._libproc.proc_pidinfo(
            pid, _PROC_PIDTBSDINFO, ctypes.c_uint64(0), ctypes.byref(info), size
        )
        return info if given == size else None


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _wait_for_exit(pid: int) -> None:
    """Block until process `pid` has ended."""
    kernel = select.kqueue()
    event = select.kevent(
        pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD | select.KQ_EV_ONESHOT, select.KQ_NOTE_EXIT
    )
    with contextlib.suppress(ProcessLookupError):  # it has ended before we looked
        kernel.control([event], 1, None)
