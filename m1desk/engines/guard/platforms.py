"""What a guard needs of an operating system, as one small protocol."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Engine = subprocess.Popen[bytes]


class Platform(Protocol):
    """The few things that every operating system does in its own way."""

    def become_guard(self) -> None:
        """Make this process the place where an engine's orphans end up. Call once, at the start."""

    def birth(self, pid: int) -> str | None:
        """When the kernel made process `pid`, as text that no other process of that number shares.

        None when there is no such process, or only its unread exit status is left.
        """

    def epoch_of(self, birth: str) -> float:
        """`birth` in seconds since the epoch."""

    def start_engine(self, argv: Sequence[str], env: Mapping[str, str]) -> Engine:
        """Start the engine so that it dies with this process.

        Raises:
            OSError: the program can't be started.
        """

    def watch(self, engine: Engine, on_child: Callable[[], None]) -> None:
        """Call `on_child` whenever the engine, or an orphan of it, has ended."""

    def terminate(self, engine: Engine) -> None:
        """Ask the engine to end."""

    def descendants(self) -> list[int]:
        """Every living process that comes from the engine, the engine included."""

    def kill(self, pid: int) -> None:
        """End a process at once; one that is gone already is no error."""

    def reap(self, engine: Engine) -> None:
        """Collect the exit status of whatever has ended."""
