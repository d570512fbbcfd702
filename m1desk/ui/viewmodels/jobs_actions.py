"""What can be done with a job now, and why not where it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from m1desk.jobs.values import JobState, JobSummary

JobAction = Literal["pause", "resume", "cancel", "retry", "up", "down", "delete", "export"]

_ALLOWED: Final[dict[JobAction, frozenset[JobState]]] = {
    "pause": frozenset({"running", "waiting"}),
    "resume": frozenset({"paused"}),
    "cancel": frozenset({"running", "waiting", "paused"}),
    "retry": frozenset({"failed", "cancelled"}),
    "up": frozenset({"waiting"}),
    "down": frozenset({"waiting"}),
    "delete": frozenset({"waiting", "paused", "done", "failed", "cancelled"}),
}

_REASONS: Final[dict[JobAction, str]] = {
    "pause": "Only a job that runs or waits can be paused",
    "resume": "Only a paused job can go on",
    "cancel": "The job has ended already",
    "retry": "Only a job that was cancelled, or stopped by a problem, can be tried again",
    "up": "Only waiting jobs have an order",
    "down": "Only waiting jobs have an order",
    "delete": "The job is running: pause or cancel it first",
}


def obstacle(action: JobAction, summary: JobSummary | None) -> str:
    """Say why an action can't be done with a job now, "" when it can."""
    if summary is None:
        return "Choose a job first"
    if action == "export":
        has_any = summary.progress.steps_done > 0
        return "" if has_any else "There are no results yet"
    return "" if summary.state in _ALLOWED[action] else _REASONS[action]
