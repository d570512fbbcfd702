"""Jobs in the database: the queue in its order, and what becomes of each job and step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, get_args

from m1desk.documents import AnswerDetails
from m1desk.documents.records import details_from, details_text
from m1desk.errors import BadInput
from m1desk.jobs.records import (
    answer_values,
    estimate_text,
    job_from,
    problem_text,
    settings_text,
    spec_text,
    step_from,
    summary_from,
)
from m1desk.jobs.values import (
    Job,
    JobAnswer,
    JobEstimate,
    JobLogLine,
    JobProgress,
    JobResults,
    JobSpec,
    JobState,
    JobStep,
    JobSummary,
    Problem,
)

if TYPE_CHECKING:
    import sqlite3

    from m1desk.documents import PassAnswer
    from m1desk.engines import LlamaSettings
    from m1desk.hardware import Energy
    from m1desk.store import Database

ALL_STATES: Final[tuple[JobState, ...]] = get_args(JobState)
ENDED_STATES: Final[tuple[JobState, ...]] = ("done", "failed", "cancelled")

IDLE_NOTE: Final = "waits until nobody chats and the machine has little to do"
MAINS_NOTE: Final = "waits for mains power"

_LOG_LINES: Final = 500
"""Kept of each job; older ones go."""
_LOG_CHARACTERS: Final = 2000
_GAP: Final = 1 << 20
"""Between the positions of two jobs, so that one can be moved between them."""

_LIST: Final = """SELECT id, title, kind, state, priority, position, created, started, ended,
    not_before, steps_done, steps_total, read_tokens, reused_tokens, written_tokens, seconds, note,
    problem FROM jobs WHERE +state IN (SELECT value FROM json_each(?))
    ORDER BY turn, place, position, id LIMIT ? OFFSET ?"""
"""The plus keeps SQLite from finding the states first and sorting all the jobs in them then."""


class JobStore:
    """All jobs; any thread may use it. Every method raises StorageError.

    Methods that name a job raise BadInput when it is gone, unless they say otherwise.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def transaction(self) -> AbstractContextManager[object]:
        """Write all of a block or nothing of it, with others that write to the same database."""
        return self._database.transaction()

    # -- the list ----------------------------------------------------------------------------------

    def add(self, spec: JobSpec, estimate: JobEstimate) -> int:
        """Put a job at the end of its priority and return its id."""
        schedule = spec.schedule
        with self._database.transaction() as connection:
            made = connection.execute(
                "INSERT INTO jobs(title, kind, priority, position, created, not_before, when_idle,"
                " on_mains, estimate, spec) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    spec.title,
                    spec.kind,
                    spec.priority,
                    self._end_of(spec.priority),
                    self._clock(),
                    schedule.not_before,
                    int(schedule.when_idle),
                    int(schedule.on_mains),
                    estimate_text(estimate),
                    spec_text(spec),
                ),
            )
            return int(made.lastrowid or 0)

    def summaries(
        self, limit: int = -1, offset: int = 0, states: Collection[JobState] = ALL_STATES
    ) -> tuple[JobSummary, ...]:
        """List jobs: running, waiting by priority and position, paused, ended with newest first.

        A `limit` of -1 gives all.
        """
        rows = self._database.query(_LIST, (json.dumps(list(states)), limit, offset))
        return tuple(summary_from(row, self._clock()) for row in rows)

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs there are in each state."""
        rows = self._database.query("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")
        found = {row["state"]: int(row["jobs"]) for row in rows}
        return {state: found.get(state, 0) for state in ALL_STATES}

    def summary(self, job_id: int) -> JobSummary:
        """A job as it stands in the list."""
        return summary_from(self._row(job_id), self._clock())

    def job(self, job_id: int) -> Job:
        """A job with all that is known of it but its steps."""
        return job_from(self._row(job_id), self._clock())

    def state(self, job_id: int) -> JobState | None:
        """State of a job; None when it is gone."""
        row = self._database.query_one("SELECT state FROM jobs WHERE id = ?", (job_id,))
        return None if row is None else row["state"]

    def data_version(self) -> int:
        """Return a number that changes when another process has written to the database."""
        row = self._database.query_one("PRAGMA data_version")
        return int(row[0]) if row is not None else 0

    # -- what a person does with jobs --------------------------------------------------------------

    def move(self, job_id: int, before: int | None) -> None:
        """Put a job before another one, in its priority; None: at the end of its own priority."""
        with self._database.transaction() as connection:
            if before is None:
                priority = self.summary(job_id).priority
                position = self._end_of(priority)
            else:
                priority, position = self._room_before(before, job_id)
            connection.execute(
                "UPDATE jobs SET priority = ?, position = ? WHERE id = ?",
                (priority, position, job_id),
            )

    def set_priority(self, job_id: int, priority: int) -> None:
        """Give a job another priority, where it is the last one; higher is sooner."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET priority = ?, position = ? WHERE id = ?",
                (priority, self._end_of(priority), job_id),
            )

    def pause(self, job_id: int) -> bool:
        """Hold a job until it is resumed; False when it is not waiting or running."""
        return self._change(job_id, "paused", ("waiting", "running"))

    def resume(self, job_id: int) -> bool:
        """Let a paused job go on when its turn comes; False when it is not paused."""
        return self._change(job_id, "waiting", ("paused",))

    def cancel(self, job_id: int) -> bool:
        """End a job; what it brought is kept. False when it has ended already."""
        return self._change(job_id, "cancelled", ("waiting", "running", "paused"))

    def retry(self, job_id: int) -> bool:
        """Have what failed, and what was not reached, done again; False when nothing is to do."""
        with self._database.transaction() as connection:
            if not self._change(job_id, "waiting", ("failed", "cancelled")):
                return False
            connection.execute(
                "UPDATE job_steps SET state = 'waiting', problem = NULL"
                " WHERE job_id = ? AND state = 'failed'",
                (job_id,),
            )
            connection.execute("UPDATE jobs SET problem = NULL WHERE id = ?", (job_id,))
            return True

    def delete(self, job_id: int) -> None:
        """Delete a job with its results; the documents that were read for it stay."""
        self._database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    # -- what a runner does with jobs --------------------------------------------------------------

    def next_waiting(
        self, now: float, *, idle: bool, on_mains: bool, without: Collection[int] = ()
    ) -> int | None:
        """First job that may run, none of `without`; `now` is in seconds since the epoch."""
        row = self._database.query_one(
            "SELECT id FROM jobs WHERE turn = 1 AND (not_before IS NULL OR not_before <= ?)"
            " AND when_idle <= ? AND on_mains <= ? AND id NOT IN (SELECT value FROM json_each(?))"
            " ORDER BY turn, place, position, id LIMIT 1",
            (now, int(idle), int(on_mains), json.dumps(list(without))),
        )
        return None if row is None else int(row["id"])

    def note_waiting(self, *, idle: bool, on_mains: bool) -> bool:
        """Say on waiting jobs whether they wait for idleness or for mains power; tells changes."""
        changed = [
            self._note_all(
                "UPDATE jobs SET note = ? WHERE turn = 1 AND when_idle AND note = ?",
                IDLE_NOTE,
                holds=idle,
            ),
            self._note_all(
                "UPDATE jobs SET note = ? WHERE turn = 1 AND on_mains AND note = ?",
                MAINS_NOTE,
                holds=on_mains,
            ),
        ]
        return any(changed)

    def _note_all(self, statement: str, note: str, *, holds: bool) -> bool:
        before, after = (note, "") if holds else ("", note)
        return bool(self._database.execute(statement, (after, before)).rowcount)

    def note(self, job_id: int, note: str) -> None:
        """Say what a job waits for; "" for nothing."""
        self._database.execute("UPDATE jobs SET note = ? WHERE id = ?", (note, job_id))

    def start(self, job_id: int) -> bool:
        """Begin to work on a job; False when it does not wait any more."""
        with self._database.transaction() as connection:
            if not self._change(job_id, "running", ("waiting",)):
                return False
            connection.execute(
                "UPDATE jobs SET started = coalesce(started, ?) WHERE id = ?",
                (self._clock(), job_id),
            )
            return True

    def release(self, job_id: int, note: str = "") -> None:
        """Let a running job wait again, where it was, with the reason."""
        with self._database.transaction():
            if self._change(job_id, "waiting", ("running",)):
                self.note(job_id, note)

    def end(self, job_id: int, problem: Problem | None = None) -> None:
        """End a running job, well or with a problem."""
        with self._database.transaction() as connection:
            if self._change(job_id, "failed" if problem else "done", ("running",)):
                connection.execute(
                    "UPDATE jobs SET problem = ? WHERE id = ?", (problem_text(problem), job_id)
                )

    def set_engine(self, job_id: int, model: str, settings: LlamaSettings | None) -> None:
        """Write down what answers."""
        self._database.execute(
            "UPDATE jobs SET model = ?, settings = ? WHERE id = ?",
            (model, settings_text(settings), job_id),
        )

    def set_documents(self, job_id: int, set_id: int) -> None:
        """Write down which documents it works on."""
        self._database.execute("UPDATE jobs SET set_id = ? WHERE id = ?", (set_id, job_id))

    def add_energy(self, job_id: int, energy: Energy) -> None:
        """Write down what was measured since the last time."""
        self._database.execute(
            "UPDATE jobs SET joules = joules + ?, metered_seconds = metered_seconds + ?,"
            " power_source = ? WHERE id = ?",
            (energy.joules, energy.seconds, energy.source, job_id),
        )

    def recover(self) -> int:
        """Let what a crash cut off wait again; for the one that alone may run jobs."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE job_steps SET state = 'waiting' WHERE state = 'running'")
            return connection.execute(
                "UPDATE jobs SET state = 'waiting', note = '' WHERE state = 'running'"
            ).rowcount

    # -- steps -------------------------------------------------------------------------------------

    def plan_steps(self, job_id: int, steps: Sequence[JobStep]) -> None:
        """Add steps behind those that there are; their numbers must go on from them.

        Of each its kind, document, question, state and problem are written.
        """
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO job_steps(job_id, number, kind, document, question, state, problem)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        job_id,
                        one.number,
                        one.kind,
                        one.document,
                        one.question,
                        one.state,
                        problem_text(one.problem),
                    )
                    for one in steps
                ],
            )
            connection.execute(
                "UPDATE jobs SET steps_total = (SELECT count(*) FROM job_steps WHERE job_id = ?1)"
                " WHERE id = ?1",
                (job_id,),
            )

    def begin_step(self, job_id: int, number: int) -> bool:
        """Write down that a step is begun; False when it is done already, or its job is gone."""
        changed = self._database.execute(
            "UPDATE job_steps SET state = 'running', attempts = attempts + 1, started = ?,"
            " ended = NULL, problem = NULL WHERE job_id = ? AND number = ? AND state <> 'done'",
            (self._clock(), job_id, number),
        )
        return bool(changed.rowcount)

    def end_step(
        self, job_id: int, number: int, answer: JobAnswer | None, spent: JobProgress
    ) -> bool:
        """Write down what a step brought, and what it took; all or nothing.

        False when the step is done already or its job is gone: an answer is written once.
        """
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE job_steps SET state = 'done', ended = ?, problem = NULL, model = ?,"
                " text_sha256 = ?, answer = ?, reasoning = ?, details = ?"
                " WHERE job_id = ? AND number = ? AND state <> 'done'",
                (self._clock(), *answer_values(answer), job_id, number),
            )
            if not changed.rowcount:
                return False
            self._add_progress(connection, job_id, replace(spent, steps_done=1))
            return True

    def ask_again(self, job_id: int) -> bool:
        """Drop the answers of a job, and have its questions wait; False when there are none.

        They were given without a document that can be read now. What they took stays counted.
        """
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE job_steps SET state = 'waiting', ended = NULL, model = ?, text_sha256 = ?,"
                " answer = ?, reasoning = ?, details = ?"
                " WHERE job_id = ? AND kind = 'ask' AND state = 'done'",
                (*answer_values(None), job_id),
            ).rowcount
            self._add_progress(connection, job_id, JobProgress(steps_done=-changed))
            return changed > 0

    def save_passes(self, job_id: int, number: int, passes: Sequence[PassAnswer]) -> None:
        """Keep what a running step that is done in several passes has brought so far."""
        self._database.execute(
            "UPDATE job_steps SET details = ? WHERE job_id = ? AND number = ? AND state <> 'done'",
            (details_text(AnswerDetails(passes=tuple(passes))), job_id, number),
        )

    def passes(self, job_id: int, number: int) -> tuple[PassAnswer, ...]:
        """What a step has brought so far, pass by pass; none for one that has no passes."""
        row = self._database.query_one(
            "SELECT details FROM job_steps WHERE job_id = ? AND number = ?", (job_id, number)
        )
        return () if row is None else details_from(row["details"]).passes

    def fail_step(
        self, job_id: int, number: int, problem: Problem | None, seconds: float = 0.0
    ) -> None:
        """Write down that a step failed; without a problem: that it was left and waits again."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE job_steps SET state = ?, ended = ?, problem = ?"
                " WHERE job_id = ? AND number = ? AND state = 'running'",
                (
                    "failed" if problem else "waiting",
                    self._clock(),
                    problem_text(problem),
                    job_id,
                    number,
                ),
            )
            self._add_progress(connection, job_id, JobProgress(seconds=seconds))

    def steps(self, job_id: int) -> tuple[JobStep, ...]:
        """All steps of a job, in their order; none when the job is gone."""
        rows = self._database.query(
            "SELECT * FROM job_steps WHERE job_id = ? ORDER BY number", (job_id,)
        )
        if not rows:
            return ()
        texts = {one.name: one.text for one in self.job(job_id).spec.questions}
        return tuple(step_from(row, texts) for row in rows)

    def results(self, job_id: int) -> JobResults:
        """All that a job brought so far."""
        job, steps = self.job(job_id), self.steps(job_id)
        return JobResults(
            job=job,
            answers=tuple(one.answer for one in steps if one.answer is not None),
            documents=tuple(
                dict.fromkeys(one.document for one in steps if one.document and one.kind != "read")
            ),
            problems=tuple(
                (one.document, one.question, one.problem)
                for one in steps
                if one.state == "failed" and one.problem is not None
            ),
        )

    # -- the log -----------------------------------------------------------------------------------

    def log(self, job_id: int, text: str) -> None:
        """Add a line to a job's log; the oldest beyond five hundred goes, a long one is cut."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO job_log(job_id, at, text) SELECT id, ?, ? FROM jobs WHERE id = ?",
                (self._clock(), text[:_LOG_CHARACTERS], job_id),
            )
            connection.execute(
                "DELETE FROM job_log WHERE job_id = ?1 AND id <= (SELECT id FROM job_log"
                " WHERE job_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (job_id, _LOG_LINES),
            )

    def log_lines(self, job_id: int) -> tuple[JobLogLine, ...]:
        """All lines of a job's log, oldest first; none when the job is gone."""
        rows = self._database.query(
            "SELECT at, text FROM job_log WHERE job_id = ? ORDER BY id", (job_id,)
        )
        return tuple(JobLogLine(row["at"], row["text"]) for row in rows)

    # -- within ------------------------------------------------------------------------------------

    def _row(self, job_id: int) -> sqlite3.Row:
        row = self._database.query_one("SELECT * FROM jobs WHERE id = ?", (job_id,))
        if row is None:
            raise BadInput(
                f"There is no job {job_id}.", "It was deleted, or never was.", "Look at the list."
            )
        return row

    def _change(self, job_id: int, to: JobState, among: Sequence[JobState]) -> bool:
        """Move a job to another state, if it is in one of those named; raises BadInput if gone."""
        ended = self._clock() if to in ENDED_STATES else None
        changed = self._database.execute(
            "UPDATE jobs SET state = ?, ended = ?, note = '' WHERE id = ?"
            " AND state IN (SELECT value FROM json_each(?))",
            (to, ended, job_id, json.dumps(list(among))),
        )
        if not changed.rowcount:
            self._row(job_id)
        return bool(changed.rowcount)

    def _end_of(self, priority: int) -> int:
        row = self._database.query_one(
            "SELECT max(position) AS last FROM jobs WHERE priority = ?", (priority,)
        )
        return (row["last"] if row is not None and row["last"] is not None else 0) + _GAP

    def _room_before(self, other: int, moved: int) -> tuple[int, int]:
        """Priority and position right before a job; the others are spread where none is free."""
        priority = self.summary(other).priority
        for _ in range(2):
            here = self.summary(other).position
            row = self._database.query_one(
                "SELECT position FROM jobs WHERE priority = ? AND position < ? AND id <> ?"
                " ORDER BY position DESC LIMIT 1",
                (priority, here, moved),
            )
            before = None if row is None else row["position"]
            free = here - _GAP if before is None else (before + here) // 2
            if before is None or free > before:
                return priority, free
            self._spread(priority)
        raise AssertionError("no room between jobs that were just spread")

    def _spread(self, priority: int) -> None:
        self._database.execute(
            "UPDATE jobs SET position = spread.place FROM (SELECT id, ?1 * row_number()"
            " OVER (ORDER BY position, id) AS place FROM jobs WHERE priority = ?2)"
            " AS spread WHERE jobs.id = spread.id",
            (_GAP, priority),
        )

    @staticmethod
    def _add_progress(connection: sqlite3.Connection, job_id: int, more: JobProgress) -> None:
        connection.execute(
            "UPDATE jobs SET steps_done = steps_done + ?, read_tokens = read_tokens + ?,"
            " reused_tokens = reused_tokens + ?, written_tokens = written_tokens + ?,"
            " seconds = seconds + ? WHERE id = ?",
            (
                more.steps_done,
                more.read_tokens,
                more.reused_tokens,
                more.written_tokens,
                more.seconds,
                job_id,
            ),
        )
