"""The door between the threads that bring requests and the one that serves them."""

from __future__ import annotations

import threading
from collections import deque

from m1desk.llama_worker.generation import Broken, Generation


class Intake:
    """Requests on their way to the scheduler's thread. Every method is safe from any thread."""

    def __init__(self) -> None:
        self._arrivals: deque[Generation] = deque()
        self._wake = threading.Condition()
        self._closed_because: str | None = None

    def submit(self, generation: Generation) -> None:
        """Queue a request; once the intake is closed it is told so at once."""
        with self._wake:
            if self._closed_because is None:
                self._arrivals.append(generation)
                self._wake.notify()
                return
        generation.deliver(Broken(self._closed_because))

    def cancel(self, generation: Generation) -> None:
        """Mark a request as given up, and wake the scheduler to see it."""
        with self._wake:
            generation.cancelled = True
            self._wake.notify()

    def take(self, *, wait: bool) -> list[Generation]:
        """What arrived since the last time; with `wait`, only once there is something."""
        with self._wake:
            while wait and not self._arrivals:
                self._wake.wait()
            arrived = list(self._arrivals)
            self._arrivals.clear()
        return arrived

    def close(self, message: str) -> list[Generation]:
        """Take no more requests, for the reason in `message`; returns those still here."""
        with self._wake:
            self._closed_because = message
            arrived = list(self._arrivals)
            self._arrivals.clear()
        return arrived
