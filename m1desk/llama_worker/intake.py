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
        self._is_woken = False
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
        generation.cancelled = True
        self.wake()

    def wake(self) -> None:
        """End the scheduler's `wait`, or its next one: it has something to see to."""
        with self._wake:
            self._is_woken = True
            self._wake.notify()

    def wait(self) -> None:
        """Return as soon as a request is here, or `wake` was called since the last `wait`."""
        with self._wake:
            self._wake.wait_for(lambda: self._is_woken or self._arrivals)
            self._is_woken = False

    def take(self) -> list[Generation]:
        """What arrived since the last time."""
        with self._wake:
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
