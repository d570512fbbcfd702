"""Running a tool to its end under guard: nothing of it is left when we, or it, are ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from m1desk.engines.environments.redaction import redacted
from m1desk.engines.log import EngineLog
from m1desk.engines.process import GuardedProcess, ProcessEnd
from m1desk.engines.spec import child_environment
from m1desk.errors import EngineFailed
from m1desk.wire import decode_event

_GRACE_SECONDS: Final = 1.0
_KILL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class ToolEnd:
    """How a tool ended.

    Attributes:
        fate: how, in a few words; "" when it ended by itself and without a complaint.
        lines: the last of what it wrote on both streams, without secrets; at most 200.
    """

    fate: str
    lines: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        """Whether it did its work."""
        return not self.fate


class ToolRunner:
    """Runs tools, one after the other, and keeps what they say in one file."""

    def __init__(self, runs: Path, log_path: Path) -> None:
        """Prepare; `runs` takes the records of running processes."""
        self._runs = runs
        self.log_path = log_path

    async def run(
        self,
        argv: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        limit_seconds: float | None = None,
        scratch: Path | None = None,
        container: str = "",
    ) -> ToolEnd:
        """Run a command to its end; when this is cancelled, all of it is ended.

        Args:
            argv: the command; other users of the machine can read it, so it holds no secret.
            on_line: called on this loop with each line of both streams, without secrets.
            variables: more of them for its environment, which is the user's own.
            limit_seconds: one that takes longer is ended.
            scratch: a folder that is made for it, and removed after it.
            container: the program in `argv` that runs a container named as that folder is.

        Raises:
            EngineFailed: no process could be made for it.
        """
        log = _ToolLog(self.log_path, on_line)
        log.note(f"--- {' '.join(argv)}")
        try:
            process = await GuardedProcess.start(
                argv,
                {**child_environment(), **(variables or {})},
                runs=self._runs,
                log=log,
                on_line=log.hear,
                grace_seconds=_GRACE_SECONDS,
                kill_seconds=_KILL_SECONDS,
                scratch=scratch,
                container=container,
            )
        except OSError as error:
            raise EngineFailed(
                "No process could be started.",
                f"The system says: {error.strerror or error}.",
                "Close other programs and try again.",
            ) from error
        try:
            await asyncio.wait([process.ended], timeout=limit_seconds)
            in_time = process.ended.done()
        finally:
            end = await process.stop()
        fate = _fate(end) if in_time else f"it took more than {limit_seconds:.0f} seconds"
        return ToolEnd(fate, log.tail())


class _ToolLog(EngineLog):
    """What a tool writes: to the file and to a listener, without the secrets of addresses."""

    def __init__(self, path: Path, on_line: Callable[[str], None] | None) -> None:
        super().__init__(path)
        self._on_line = on_line

    def note(self, line: str) -> None:
        """Add a line of ours."""
        super().add(redacted(line))

    def hear(self, line: bytes) -> None:
        """Take a line of standard output; what the guard itself says there is left out."""
        if decode_event(line) is None:
            self.add(line.decode(errors="replace"))

    def add(self, line: str) -> None:
        """Take a line of the tool's."""
        text = redacted(line.rpartition("\r")[2])
        super().add(text)
        if self._on_line is not None:
            self._on_line(text)


def _fate(end: ProcessEnd) -> str:
    if end.exited is None:
        return end.failed.detail if end.failed else "it was ended from outside"
    if end.exited.signal:
        return f"it was ended by signal {end.exited.signal}"
    return f"exit status {end.exited.code}" if end.exited.code else ""
