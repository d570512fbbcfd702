"""The guard on Linux: child subreaper, parent-death signal, /proc."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.engines.guard.posix import Posix

assert sys.platform == "linux"  # noqa: S101 - tells the type checker which platform this is for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from m1desk.engines.guard.platforms import Engine

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PROC: Final = Path("/proc")
_GONE: Final = frozenset("ZX")  # states of a process of which only the exit status is left


class Linux(Posix):
    """Processes as /proc shows them.

    The C library is loaded at once: between fork and exec nothing may be imported any more.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def become_guard(self) -> None:
        """Own a session, and become the parent of every orphaned descendant."""
        super().become_guard()
        if self._libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")

    def birth(self, pid: int) -> str | None:
        """Name the boot and the ticks since it: unlike a time of day, no clock can move that."""
        fields = _stat_fields(pid)
        if fields is None or fields[0] in _GONE:
            return None
        return f"{self._boot_id}:{fields[19]}"

    def epoch_of(self, birth: str) -> float:
        """Ticks since the boot, added to the boot's time."""
        ticks = int(birth.rpartition(":")[2])
        for line in (_PROC / "stat").read_text().splitlines():
            if line.startswith("btime "):
                return int(line.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
        return 0.0

    def start_engine(self, argv: Sequence[str], env: Mapping[str, str]) -> Engine:
        """Start the engine with SIGKILL as its parent-death signal.

        Must run on the main thread: the signal fires when the *thread* that started it ends.
        """
        guard = os.getpid()

        def die_with_guard() -> None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != guard:  # it died before the signal was set
                os._exit(1)

        return subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_guard,  # noqa: PLW1509 - no thread runs yet in a guard
        )

    def descendants(self) -> list[int]:
        """Everything below this process: a subreaper's tree has no holes."""
        children: dict[int, list[int]] = {}
        for pid in _all_pids():
            fields = _stat_fields(pid)
            if fields is not None and fields[0] not in _GONE:
                children.setdefault(int(fields[1]), []).append(pid)
        found = list(children.get(os.getpid(), []))
        for pid in found:  # grows while it is walked
            found.extend(children.get(pid, []))
        return found

    def reap(self, engine: Engine) -> None:
        """Collect the engine through its handle, and every orphan that came to us."""
        while (ended := _waiting_child()) is not None:
            if ended == engine.pid:
                engine.poll()
            else:
                os.waitpid(ended, os.WNOHANG)

    @cached_property
    def _boot_id(self) -> str:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _waiting_child() -> int | None:
    """Name a child whose exit status waits to be collected, and leave it waiting."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _all_pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir(_PROC) if entry.isdecimal())  # noqa: PTH208 - names suffice


def _stat_fields(pid: int) -> list[str] | None:
    """Read the fields of /proc/PID/stat after the name: state, parent, ... start time at 19."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name may hold spaces and parentheses itself
