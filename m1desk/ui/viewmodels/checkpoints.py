"""Checkpoints for vLLM as the window sees them: what can be chosen, and what a choice means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, Signal

from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.engines import CheckpointOffer, ServeWish, VllmPlan
    from m1desk.ui.bridge import Bridge, Submission


class Planner(Protocol):
    """What is needed of the core; `CheckpointDesk` is one. Both block, and raise M1DeskError."""

    def look(self, folder: Path) -> CheckpointOffer:
        """Say what can be chosen for a checkpoint."""

    def plan(self, folder: Path, environment: str, wish: ServeWish) -> VllmPlan:
        """Say what a choice means; an empty `environment` is chosen by the model."""


class CheckpointsViewModel(QObject):
    """Asks on the loop's threads; of several questions only the last one is answered.

    Signals:
        offered: a CheckpointOffer.
        planned: a VllmPlan.
        refused: an M1DeskError in place of either.
    """

    offered = Signal(object)
    planned = Signal(object)
    refused = Signal(object)

    def __init__(self, bridge: Bridge, planner: Planner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._planner = planner
        self._asked: Submission | None = None

    def look(self, folder: Path) -> None:
        """Find out what can be chosen; `offered` tells it."""
        self._ask(self._planner.look, (folder,), self.offered.emit)

    def plan(self, folder: Path, environment: str, wish: ServeWish) -> None:
        """Find out what a choice means; `planned` tells it."""
        self._ask(self._planner.plan, (folder, environment, wish), self.planned.emit)

    def forget(self) -> None:
        """Let nobody hear the answer that is being waited for."""
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None

    def _ask(
        self,
        question: Callable[..., object],
        about: tuple[object, ...],
        on_done: Callable[[object], None],
    ) -> None:
        self.forget()
        work = asyncio.to_thread(question, *about)
        self._asked = self._bridge.submit(work, on_done=on_done, on_error=self._on_error)

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self.refused.emit(error)
