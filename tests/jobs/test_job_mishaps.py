"""What befalls jobs from outside, and what they make of it: files, models and jobs that go."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.job_queue import QUESTIONS, Queue, log_of

from m1desk.engines import LlamaSettings
from m1desk.errors import EngineUnreachable
from m1desk.jobs.exports.run import document_names
from m1desk.jobs.local_desk import LocalDesk
from m1desk.jobs.store import JobStore
from m1desk.jobs.values import EngineChoice, RetryPolicy

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.engines import LocalSettings


async def test_a_job_deleted_as_it_ends_leaves_the_queue_at_work(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, other = queue.add("prompt"), queue.add("prompt")
    end_step = JobStore.end_step

    def ending(store: JobStore, job_id: int, number: int, *what: Any) -> bool:
        ended = end_step(store, job_id, number, *what)
        if (job_id, number) == (gone, len(QUESTIONS)):
            store.delete(gone)
        return ended

    monkeypatch.setattr(JobStore, "end_step", ending)
    await queue.work()
    assert queue.store.state(gone) is None
    assert queue.store.state(other) == "done"


async def test_a_file_that_is_gone_is_said_and_tried_again_when_it_is_back(
    queue: Queue, contracts: list[Path]
) -> None:
    text = contracts[1].read_text()
    contracts[1].unlink()
    job = queue.add("table", *contracts)
    await queue.work()
    results = queue.store.results(job)
    assert results.job.summary.state == "failed"
    assert results.job.summary.problem is not None
    assert "1 of 6 steps failed" in results.job.summary.problem.what
    ((document, question, problem),) = results.problems
    assert (document, question) == ("b.txt", "")
    assert problem.what
    assert len(results.answers) == 4
    contracts[1].write_text(text)
    queue.store.retry(job)
    await queue.work()
    results = queue.store.results(job)
    assert results.job.summary.state == "done", log_of(queue, job)
    assert len(results.answers) == 6
    assert results.answer("b.txt", "Notice") is not None
    asked = [step for step in queue.store.steps(job) if step.kind == "ask"]
    assert [step.attempts for step in asked] == [1] * 6


async def test_questions_asked_without_a_file_are_asked_anew_when_it_is_back(
    queue: Queue, contracts: list[Path]
) -> None:
    text = contracts[1].read_text()
    contracts[1].unlink()
    job = queue.add("questions", *contracts)
    await queue.work()
    without = queue.store.results(job)
    assert without.job.summary.state == "failed"
    assert document_names(without) == ("a.txt", "c.txt")
    contracts[1].write_text(text)
    queue.store.retry(job)
    await queue.work()
    results = queue.store.results(job)
    assert results.job.summary.state == "done", log_of(queue, job)
    assert [one.details.documents for one in results.answers] == [("a.txt", "b.txt", "c.txt")] * 2
    assert document_names(results) == ("a.txt", "b.txt", "c.txt")
    done = results.job.summary.progress
    assert (done.steps_done, done.steps_total) == (4, 4)
    assert "b.txt is read now; what was asked is asked anew." in log_of(queue, job)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
async def test_outages_that_were_got_over_do_not_add_up(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_step, load = JobStore.begin_step, LocalDesk._load
    killed: list[int] = []
    refused: list[int] = []

    def beginning(store: JobStore, job_id: int, number: int) -> bool:
        begun = begin_step(store, job_id, number)
        if number not in killed and queue.engine.status.pid is not None:
            killed.append(number)
            os.kill(queue.engine.status.pid, signal.SIGKILL)
        return begun

    async def loading(desk: LocalDesk, *wanted: Any) -> LocalSettings:
        if len(refused) < len(killed):
            refused.append(len(killed))
            raise EngineUnreachable("There is no memory for it just now.")
        return await load(desk, *wanted)

    monkeypatch.setattr(JobStore, "begin_step", beginning)
    monkeypatch.setattr(LocalDesk, "_load", loading)
    job = queue.add("prompt", retry=RetryPolicy(attempts=2, wait_seconds=0.01))
    await queue.work()
    assert (killed, refused) == ([1, 2], [1, 2])
    assert queue.store.state(job) == "done", log_of(queue, job)


async def test_a_person_s_model_comes_back_when_that_of_the_job_does_not_load(
    queue: Queue, tiny_llama: Path, tmp_path: Path
) -> None:
    theirs = LlamaSettings(tiny_llama, context_tokens=512, parallel=1)
    await queue.engine.load(theirs)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(queue.model.read_bytes()[:-4096])
    settings = LlamaSettings(broken, context_tokens=2048, parallel=2)
    queue.forget_person()
    queue.desk._seen = theirs  # loaded long ago
    job = queue.add("prompt", engine=EngineChoice(settings), retry=RetryPolicy(1, 0.0))
    async with queue.at_work():
        await queue.until(job, "failed")
        async with asyncio.timeout(60):
            while queue.engine.settings is not theirs:
                await asyncio.sleep(0.05)
