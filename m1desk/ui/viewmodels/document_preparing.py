"""Documents that are read ahead, without a question, so that the first one costs little."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from m1desk.documents import PreparingEnded, PreparingStarted, PreparingStep
from m1desk.ui.viewmodels.document_reading import EngineReading, ReadingClock, reading_after

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from m1desk.documents import QuestionRunner
    from m1desk.engines import PrepareFinished
    from m1desk.ui.bridge import Bridge

    Prepare = Callable[[int], Coroutine[Any, Any, PrepareFinished | None]]


@dataclass(slots=True)
class _Running:
    reading: EngineReading = field(default_factory=EngineReading)
    clock: ReadingClock = field(default_factory=ReadingClock)


class PreparingViewModel(QObject):
    """Has the loaded model read sets, and tells how far it is; `prepare` runs on the loop.

    Signals:
        changed: how far it is, or whether anything is read ahead.
        ended: id of the set that is not read ahead any more.
        failed: the exception of a preparation that did not work.
    """

    changed = Signal()
    ended = Signal(int)
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        runner: QuestionRunner,
        prepare: Prepare,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._runner = runner
        self._prepare = prepare
        self._running: dict[int, _Running] = {}
        bridge.events.connect(self._on_events)

    @property
    def is_any_running(self) -> bool:
        """Whether any set is read ahead."""
        return bool(self._running)

    def reading(self, set_id: int | None) -> EngineReading | None:
        """How far the reading of a set is; None when it is not read ahead."""
        running = None if set_id is None else self._running.get(set_id)
        return None if running is None else running.reading

    def start(self, set_id: int) -> None:
        """Read a set ahead; one that is worked on already is left alone."""
        if set_id in self._running:
            return
        self._running[set_id] = _Running()
        self.changed.emit()

        def on_error(error: Exception) -> None:
            self._end(set_id)
            self.failed.emit(error)

        self._bridge.submit(self._prepare(set_id), lambda _: self._end(set_id), on_error)

    def stop(self, set_id: int) -> None:
        """End the reading ahead; what was saved on the way is kept."""
        self._bridge.submit(self._runner.stop(set_id), on_error=self.failed.emit)

    def _on_events(self, events: tuple[object, ...]) -> None:
        is_new = False
        for event in events:
            match event:
                case PreparingStarted(set_id):
                    self._running.setdefault(set_id, _Running())
                    is_new = True
                case PreparingStep(set_id, step) if set_id in self._running:
                    running = self._running[set_id]
                    running.reading = reading_after(running.reading, running.clock, step)
                    is_new = True
                case PreparingEnded(set_id):
                    self._end(set_id)
        if is_new:
            self.changed.emit()

    def _end(self, set_id: int) -> None:
        if self._running.pop(set_id, None) is not None:
            self.changed.emit()
            self.ended.emit(set_id)
