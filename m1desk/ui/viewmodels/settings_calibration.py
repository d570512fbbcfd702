"""The engine's calibration: what is remembered of it, and measuring it again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from m1desk.engines import CalibrationProgress
from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from m1desk.engines import EngineCalibration
    from m1desk.ui.bridge import Bridge

    Calibrate = Callable[[Callable[[CalibrationProgress], None]], Awaitable[EngineCalibration]]


class CalibrationViewModel(QObject):
    """Runs one calibration at a time on the loop.

    `remembered` reads what is known; `calibrate` measures, remembers, and tells its progress.

    Signals:
        progressed: a CalibrationProgress.
        finished: the EngineCalibration found, or what was known before when it failed.
        failed: an M1DeskError.
    """

    progressed = Signal(object)
    finished = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        remembered: Callable[[], EngineCalibration | None],
        calibrate: Calibrate,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._remembered = remembered
        self._calibrate = calibrate
        self._running = False
        self._ended = asyncio.Event()
        self._ended.set()
        bridge.events.connect(self._on_events)

    @property
    def is_running(self) -> bool:
        """Whether it is being measured now."""
        return self._running

    def known(self) -> EngineCalibration | None:
        """What was found before, None if nothing was; raises StorageError."""
        return self._remembered()

    def start(self) -> None:
        """Measure, unless it is being measured."""
        if self._running:
            return
        self._running = True
        self._ended.clear()
        self._bridge.submit(self._run(), on_done=self._on_done, on_error=self._on_error)

    async def wait(self) -> None:
        """Wait on the loop until no calibration runs: a load beside it would spoil both."""
        await self._ended.wait()

    async def _run(self) -> EngineCalibration:
        try:
            return await self._calibrate(self._bridge.post)
        finally:
            self._ended.set()

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if isinstance(event, CalibrationProgress):
                self.progressed.emit(event)

    def _on_done(self, found: EngineCalibration) -> None:
        self._running = False
        self.finished.emit(found)

    def _on_error(self, error: Exception) -> None:
        self._running = False
        self.finished.emit(self._remembered())
        if not isinstance(error, M1DeskError):
            raise error
        self.failed.emit(error)
