"""The queue in the database: its order, what becomes of jobs, and what is written only once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from m1desk.documents import AnswerDetails, Citation, ReadReceipt
from m1desk.engines import LlamaSettings
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import BadInput
from m1desk.jobs.store import IDLE_NOTE, MAINS_NOTE, JobStore
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    JobAnswer,
    JobEstimate,
    JobProgress,
    JobQuestion,
    JobSpec,
    JobStep,
    Problem,
    RetryPolicy,
    Schedule,
)
from m1desk.store import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_800_000_000.0
ANSWER = JobAnswer(
    document="a.pdf",
    question="Term",
    question_text="How long?",
    answer='"Two years" [a.pdf p.1]',
    reasoning="hm",
    model="tiny",
    details=AnswerDetails(
        citations=(Citation("Two years", 0, 11, "verified", 1.0, "a.pdf", 1, "a.pdf", 1, 5, 14),),
        receipt=ReadReceipt(10, 4, 6),
        written_tokens=3,
    ),
    text_sha256="ab",
)
SPENT = JobProgress(read_tokens=4, reused_tokens=6, written_tokens=3, seconds=1.5)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "jobs.sqlite3") as opened:
        yield opened


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database, Clock())


def spec(title: str = "Leases", **more: object) -> JobSpec:
    made = JobSpec(title, "table", (JobQuestion("Term", "How long?"),))
    return replace(made, **more)  # type: ignore[arg-type]


def added(store: JobStore, *titles: str, **more: object) -> list[int]:
    return [store.add(spec(title, **more), JobEstimate()) for title in titles]


def titles(store: JobStore) -> str:
    return "".join(one.title for one in store.summaries())


def test_a_job_comes_back_as_it_was_given(store: JobStore) -> None:
    given = JobSpec(
        title="All leases",
        kind="table",
        questions=(JobQuestion("Term", "How long?"), JobQuestion("Notice", "And notice?")),
        corpus=Corpus(files=(Path("/docs/a.pdf"), Path("/docs/b"))),
        engine=EngineChoice(
            LlamaSettings(Path("/m/a.gguf"), context_tokens=0, cpu_expert_layers=(1, 2)),
            unload_after=False,
        ),
        schedule=Schedule(not_before=NOW + 60, on_mains=True),
        priority=2,
        retry=RetryPolicy(5, 1.5),
        sampling=SamplingParameters(temperature=0.0, stop=("x",)),
        template="leases",
    )
    estimate = JobEstimate(1000, 20, (1.0, 2.0), (0.1, 0.2), (0.01, 0.02), "roughly")
    job = store.job(store.add(given, estimate))
    assert job.spec == given
    assert job.estimate == estimate
    assert (job.set_id, job.model, job.settings) == (None, "", None)
    assert job.summary.state == "waiting"
    assert job.summary.note.startswith("waits until 20")


def test_the_list_has_what_runs_then_what_waits_then_what_ended(store: JobStore) -> None:
    a, b, c, d, e = added(store, *"abcde")
    (urgent,) = added(store, "u", priority=1)
    assert titles(store) == "uabcde"
    store.start(c)
    store.pause(a)
    store.cancel(b)
    store.start(d)
    store.end(d)
    assert titles(store) == "cueadb"
    assert store.counts() == {
        "waiting": 2, "running": 1, "paused": 1, "done": 1, "failed": 0, "cancelled": 1,
    }  # fmt: skip
    assert [one.id for one in store.summaries(2, 1)] == [urgent, e]
    assert [one.id for one in store.summaries(states=("done", "cancelled"))] == [d, b]


def test_jobs_move_also_where_there_is_no_room_left(store: JobStore) -> None:
    a, b, c = added(store, *"abc")
    store.move(c, before=a)
    assert titles(store) == "cab"
    store.move(a, before=None)
    assert titles(store) == "cba"
    store.move(a, before=b)
    for moved in [c, a] * 40:  # each halves the room before the last one, until none is left
        store.move(moved, before=b)
        assert titles(store) == ("cab" if moved == a else "acb")
    store.set_priority(b, 5)
    assert titles(store)[0] == "b"
    store.move(a, before=b)
    assert titles(store)[:2] == "ab"
    assert store.summary(a).priority == 5


def test_only_what_the_schedule_lets_run_is_next(store: JobStore) -> None:
    (night,) = added(store, "n", schedule=Schedule(not_before=NOW + 100))
    (mains,) = added(store, "m", schedule=Schedule(on_mains=True))
    (idle,) = added(store, "i", schedule=Schedule(when_idle=True))
    (now,) = added(store, "x")
    assert store.next_waiting(NOW, idle=False, on_mains=False) == now
    assert store.next_waiting(NOW, idle=False, on_mains=True) == mains
    assert store.next_waiting(NOW, idle=True, on_mains=False) == idle
    assert store.next_waiting(NOW + 100, idle=True, on_mains=True) == night
    assert store.next_waiting(NOW, idle=False, on_mains=False, without={now}) is None
    assert store.note_waiting(idle=False, on_mains=False)
    assert not store.note_waiting(idle=False, on_mains=False)
    assert [store.summary(one).note for one in (mains, idle, now)] == [MAINS_NOTE, IDLE_NOTE, ""]
    assert store.note_waiting(idle=True, on_mains=True)
    assert [store.summary(one).note for one in (mains, idle, now)] == ["", "", ""]


def planned(store: JobStore) -> int:
    (job,) = added(store, "a")
    steps = [JobStep(n, "ask", f"{n}.pdf", "Term", "waiting") for n in (1, 2, 3)]
    store.plan_steps(job, steps)
    store.start(job)
    return job


def test_an_answer_is_written_once_and_with_the_progress(store: JobStore) -> None:
    job = planned(store)
    assert store.begin_step(job, 1)
    assert store.end_step(job, 1, replace(ANSWER, document="1.pdf"), SPENT)
    assert not store.end_step(job, 1, ANSWER, SPENT)
    assert not store.begin_step(job, 1)
    first, second, _ = store.steps(job)
    assert first.answer == replace(ANSWER, document="1.pdf", asked=first.started)
    assert (first.state, first.attempts, second.state) == ("done", 1, "waiting")
    assert store.summary(job).progress == replace(SPENT, steps_done=1, steps_total=3)


def test_what_failed_is_tried_again_and_nothing_else(store: JobStore) -> None:
    job = planned(store)
    store.begin_step(job, 1)
    store.end_step(job, 1, ANSWER, SPENT)
    store.begin_step(job, 2)
    store.fail_step(job, 2, Problem("It broke.", "why", "todo"), 2.0)
    store.begin_step(job, 3)
    store.fail_step(job, 3, None, 1.0)
    store.end(job, Problem("One step failed."))
    assert [one.state for one in store.steps(job)] == ["done", "failed", "waiting"]
    results = store.results(job)
    assert results.problems == (("2.pdf", "Term", Problem("It broke.", "why", "todo")),)
    assert results.documents == ("1.pdf", "2.pdf", "3.pdf")
    assert len(results.answers) == 1
    assert store.summary(job).problem == Problem("One step failed.")
    assert store.summary(job).progress.seconds == 4.5
    assert store.retry(job)
    assert not store.retry(job)
    assert [one.state for one in store.steps(job)] == ["done", "waiting", "waiting"]
    assert store.summary(job).problem is None


def test_after_a_crash_what_ran_waits_again(store: JobStore) -> None:
    job = planned(store)
    store.begin_step(job, 1)
    assert store.recover() == 1
    assert store.recover() == 0
    assert store.summary(job).state == "waiting"
    assert store.steps(job)[0].state == "waiting"
    assert store.steps(job)[0].attempts == 1


def test_what_a_person_did_meanwhile_counts(store: JobStore) -> None:
    job = planned(store)
    assert store.pause(job)
    store.release(job)
    store.end(job)
    assert store.summary(job).state == "paused"
    assert store.resume(job)
    assert not store.resume(job)
    assert store.cancel(job)
    assert not store.cancel(job)
    assert not store.start(job)


def test_a_deleted_job_leaves_nothing_and_is_said_to_be_gone(
    store: JobStore, database: Database
) -> None:
    job = planned(store)
    store.log(job, "It began.")
    store.delete(job)
    assert store.state(job) is None
    assert not store.steps(job)
    assert not store.log_lines(job)
    assert not store.end_step(job, 1, ANSWER, SPENT)
    store.log(job, "too late")
    for table in ("jobs", "job_steps", "job_log"):
        assert database.query(f"SELECT * FROM {table}") == []
    with pytest.raises(BadInput, match=f"no job {job}"):
        store.pause(job)


def test_a_log_keeps_its_last_lines(store: JobStore) -> None:
    first, second = added(store, "a", "b")
    store.log(second, "of the other")
    for number in range(510):
        store.log(first, f"line {number}")
    lines = store.log_lines(first)
    assert (len(lines), lines[0].text, lines[-1].text) == (500, "line 10", "line 509")
    store.log(first, "x" * 9999)
    assert len(store.log_lines(first)[-1].text) == 2000
    assert [one.text for one in store.log_lines(second)] == ["of the other"]


def test_writing_by_another_process_is_noticed(store: JobStore, database: Database) -> None:
    before = store.data_version()
    added(store, "a")
    assert store.data_version() == before
    with Database(database.path) as other:
        JobStore(other).add(spec(), JobEstimate())
    assert store.data_version() != before


def test_ten_thousand_jobs_are_listed_in_order_and_stay_small(
    store: JobStore, database: Database
) -> None:
    with database.transaction():
        for number in range(10_000):
            store.add(spec(f"Job {number}", priority=number % 3), JobEstimate())
    listed = store.summaries()
    assert len(listed) == 10_000
    assert [one.priority for one in listed] == sorted((n % 3 for n in range(10_000)), reverse=True)
    plan = database.query(
        "EXPLAIN QUERY PLAN SELECT id FROM jobs WHERE turn = 1"
        " ORDER BY turn, place, position, id LIMIT 1"
    )
    assert "jobs_in_order" in plan[0]["detail"]
    assert "TEMP B-TREE" not in " ".join(row["detail"] for row in plan)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert database.path.stat().st_size < 10_000 * 500
