"""The queue as the window shows it: as many rows as there are jobs, read page by page in sight."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.jobs.values import JobChanged, JobRemoved, JobsChanged, JobStepProgress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from m1desk.jobs.values import JobState, JobSummary
    from m1desk.ui.bridge import Bridge

    class JobListing(Protocol):
        """Lists jobs; `m1desk.jobs.store.JobStore` does. It blocks, and raises StorageError."""

        def summaries(
            self, limit: int = -1, offset: int = 0, states: Collection[JobState] = ()
        ) -> tuple[JobSummary, ...]:
            """A part of the list in its order; all of it with a `limit` of -1."""

        def counts(self) -> Mapping[JobState, int]:
            """How many jobs there are in each state."""


StateFilter = Literal["all", "open", "done", "stopped"]

FILTERS: Final[dict[StateFilter, tuple[JobState, ...]]] = {
    "all": ("running", "waiting", "paused", "failed", "done", "cancelled"),
    "open": ("running", "waiting", "paused"),
    "done": ("done",),
    "stopped": ("failed", "cancelled"),
}

PAGE: Final = 100
"""Rows read at once."""

_PAGES_KEPT: Final = 8
_CALM_MS: Final = 120
"""How long to wait for further changes before the list is read anew."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What of the list is to be read; `replaces` what was read before, else adds to it."""

    states: tuple[JobState, ...]
    words: str
    pages: tuple[int, ...]
    replaces: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of the list: how many rows it has, and some of them."""

    wanted: _Wanted
    counts: Mapping[JobState, int]
    count: int
    pages: Mapping[int, tuple[JobSummary, ...]]


class JobQueueViewModel(QObject):
    """Keeps what is in sight of the list true; a row that is not read yet is None.

    Signals:
        changed: the number of rows, or any of them, has changed.
        row_changed: number (int) of the one row that has changed.
        counts_changed: how many jobs there are in each state, whatever is shown.
        failed: the exception of something that did not work.
    """

    changed = Signal()
    row_changed = Signal(int)
    counts_changed = Signal()
    failed = Signal(object)

    def __init__(self, bridge: Bridge, jobs: JobListing, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._jobs = jobs
        self._filter: StateFilter = "all"
        self._words = ""
        self._count = 0
        self._counts: Mapping[JobState, int] = {}
        self._pages: dict[int, tuple[JobSummary, ...]] = {}
        self._missing: set[int] = set()
        self._in_sight = (0, 0)
        self._steps: dict[int, JobStepProgress] = {}
        self._was_read = False
        self._reading = False
        self._stale = False
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CALM_MS)
        self._calm.timeout.connect(self.refresh)
        bridge.events.connect(self._on_events)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def was_read(self) -> bool:
        """Whether the list was read at least once."""
        return self._was_read

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self._count

    @property
    def total(self) -> int:
        """How many jobs there are, whatever is shown and searched for."""
        return sum(self._counts.values())

    @property
    def filter(self) -> StateFilter:
        """Which jobs are shown."""
        return self._filter

    @property
    def words(self) -> str:
        """What is searched for in titles, "" for nothing."""
        return self._words

    @property
    def counts(self) -> Mapping[JobState, int]:
        """How many jobs there are in each state, as far as was read."""
        return self._counts

    def count_in(self, state: JobState) -> int:
        """How many jobs are in a state."""
        return self._counts.get(state, 0)

    def count_of(self, chosen: StateFilter) -> int:
        """How many jobs a filter would show, without a search."""
        return sum(self._counts.get(state, 0) for state in FILTERS[chosen])

    def row(self, number: int) -> JobSummary | None:
        """The job in a row; None while it is not read, which this sets off."""
        page, place = divmod(number, PAGE)
        rows = self._pages.get(page)
        if rows is None:
            self._want(page)
            return None
        return rows[place] if place < len(rows) else None

    def row_of(self, job_id: int) -> int | None:
        """Number of a job's row, if it is among those that are read."""
        for page, rows in self._pages.items():
            for place, one in enumerate(rows):
                if one.id == job_id:
                    return page * PAGE + place
        return None

    def step_of(self, job_id: int) -> JobStepProgress | None:
        """How far a job's running step is, None when it has none."""
        return self._steps.get(job_id)

    # -- what is asked -----------------------------------------------------------------------------

    def show(self, chosen: StateFilter) -> None:
        """Show only the jobs of a filter."""
        if chosen != self._filter:
            self._filter = chosen
            self._forget()

    def search(self, words: str) -> None:
        """Show only the jobs whose titles hold these words."""
        words = " ".join(words.split())
        if words != self._words:
            self._words = words
            self._forget()

    def set_in_sight(self, first: int, last: int) -> None:
        """Say which rows can be seen: those are read anew when something changes."""
        self._in_sight = (first, last)

    def refresh(self) -> None:
        """Read what is in sight anew."""
        self._calm.stop()
        first, last = self._in_sight
        self._submit(range(first // PAGE, last // PAGE + 1), replaces=True)

    # -- inside ------------------------------------------------------------------------------------

    def _submit(self, pages: Iterable[int], *, replaces: bool) -> None:
        if self._reading:
            self._stale = self._stale or replaces
            return
        self._reading = True
        numbers = tuple(sorted({*pages, *self._missing}))
        self._missing = set()
        wanted = _Wanted(FILTERS[self._filter], self._words, numbers, replaces)
        work = asyncio.to_thread(self._read, wanted)
        self._bridge.submit(work, self._on_read, self._on_not_read)

    def _read(self, wanted: _Wanted) -> _Read:
        counts = self._jobs.counts()
        if wanted.words:
            words = wanted.words.casefold().split()
            found = [
                one
                for one in self._jobs.summaries(states=wanted.states)
                if all(word in one.title.casefold() for word in words)
            ]
            pages = {page: tuple(found[page * PAGE :][:PAGE]) for page in wanted.pages}
            return _Read(wanted, counts, len(found), pages)
        pages = {
            page: self._jobs.summaries(PAGE, page * PAGE, wanted.states) for page in wanted.pages
        }
        return _Read(wanted, counts, sum(counts[state] for state in wanted.states), pages)

    def _on_read(self, read: _Read) -> None:
        self._reading = False
        if (read.wanted.states, read.wanted.words) != (FILTERS[self._filter], self._words):
            self.refresh()  # something else is to be shown meanwhile
            return
        self._was_read = True
        self._count, self._counts = read.count, read.counts
        # After a change, pages out of sight may be wrong; they are read when they are seen again.
        kept = {} if read.wanted.replaces else self._pages
        self._pages = dict([*(kept | dict(read.pages)).items()][-_PAGES_KEPT:])
        self.counts_changed.emit()
        self.changed.emit()
        if self._stale:
            self._stale = False
            self._soon()
        elif self._missing:
            self._submit((), replaces=False)

    def _on_not_read(self, error: Exception) -> None:
        self._reading = False
        self.failed.emit(error)

    def _forget(self) -> None:
        self._pages, self._missing = {}, set()
        self._in_sight = (0, 0)
        self._count = 0
        self.changed.emit()
        self.refresh()

    def _want(self, page: int) -> None:
        if page not in self._missing and self._was_read:
            self._missing.add(page)
            QTimer.singleShot(0, self, self._read_missing)

    def _read_missing(self) -> None:
        if self._missing and not self._reading:
            self._submit((), replaces=False)

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if isinstance(event, JobStepProgress):
                self._steps[event.job_id] = event
                self._tell_row(event.job_id)
            elif isinstance(event, JobChanged):
                self._take(event.summary)
            elif isinstance(event, JobRemoved):
                self._steps.pop(event.job_id, None)
                self._soon()
            elif isinstance(event, JobsChanged):
                self._soon()

    def _take(self, summary: JobSummary) -> None:
        """Put a job into its row at once where that keeps its place; else read the list anew."""
        if summary.state != "running":
            self._steps.pop(summary.id, None)
        number = self.row_of(summary.id)
        before = None if number is None else self.row(number)
        if number is None or before is None:
            self._soon()
            return
        page, place = divmod(number, PAGE)
        rows = self._pages[page]
        self._pages[page] = (*rows[:place], summary, *rows[place + 1 :])
        self.row_changed.emit(number)
        if _order(before) != _order(summary):
            self._soon()

    def _tell_row(self, job_id: int) -> None:
        number = self.row_of(job_id)
        if number is not None:
            self.row_changed.emit(number)

    def _soon(self) -> None:
        if not self._calm.isActive():
            self._calm.start(_CALM_MS)


def _order(summary: JobSummary) -> tuple[object, ...]:
    """What a job's place in the list hangs on."""
    return summary.state, summary.priority, summary.position, summary.ended
