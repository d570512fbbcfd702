"""An engine's process under its guard, on an asyncio loop: its output, its end."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from m1desk.engines.guard.record import RUN_VARIABLE, remove_record
from m1desk.engines.log import EngineLog, LineSplitter
from m1desk.engines.runs import end_run
from m1desk.engines.spec import module_command
from m1desk.wire import EngineExited, EngineStarted, Failed, decode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_STDOUT: Final = 1
_STDOUT_LINE_BYTES: Final = 64 * 1024
_LAST_WORDS_SECONDS: Final = 0.3  # a grandchild may hold a pipe open long after the end
_LOOP_PATIENCE_SECONDS: Final = 0.5  # it blocks the loop; some milliseconds are the rule
_GUARD_SECONDS: Final = 3.0  # what a guard may take beyond the grace it was told


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How a guarded process ended.

    Attributes:
        exited: the guard's account of the engine's end; None when the guard died before it.
        failed: what the engine said was wrong, if it did.
    """

    exited: EngineExited | None
    failed: Failed | None

    @property
    def guard_was_lost(self) -> bool:
        """Whether the guard died first."""
        return self.exited is None and self.failed is None


class GuardedProcess(asyncio.SubprocessProtocol):
    """One engine with its guard. Use it on the loop that started it.

    Reads in chunks as they come, so that lines may have any length; asyncio's own streams raise
    on a long line, and its `Process.wait` hangs while a grandchild holds a pipe.
    """

    def __init__(
        self, runs: Path, log: EngineLog, on_line: Callable[[bytes], None], grace_seconds: float
    ) -> None:
        self.run = uuid.uuid4().hex
        self.engine_pid: int | None = None
        self.bytes_heard = 0
        self.ended: asyncio.Future[ProcessEnd] = asyncio.get_running_loop().create_future()
        self._log = log
        self._on_line = on_line
        self._lines = LineSplitter(_STDOUT_LINE_BYTES)
        self._transport: asyncio.SubprocessTransport | None = None
        self._record = runs / f"{self.run}.json"
        self._grace = grace_seconds
        self._open_pipes = {1, 2}
        self._was_asked = False
        self._has_exited = False
        self._exited: EngineExited | None = None
        self._failed: Failed | None = None

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        runs: Path,
        log: EngineLog,
        on_line: Callable[[bytes], None],
        grace_seconds: float = 3.0,
    ) -> GuardedProcess:
        """Start a guard, which starts `argv`.

        Args:
            argv: the engine's command line.
            env: its whole environment.
            runs: the folder for the record of the run.
            log: takes standard error.
            on_line: called on this loop with every line of standard output.
            grace_seconds: between SIGTERM and SIGKILL when `stop` is called.

        Raises:
            OSError: the guard can't be started.
        """
        process = cls(runs, log, on_line, grace_seconds)
        orders = ["--record", str(process._record), "--owner", str(os.getpid())]
        orders += ["--grace", str(grace_seconds), "--", *argv]
        await asyncio.get_running_loop().subprocess_exec(
            lambda: process,
            *module_command("m1desk.engines.guard"),
            *orders,
            env={**env, RUN_VARIABLE: process.run},
        )
        return process

    @property
    def guard_pid(self) -> int | None:
        """The guard's process number; its session has the same."""
        return None if self._transport is None else self._transport.get_pid()

    async def stop(self) -> ProcessEnd:
        """End the engine: ask, wait for the grace, kill. Returns when nothing is left of it."""
        if not self._has_exited:
            self.ask_to_stop()
        limit = self._grace + _GUARD_SECONDS
        await asyncio.wait([self.ended], timeout=limit)
        if not self.ended.done() and self._transport is not None:
            self._transport.kill()  # a guard that hangs: its end is noticed like any other
        return await asyncio.shield(self.ended)

    def ask_to_stop(self) -> None:
        """Tell the guard to end the engine; returns at once. Once is enough."""
        lifeline = self._lifeline
        if lifeline is not None and not lifeline.is_closing() and not self._was_asked:
            self._was_asked = True  # a guard takes a second time for impatience
            lifeline.write(b"stop\n")

    @property
    def _lifeline(self) -> asyncio.WriteTransport | None:
        if self._transport is None:
            return None
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))

    # asyncio calls the rest.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take a chunk of output."""
        self.bytes_heard += len(data)
        if fd != _STDOUT:
            self._log.feed(data)
            return
        for line in self._lines.feed(data):
            self._hear(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note that a pipe is read to its end."""
        del exc  # a broken pipe tells no more than its end does
        self._open_pipes.discard(fd)
        if self._has_exited and not self._open_pipes:
            self._finish()

    def process_exited(self) -> None:
        """Wait for the last words, but not for long."""
        self._has_exited = True
        if not self._open_pipes:
            self._finish()
        else:
            asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._finish)

    def _hear(self, line: bytes) -> None:
        event = decode_event(line)
        if isinstance(event, EngineStarted):
            self.engine_pid = event.pid
        elif isinstance(event, EngineExited):
            self._exited = event
        elif isinstance(event, Failed):
            self._failed = event
        self._on_line(line)

    def _finish(self) -> None:
        if self.ended.done():
            return
        for line in self._lines.close():
            self._hear(line)
        end = ProcessEnd(self._exited, self._failed)
        if self._exited is None:  # the guard could not do its last duty
            rest = end_run(
                self.run, session=self.guard_pid, patience_seconds=_LOOP_PATIENCE_SECONDS
            )
            if rest.is_over:  # else the next start's sweep needs the record
                remove_record(self._record)
        self._log.close()
        if self._transport is not None:
            self._transport.close()
        self.ended.set_result(end)
