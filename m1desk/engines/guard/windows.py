"""The guard on Windows: a Job Object that closes with the guard."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from ctypes import wintypes
from typing import TYPE_CHECKING, Any, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from m1desk.engines.guard.platforms import Engine

_KILL_ON_JOB_CLOSE: Final = 0x2000
_EXTENDED_LIMITS: Final = 9
_PROCESS_LIST: Final = 3
_QUERY_LIMITED: Final = 0x1000
_TERMINATE: Final = 0x0001
_STILL_ACTIVE: Final = 259
_EPOCH_OFFSET_SECONDS: Final = 11_644_473_600  # from 1601, where Windows counts from, to 1970
_MOST_PROCESSES: Final = 4096


class _Basic(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("per_process_time", ctypes.c_int64),
        ("per_job_time", ctypes.c_int64),
        ("flags", wintypes.DWORD),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_processes", wintypes.DWORD),
        ("affinity", ctypes.c_size_t),
        ("priority", wintypes.DWORD),
        ("scheduling", wintypes.DWORD),
    )


class _Extended(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("basic", _Basic),
        ("io_counters", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


class _ProcessList(ctypes.Structure):
    """JOBOBJECT_BASIC_PROCESS_ID_LIST."""

    _fields_ = (
        ("assigned", wintypes.DWORD),
        ("count", wintypes.DWORD),
        ("pids", ctypes.c_size_t * _MOST_PROCESSES),
    )


class Windows:
    """The guard is in the job itself: children inherit it, and none escapes between two calls."""

    def __init__(self) -> None:
        self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        for name in ("CreateJobObjectW", "OpenProcess", "GetCurrentProcess"):
            getattr(self._kernel, name).restype = wintypes.HANDLE
        self._job = wintypes.HANDLE()

    def become_guard(self) -> None:
        """Enter a job that ends with its last handle, which is ours."""
        self._job = wintypes.HANDLE(self._kernel.CreateJobObjectW(None, None))
        limits = _Extended()
        limits.basic.flags = _KILL_ON_JOB_CLOSE
        self._demand(
            self._kernel.SetInformationJobObject(
                self._job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
            )
        )
        this = wintypes.HANDLE(self._kernel.GetCurrentProcess())
        self._demand(self._kernel.AssignProcessToJobObject(self._job, this))

    def birth(self, pid: int) -> str | None:
        """Read the creation time, in units of 100 nanoseconds since 1601."""
        process = self._open(pid, _QUERY_LIMITED)
        if process is None:
            return None
        try:
            return self._creation_time(process)
        finally:
            self._kernel.CloseHandle(process)

    def epoch_of(self, birth: str) -> float:
        """Count the same from 1970."""
        return int(birth) / 1e7 - _EPOCH_OFFSET_SECONDS

    def start_engine(self, argv: Sequence[str], env: Mapping[str, str]) -> Engine:
        """Start the engine in a console group of its own, so that it alone gets Ctrl+Break."""
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )

    def watch(self, engine: Engine, on_child: Callable[[], None]) -> None:
        """Wait on a thread: nothing like SIGCHLD exists here."""

        def wait() -> None:
            engine.wait()
            on_child()

        threading.Thread(target=wait, daemon=True).start()

    def terminate(self, engine: Engine) -> None:
        """Send Ctrl+Break, the nearest to SIGTERM."""
        if engine.poll() is None:
            with contextlib.suppress(OSError):  # a program without a console gets none
                os.kill(engine.pid, signal.CTRL_BREAK_EVENT)

    def descendants(self) -> list[int]:
        """List the members of the job but for this process."""
        members = _ProcessList()
        self._kernel.QueryInformationJobObject(
            self._job, _PROCESS_LIST, ctypes.byref(members), ctypes.sizeof(members), None
        )
        return [pid for pid in members.pids[: members.count] if pid != os.getpid()]

    def kill(self, pid: int) -> None:
        """Terminate the process."""
        process = self._open(pid, _TERMINATE)
        if process is not None:
            self._kernel.TerminateProcess(process, 1)
            self._kernel.CloseHandle(process)

    def reap(self, engine: Engine) -> None:
        """Collect the engine's exit status."""
        engine.poll()

    def _open(self, pid: int, access: int) -> wintypes.HANDLE | None:
        handle: Any = self._kernel.OpenProcess(access, False, pid)
        return wintypes.HANDLE(handle) if handle else None

    def _creation_time(self, process: wintypes.HANDLE) -> str | None:
        code = wintypes.DWORD()
        self._kernel.GetExitCodeProcess(process, ctypes.byref(code))
        times = [ctypes.c_uint64() for _ in range(4)]
        read = self._kernel.GetProcessTimes(process, *map(ctypes.byref, times))
        return str(times[0].value) if read and code.value == _STILL_ACTIVE else None

    def _demand(self, succeeded: int) -> None:
        if not succeeded:
            raise ctypes.WinError(ctypes.get_last_error())
