"""The one crossing between Qt's thread and asyncio's: coroutines go down, frozen events come up.

A stock asyncio loop runs on one thread for the whole life of the window. What it has to say is
queued and handed to the GUI thread at most once every 33 ms, because one Qt signal per token
makes the window stall. Results and errors of coroutines travel in the same queue as events, so
they arrive in the order in which they happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = logging.getLogger(__name__)

T = TypeVar("T")

_TURN_SECONDS: Final = 0.001
"""How long another thread may keep the interpreter while the window waits for it. With Python's
own 5 ms a page that takes 30 ms to paint takes 80 while a thread computes beside it."""

BATCH_SECONDS: Final = 0.033


@dataclass(frozen=True, slots=True)
class _Call:
    """Something to be called on the GUI thread, in its place among the events."""

    run: Callable[[], None]


class Submission:
    """A coroutine on its way; it can be cancelled from the GUI thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Cancel it; neither `on_done` nor `on_error` is called afterwards."""
        self._cancelled = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing runs any more
            self._loop.call_soon_threadsafe(self._cancel_task)

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _attach(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        if self._cancelled:
            task.cancel()


class Bridge(QObject):
    """Owns the asyncio loop's thread; made, used and stopped on the GUI thread.

    Signals:
        events: a tuple of what was posted since the last batch, oldest first.
        failed: the exception of a coroutine that was submitted without `on_error`.
    """

    events = Signal(tuple)
    failed = Signal(object)
    _woken = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue: deque[object] = deque()
        self._wake_pending = threading.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping = False
        self._delivered_at = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._deliver)
        self._woken.connect(self._on_woken, Qt.ConnectionType.QueuedConnection)
        sys.setswitchinterval(_TURN_SECONDS)
        self._thread = threading.Thread(target=self._run_loop, name="m1desk-loop", daemon=True)
        self._thread.start()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, for parts that must be made on it."""
        return self._loop

    @property
    def is_running(self) -> bool:
        """Whether coroutines are still taken."""
        return not self._stopping

    def submit(
        self,
        coroutine: Coroutine[Any, Any, T],
        on_done: Callable[[T], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> Submission:
        """Run `coroutine` on the loop's thread.

        `on_done(result)` or `on_error(exception)` is called on the GUI thread; an exception
        without `on_error` reaches the signal `failed`. A cancelled coroutine calls neither.
        After `stop` the coroutine is closed unrun and the submission counts as cancelled.
        """
        submission = Submission(self._loop)
        if self._stopping:
            coroutine.close()
            submission.cancel()
            return submission
        self._loop.call_soon_threadsafe(self._start, submission, coroutine, on_done, on_error)
        return submission

    def post(self, event: object) -> None:
        """Queue a frozen event for the GUI thread; callable from any thread."""
        self._queue.append(event)
        self._wake()

    def stop(self, timeout: float = 5.0) -> bool:
        """Cancel everything, close the loop and join its thread; safe to call twice.

        What is still queued for the GUI thread is dropped. Waits `timeout` seconds at most and
        returns False if a coroutine would not end in that time.
        """
        if not self._stopping:
            self._stopping = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout)
        self._timer.stop()
        self._queue.clear()
        if self._thread.is_alive():
            _log.warning("the background thread did not end within %.1f s", timeout)
        return not self._thread.is_alive()

    # -- on the loop's thread ---------------------------------------------------------------

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(self._wind_up())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    async def _wind_up(self) -> None:
        """Wait for the cancelled tasks, then close generators and the thread pool."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    def _start(
        self,
        submission: Submission,
        coroutine: Coroutine[Any, Any, T],
        on_done: Callable[[T], None] | None,
        on_error: Callable[[Exception], None] | None,
    ) -> None:
        if submission.is_cancelled or self._stopping:
            coroutine.close()
            return
        task = self._loop.create_task(self._watch(submission, coroutine, on_done, on_error))
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)
        submission._attach(task)  # noqa: SLF001 - the two classes are one mechanism

    async def _watch(
        self,
        submission: Submission,
        coroutine: Coroutine[Any, Any, T],
        on_done: Callable[[T], None] | None,
        on_error: Callable[[Exception], None] | None,
    ) -> None:
        """Run the coroutine and queue what became of it."""
        try:
            result = await coroutine
        except Exception as error:  # noqa: BLE001 - this is where every error is handed to the GUI
            self._queue_call(submission, partial(on_error or self.failed.emit, error))
        else:
            if on_done is not None:
                self._queue_call(submission, partial(on_done, result))

    def _queue_call(self, submission: Submission, run: Callable[[], None]) -> None:
        def run_unless_cancelled() -> None:
            if not submission.is_cancelled:
                run()

        self._queue.append(_Call(run_unless_cancelled))
        self._wake()

    def _wake(self) -> None:
        if not self._wake_pending.is_set() and not self._stopping:
            self._wake_pending.set()
            self._woken.emit()

    # -- on the GUI thread ------------------------------------------------------------------

    def _on_woken(self) -> None:
        wait = self._delivered_at + BATCH_SECONDS - time.monotonic()
        self._timer.start(max(0, round(wait * 1000)))

    def _deliver(self) -> None:
        self._wake_pending.clear()
        self._delivered_at = time.monotonic()
        events: list[object] = []
        for _ in range(len(self._queue)):
            item = self._queue.popleft()
            if isinstance(item, _Call):
                self._emit(events)
                events = []
                self._call(item.run)
            else:
                events.append(item)
        self._emit(events)

    def _emit(self, events: list[object]) -> None:
        if events:
            self._call(lambda: self.events.emit(tuple(events)))

    def _call(self, run: Callable[[], None]) -> None:
        """Run it; a fault in one receiver must not swallow what the others are waiting for."""
        if self._stopping:
            return
        try:
            run()
        except Exception:  # noqa: BLE001 - goes to the hook that shows it
            sys.excepthook(*sys.exc_info())
