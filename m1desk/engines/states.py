"""The table of an engine's states, and the board that shows the present one."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from m1desk.engines.status import EngineState, EngineStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOVES: Final[Mapping[EngineState, frozenset[EngineState]]] = MappingProxyType(
    {
        EngineState.STOPPED: frozenset({EngineState.STARTING}),
        EngineState.STARTING: frozenset(
            {EngineState.LOADING, EngineState.STOPPING, EngineState.FAILED}
        ),
        EngineState.LOADING: frozenset(
            {EngineState.LOADING, EngineState.READY, EngineState.STOPPING, EngineState.FAILED}
        ),
        EngineState.READY: frozenset({EngineState.STOPPING, EngineState.FAILED}),
        EngineState.STOPPING: frozenset({EngineState.STOPPED}),
        EngineState.FAILED: frozenset({EngineState.STARTING, EngineState.STOPPED}),
    }
)
"""From each state, the states that may come next. Whoever is STOPPING gets nowhere but STOPPED:
an engine that dies of being stopped has not failed."""


class ImpossibleMove(RuntimeError):
    """A move that the table does not have."""


class StatusBoard:
    """The present status of one engine; every change is checked and told."""

    def __init__(self, on_status: Callable[[EngineStatus], None]) -> None:
        self._on_status = on_status
        self._status = EngineStatus(EngineState.STOPPED)

    @property
    def status(self) -> EngineStatus:
        """The engine as it is now."""
        return self._status

    def allows(self, state: EngineState) -> bool:
        """Tell whether `state` may come next."""
        return state in MOVES[self._status.state]

    def move(self, state: EngineState, **changes: Any) -> EngineStatus:  # noqa: ANN401 - EngineStatus checks them
        """Go on to `state`, keeping what `changes` does not name; tells whoever listens.

        Raises:
            ImpossibleMove: the table has no such move.
        """
        if not self.allows(state):
            raise ImpossibleMove(f"{self._status.state.value} -> {state.value}")
        self._status = replace(self._status, state=state, **changes)
        self._on_status(self._status)
        return self._status

    def start_over(self, status: EngineStatus) -> EngineStatus:
        """Begin a new run with nothing kept of the last.

        Raises:
            ImpossibleMove: an engine is running.
        """
        if not self.allows(status.state):
            raise ImpossibleMove(f"{self._status.state.value} -> {status.state.value}")
        self._status = status
        self._on_status(status)
        return status
