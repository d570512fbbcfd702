"""Whether a person is at work with the engine, and the machine has other things to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psutil

from m1desk.jobs.desk import is_on_mains

_IN_USE_SECONDS: Final = 600.0
"""After its last answer a model still counts as a person's: thinking takes time."""

_LITTLE_TO_DO: Final = 20.0
"""Percent of all processors."""


class Person:
    """Remembers when a person last used the engine.

    `is_asking` says whether something of theirs is being answered now. It is looked at whenever
    one asks here, which a runner of jobs does all the time, rather than being told: chats and
    questions about documents then need to know nothing of jobs.
    """

    def __init__(
        self, is_asking: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_asking = is_asking
        self._clock = clock
        self._last: float | None = None

    def note(self) -> None:
        """Note that the engine is used just now, such as by loading a model."""
        self._last = self._clock()

    def is_active(self) -> bool:
        """Whether the engine is used now, or was a moment ago."""
        if self._is_asking():
            self.note()
        return self._last is not None and self._clock() - self._last < _IN_USE_SECONDS


class MachineSurroundings:
    """This machine around the queue."""

    def __init__(self, person: Person) -> None:
        self._person = person
        psutil.cpu_percent()  # the first call has nothing to compare with

    def is_idle(self, *, while_working: bool) -> bool:
        """Whether nobody chats and, unless a job is at work, the machine has little to do."""
        if self._person.is_active():
            return False
        return while_working or psutil.cpu_percent() < _LITTLE_TO_DO

    def is_on_mains(self) -> bool:
        """Whether the machine is not on its battery."""
        return is_on_mains()
