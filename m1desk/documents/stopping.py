"""Work of one task that a person can stop."""

from __future__ import annotations

import asyncio


class Stoppable:
    """Tells a person's Stop from the app's own cancelling, which must pass through.

    Attributes:
        ended: set by whoever runs the work, when it is over.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._stopping = False
        self.ended = asyncio.Event()

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping

    def stop(self) -> None:
        """End it at its next chance; asking twice is harmless."""
        if self._task is not None and not self._stopping:
            self._task.cancel()
        self._stopping = True

    def listen(self) -> None:
        """From now on `stop` cancels the task that this is called in."""
        self._task = asyncio.current_task()

    def take_stop(self) -> bool:
        """Say in `except CancelledError` whether it is the person's Stop, which ends with that."""
        task, self._task = self._task, None
        return self._stopping and task is not None and not task.uncancel()
