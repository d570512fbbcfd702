"""What differs between kinds of engines for whoever supervises one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from m1desk.engines.failure import Evidence, LoadFacts, explain
from m1desk.engines.status import Endpoint, EngineFailure
from m1desk.wire import Ready, WorkerEvent, decode_event


@dataclass(frozen=True, slots=True)
class Manner:
    """How an engine speaks and ends; without arguments, as our own worker does.

    Attributes:
        read: what a line of its standard output means; None for one that is only for the log.
        read_error: what a piece of its standard error means, cut anywhere.
        explain: why it ended though nobody asked for it.
        greet: asks for a first answer once it listens, and says what it is ready for; raises
            M1DeskError. None for an engine that says by itself when it is ready.
    """

    read: Callable[[bytes], WorkerEvent | None] = decode_event
    read_error: Callable[[bytes], WorkerEvent | None] | None = None
    explain: Callable[[Evidence, LoadFacts], EngineFailure] = explain
    greet: Callable[[Endpoint], Awaitable[Ready]] | None = None
