"""An engine's process under its guard, on an asyncio loop: its output, its end."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from m1desk.engines.guard.record import RUN_VARIABLE
from m1desk.engines.log import EngineLog, LineSplitter
from m1desk.engines.runs import end_lost_run
from m1desk.engines.spec import module_command
from m1desk.wire import EngineExited, EngineStarted, Failed, decode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_STDOUT: Final = 1
_STDOUT_LINE_BYTES: Final = 64 * 1024
_LAST_WORDS_SECONDS: Final = 0.3  # a grandchild may hold a pipe open long after the end
_LOOP_PATIENCE_SECONDS: Final = 0.5  # it blocks the loop; some milliseconds are the rule
_GUARD_SECONDS: Final = 2.0  # what a guard may take for itself


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
        self,
        runs: Path,
        log: EngineLog,
        on_line: Callable[[bytes], None],
        on_error: Callable[[bytes], None] | None,
        seconds: tuple[float, float],
        *,
        has_container: bool = False,
    ) -> None:
        self.run = uuid.uuid4().hex
        self.engine_pid: int | None = None
        self.bytes_heard = 0
        self.ended: asyncio.Future[ProcessEnd] = asyncio.get_running_loop().create_future()
        self._log = log
        self._on_line = on_line
        self._on_error = on_error
        self._lines = LineSplitter(_STDOUT_LINE_BYTES)
        self._transport: asyncio.SubprocessTransport | None = None
        self._record = runs / f"{self.run}.json"
        self._grace_seconds, self._kill_seconds = seconds
        self._has_container = has_container
        self._open_pipes = {1, 2}
        self._was_asked = False
        self._has_exited = False
        self._is_finishing = False
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
        on_error: Callable[[bytes], None] | None = None,
        grace_seconds: float = 3.0,
        kill_seconds: float = 3.0,
        scratch: Path | None = None,
        container: str = "",
    ) -> GuardedProcess:
        """Start a guard, which starts `argv`.

        Args:
            argv: the engine's command line.
            env: its whole environment.
            runs: the folder for the record of the run.
            log: takes standard error.
            on_line: called on this loop with every line of standard output.
            on_error: likewise with every piece of standard error, cut anywhere.
            grace_seconds: between SIGTERM and SIGKILL when `stop` is called.
            kill_seconds: what its processes may take to be gone after SIGKILL.
            scratch: a folder of its own, made for the run and removed after it.
            container: the program in `argv` that runs a container named as that folder is.

        Raises:
            OSError: the guard can't be started.
        """
        seconds = (grace_seconds, kill_seconds)
        process = cls(runs, log, on_line, on_error, seconds, has_container=bool(container))
        orders = ["--record", str(process._record), "--owner", str(os.getpid())]
        orders += ["--grace", str(grace_seconds), "--kill", str(kill_seconds)]
        if scratch is not None:
            orders += ["--scratch", str(scratch)]
        if container:
            orders += ["--container", container]
        await asyncio.get_running_loop().subprocess_exec(
            lambda: process,
            *module_command("m1desk.engines.guard"),
            *orders,
            "--",
            *argv,
            env={**env, RUN_VARIABLE: process.run},
        )
        return process

    @property
    def guard_pid(self) -> int | None:
        """The guard's process number; its session has the same."""
        return None if self._transport is None else self._transport.get_pid()

    async def stop(self, *, at_once: bool = False) -> ProcessEnd:
        """End the engine: ask, wait for the grace, kill. Returns when nothing is left of it.

        Args:
            at_once: kill without asking.
        """
        if not self._has_exited:
            self.ask_to_stop(at_once=at_once)
        limit = self._grace_seconds + self._kill_seconds + _GUARD_SECONDS
        await asyncio.wait([self.ended], timeout=limit)
        if not self.ended.done() and self._transport is not None:
            self._transport.kill()  # a guard that hangs: its end is noticed like any other
        return await asyncio.shield(self.ended)

    def ask_to_stop(self, *, at_once: bool = False) -> None:
        """Tell the guard to end the engine, or to kill it `at_once`; returns immediately."""
        lifeline = self._lifeline
        if lifeline is not None and not lifeline.is_closing() and not self._was_asked:
            self._was_asked = True  # a guard takes a second time for impatience
            lifeline.write(b"kill\n" if at_once else b"stop\n")

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
            if self._on_error is not None:
                self._on_error(data)
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
        if self._is_finishing:
            return
        self._is_finishing = True
        for line in self._lines.close():
            self._hear(line)
        if self._exited is not None or self._ends_soon():
            self._settle()
            return
        loop = asyncio.get_running_loop()  # what is left takes longer than a loop may be blocked
        rest = loop.run_in_executor(
            None, end_lost_run, self._record, self.run, None, self._kill_seconds
        )
        rest.add_done_callback(lambda _rest: self._settle())

    def _ends_soon(self) -> bool:
        """End what a lost guard left; whether that was done. A container takes too long."""
        return not self._has_container and end_lost_run(
            self._record, self.run, self.guard_pid, _LOOP_PATIENCE_SECONDS
        )

    def _settle(self) -> None:
        self._log.close()
        if self._transport is not None:
            self._transport.close()
        self.ended.set_result(ProcessEnd(self._exited, self._failed))
