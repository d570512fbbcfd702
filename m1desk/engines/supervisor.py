"""One engine from its start to its end: its process, its events, and what its end means."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from m1desk.engines.failure import Evidence, LoadFacts, explain, not_started, stalled
from m1desk.engines.memory import take_memory_snapshot
from m1desk.engines.process import GuardedProcess, ProcessEnd
from m1desk.engines.progress import Patience, ProgressWatch, measure_effort
from m1desk.engines.status import Endpoint, EngineFailure, EngineState, EngineStatus
from m1desk.wire import EngineStarted, Failed, Listening, Loading, Ready, decode_event

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.engines.log import EngineLog
    from m1desk.engines.spec import EngineSpec
    from m1desk.engines.states import StatusBoard

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
    ) -> None:
        self._spec = spec
        self._facts = facts
        self._runs = runs
        self._log = log
        self._board = board
        self._patience = patience
        self._process: GuardedProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # READY, FAILED or STOPPED was reached
        self._port: int | None = None
        self._launched = asyncio.Event()
        self._is_stopping = False
        self._gave_up = False
        self._stall: EngineFailure | None = None
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
        if self._board.allows(EngineState.STOPPING):
            self._is_stopping = True
            self._board.move(EngineState.STOPPING)
            await self._launched.wait()
        if self._process is not None:
            await self._process.stop()
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
                grace_seconds=self._patience.grace_seconds,
            )
        except OSError as error:
            self._fail(not_started(f"The system says: {error}."))
            return
        self._watch = asyncio.create_task(self._watch_over(self._process), name="engine watch")
        if self._is_stopping or self._gave_up:  # while the process was being made
            self._process.ask_to_stop()

    async def _watch_over(self, process: GuardedProcess) -> None:
        """Sample until the process has ended, then say what that means."""
        progress = ProgressWatch(self._patience)
        while not process.ended.done():
            await asyncio.wait([process.ended], timeout=self._patience.sample_seconds)
            self._recent.append(take_memory_snapshot())
            if not self._board.status.is_busy_starting or self._stall is not None:
                continue
            if progress.is_stuck(measure_effort(process.engine_pid, process.bytes_heard)):
                seconds = self._patience.silence_seconds
                self._stall = stalled(self._facts, seconds, self._log.tail())
                process.ask_to_stop()
        self._on_end(process.ended.result())

    def _on_line(self, line: bytes) -> None:
        event = decode_event(line)
        status = self._board.status
        if event is None:
            self._log.add(line.decode(errors="replace"))
        elif isinstance(event, Failed):
            self._log.add(f"{event.reason}: {event.detail}")
            self._give_up()
        elif not status.is_busy_starting:
            return
        elif isinstance(event, EngineStarted):
            if status.state is EngineState.LOADING:
                self._board.move(EngineState.LOADING, pid=event.pid)
        elif isinstance(event, Listening):
            self._port = event.port
            self._board.move(EngineState.LOADING, pid=event.pid)
        elif isinstance(event, Loading):
            fraction = min(1.0, max(0.0, event.fraction))
            self._board.move(EngineState.LOADING, load_fraction=fraction)
        elif isinstance(event, Ready):
            self._on_ready(event)

    def _on_ready(self, event: Ready) -> None:
        if self._port is None:
            self._log.add("The engine says it is ready, but never said at which port.")
            return
        self._board.move(
            EngineState.READY,
            load_fraction=1.0,
            model_name=event.model,
            context_tokens=event.context_tokens,
            parallel=event.parallel,
            endpoint=Endpoint(f"http://127.0.0.1:{self._port}", event.model, self._spec.api_key),
        )
        self._settled.set()

    def _give_up(self) -> None:
        """Make an end with an engine that has said it fails, in case it lingers."""
        self._gave_up = True
        if self._process is not None:
            self._process.ask_to_stop()

    def _on_end(self, end: ProcessEnd) -> None:
        if not self._is_stopping:
            evidence = Evidence(
                end=end,
                before=self._before,
                lowest=min(self._recent, key=lambda snapshot: snapshot.available),
                after=take_memory_snapshot(),
                log_tail=self._log.tail(),
                was_ready=self._board.status.is_ready,
            )
            self._fail(self._stall or explain(evidence, self._facts))

    def _fail(self, failure: EngineFailure) -> None:
        if self._board.allows(EngineState.FAILED):
            self._board.move(EngineState.FAILED, failure=failure, endpoint=None, pid=None)
        self._settled.set()
