"""One engine from its start to its end: its process, its events, and what its end means."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from m1desk.engines.failure import Evidence, LoadFacts, not_started, refused_greeting, stalled
from m1desk.engines.manner import Manner
from m1desk.engines.memory import take_memory_snapshot
from m1desk.engines.process import GuardedProcess, ProcessEnd
from m1desk.engines.progress import Patience, ProgressWatch, measure_effort
from m1desk.engines.status import EngineFailure, EngineState, EngineStatus
from m1desk.errors import M1DeskError
from m1desk.wire import EngineStarted, Failed, Listening, Loading, Ready, WorkerEvent, decode_event

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from m1desk.engines.log import EngineLog
    from m1desk.engines.spec import EngineSpec
    from m1desk.engines.states import StatusBoard

_END_SECONDS: Final = 5.0
_FIRST_ANSWER: Final = "waiting for a first answer"
_MEMORY_SAMPLES: Final = 5  # the kernel acts within seconds of the shortage


class Supervisor:
    """Runs one engine once; the status board, at STARTING before, shows how far it is.

    Everything happens on the loop that called `start`.
    """

    def __init__(
        self,
        spec: EngineSpec,
        facts: LoadFacts,
        *,
        runs: Path,
        log: EngineLog,
        board: StatusBoard,
        patience: Patience,
        manner: Manner | None = None,
    ) -> None:
        self._spec = spec
        self._facts = facts
        self._runs = runs
        self._log = log
        self._board = board
        self._patience = patience
        self._manner = manner or Manner()
        self._process: GuardedProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # READY, FAILED or STOPPED was reached
        self._pid: int | None = None
        self._port: int | None = None
        self._launched = asyncio.Event()
        self._is_stopping = False
        self._gave_up = False
        self._verdict: EngineFailure | None = None  # found before the process ended
        self._before = take_memory_snapshot()
        self._recent = deque([self._before], maxlen=_MEMORY_SAMPLES)

    async def start(self) -> EngineStatus:
        """Start the engine and wait until it is READY or FAILED, or STOPPED by `stop`.

        Takes as long as the engine shows any sign of work. When this is cancelled, the engine is
        ended.
        """
        try:
            try:
                await self._launch()
            finally:
                self._launched.set()
            await self._settled.wait()
        except asyncio.CancelledError:
            await self.stop()
            raise
        return self._board.status

    async def stop(self) -> None:
        """End the engine; returns when nothing is left of it. Does no harm when it has ended."""
        at_once = False
        if self._board.allows(EngineState.STOPPING):
            self._is_stopping = True
            at_once = not self._heeds()
            self._board.move(EngineState.STOPPING)
            await self._launched.wait()
        if self._greeting is not None:
            self._greeting.cancel()
        if self._process is not None:
            await self._process.stop(at_once=at_once)
        if self._watch is not None:
            await asyncio.wait([self._watch])
        if self._board.allows(EngineState.STOPPED):
            self._board.start_over(EngineStatus(EngineState.STOPPED))
        self._settled.set()

    async def _launch(self) -> None:
        try:
            self._process = await GuardedProcess.start(
                self._spec.argv,
                self._spec.env,
                runs=self._runs,
                log=self._log,
                on_line=self._on_line,
                on_error=self._on_error if self._manner.read_error else None,
                grace_seconds=self._patience.grace_seconds,
                kill_seconds=self._patience.kill_seconds,
                scratch=self._spec.scratch,
                container=self._spec.container,
            )
        except OSError as error:
            self._fail(not_started(f"The system says: {error}."))
            return
        self._watch = asyncio.create_task(self._watch_over(self._process), name="engine watch")
        if self._is_stopping or self._gave_up:  # while the process was being made
            self._process.ask_to_stop(at_once=not self._heeds())

    def _heeds(self) -> bool:
        """Whether it would heed a request to end."""
        return self._patience.heeds_while_starting or self._board.status.is_ready

    async def _watch_over(self, process: GuardedProcess) -> None:
        """Sample until the process has ended, then say what that means."""
        progress = ProgressWatch(self._patience)
        while not process.ended.done():
            await asyncio.wait([process.ended], timeout=self._patience.sample_seconds)
            self._recent.append(take_memory_snapshot())
            if not self._board.status.is_busy_starting or self._verdict is not None:
                continue
            if progress.is_stuck(measure_effort(process.engine_pid, process.bytes_heard)):
                seconds = self._patience.silence_seconds
                self._verdict = stalled(self._facts, seconds, self._log.tail())
                self._give_up()
        self._on_end(process.ended.result())

    def _on_line(self, line: bytes) -> None:
        event = self._manner.read(line)
        if decode_event(line) is None:  # a line for people, whatever it means to us
            self._log.add(line.decode(errors="replace"))
        if event is not None:
            self._take(event)

    def _on_error(self, piece: bytes) -> None:
        read = self._manner.read_error
        event = None if read is None else read(piece)
        if event is not None:
            self._take(event)

    def _take(self, event: WorkerEvent) -> None:
        status = self._board.status
        if isinstance(event, Failed):
            self._log.add(f"{event.reason}: {event.detail}")
            self._give_up()
        elif not status.is_busy_starting:
            return
        elif isinstance(event, EngineStarted):
            self._pid = event.pid
            if status.state is EngineState.LOADING:
                self._board.move(EngineState.LOADING, pid=event.pid)
        elif isinstance(event, Listening):
            self._port = event.port
            self._board.move(EngineState.LOADING, pid=event.pid or self._pid)
            self._greet()
        elif isinstance(event, Loading):
            fraction = min(1.0, max(0.0, event.fraction))
            self._board.move(
                EngineState.LOADING,
                load_fraction=fraction,
                load_stage=event.stage,
                pid=self._pid or status.pid,
            )
        elif isinstance(event, Ready):
            self._on_ready(event)

    def _on_ready(self, event: Ready) -> None:
        if self._port is None:
            self._log.add("The engine says it is ready, but never said at which port.")
            return
        self._board.move(
            EngineState.READY,
            load_fraction=1.0,
            load_stage="",
            model_name=event.model,
            context_tokens=event.context_tokens,
            parallel=event.parallel,
            endpoint=self._spec.endpoint(self._port, event.model),
        )
        self._settled.set()

    def _greet(self) -> None:
        """Ask for a first answer where the engine does not say by itself that it is ready."""
        greet = self._manner.greet
        if greet is not None and self._port is not None:
            self._board.move(EngineState.LOADING, load_stage=_FIRST_ANSWER)
            endpoint = self._spec.endpoint(self._port, self._spec.model_name)
            self._greeting = asyncio.create_task(
                self._await_first(greet(endpoint)), name="greeting"
            )

    async def _await_first(self, answer: Awaitable[Ready]) -> None:
        try:
            ready = await answer
        except M1DeskError as error:
            if self._process is not None:  # if it is ending, its end says more
                await asyncio.wait([self._process.ended], timeout=_END_SECONDS)
            self._log.add(f"It refused a first request: {error}")
            self._verdict = refused_greeting(self._facts, error, self._log.tail())
            self._give_up()
        else:
            if self._board.status.is_busy_starting:
                self._on_ready(ready)

    def _give_up(self) -> None:
        """Make an end with an engine that fails, in case it lingers."""
        self._gave_up = True
        if self._process is not None:
            self._process.ask_to_stop(at_once=not self._heeds())

    def _on_end(self, end: ProcessEnd) -> None:
        if self._greeting is not None:
            self._greeting.cancel()
        if not self._is_stopping:
            evidence = Evidence(
                end=end,
                before=self._before,
                lowest=min(self._recent, key=lambda snapshot: snapshot.available),
                after=take_memory_snapshot(),
                log_tail=self._log.tail(),
                was_ready=self._board.status.is_ready,
            )
            self._fail(self._verdict or self._manner.explain(evidence, self._facts))

    def _fail(self, failure: EngineFailure) -> None:
        if self._board.allows(EngineState.FAILED):
            self._board.move(EngineState.FAILED, failure=failure, endpoint=None, pid=None)
        self._settled.set()
