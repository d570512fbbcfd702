"""Jobs through the real engine: every kind, what stops them, and what they go on after."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.job_queue import GREEDY, QUESTIONS, SOON, Queue, log_of
from support.quoting import QUOTE, SCRIPT

from m1desk.documents import PreparedStates
from m1desk.documents.asking import prepare_text
from m1desk.engines import CheckpointPlan, LlamaSettings, Patience, StateSaved
from m1desk.engines.turn import ChatMessage, ChatRequest, TextDelta
from m1desk.errors import BadInput, StorageError
from m1desk.jobs.plan import check_spec
from m1desk.jobs.runner import QueueTaken
from m1desk.jobs.states import JobStates
from m1desk.jobs.store import IDLE_NOTE, MAINS_NOTE, JobStore
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    JobChanged,
    JobNotice,
    JobQuestion,
    JobsChanged,
    JobStepProgress,
    RetryPolicy,
    Schedule,
)
from m1desk.store import Database, FileLock, Folders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from m1desk.documents import DocumentsText
    from m1desk.engines import EngineClient, PrepareEvent


def needs_passes(queue: Queue, files: list[Path]) -> EngineChoice:
    """Make files longer than the context of the engine that is chosen."""
    for path in files:
        path.write_text(path.read_text() + "\n\n" + "Nothing more of any weight is said. " * 30)
    return EngineChoice(LlamaSettings(queue.model, context_tokens=640, parallel=2))


async def test_a_table_has_a_checked_answer_for_each_document_and_question(
    queue: Queue, contracts: list[Path], home: Path
) -> None:
    job = queue.add("table", *contracts)
    await queue.work()
    results = queue.store.results(job)
    assert results.job.summary.state == "done", log_of(queue, job)
    assert results.documents == ("a.txt", "b.txt", "c.txt")
    assert len(results.answers) == 6
    for name in results.documents:
        for question in QUESTIONS:
            answer = results.answer(name, question.name)
            assert answer is not None
            (citation,) = answer.checked.citations
            assert (citation.quote, citation.file, citation.page) == (QUOTE, name, 1)
            assert citation.status == "verified"
            assert answer.details.receipt is not None
            assert answer.details.receipt.agrees
            assert answer.details.documents == (name,)
            assert answer.question_text == question.text
    progress = results.job.summary.progress
    assert (progress.steps_done, progress.steps_total) == (7, 7)
    assert progress.written_tokens == sum(one.details.written_tokens for one in results.answers)
    assert progress.reused_tokens > 0  # each document was read once for both questions
    assert results.job.set_id is not None
    assert queue.sets.get(results.job.set_id).name == "Leases"
    assert results.job.settings is not None
    assert results.job.model == "quoting-jobs-F32"
    assert not queue.engine.status.is_ready  # the job had loaded it
    assert PreparedStates(Folders.under(home).data / "prepared").entries() == ()
    states = [one.summary.state for one in queue.told if isinstance(one, JobChanged)]
    assert states[-1] == "done"
    assert any(isinstance(one, JobStepProgress) and one.words for one in queue.told)


async def test_many_questions_read_the_documents_once_also_after_a_stop(
    queue: Queue, contracts: list[Path]
) -> None:
    job = queue.add("questions", *contracts)
    async with queue.at_work():
        async with asyncio.timeout(120):
            while queue.store.summary(job).progress.steps_done < 2:
                await asyncio.sleep(0.02)
    assert queue.store.state(job) in {"waiting", "done"}
    await queue.work()
    results = queue.store.results(job)
    assert [one.question for one in results.answers] == ["Notice", "Parties"]
    asked = [one.asked or 0.0 for one in results.answers]
    assert (results.job.summary.started or 0.0) < asked[0] < asked[1]
    assert asked[1] < (results.job.summary.ended or 0.0)
    assert all(step.attempts <= 2 for step in queue.store.steps(job))
    first, second = (one.details.receipt for one in results.answers)
    assert first is not None
    assert second is not None
    assert first.agrees
    assert second.agrees
    assert results.job.summary.progress.read_tokens < 1.5 * first.taken_tokens
    assert results.answers[0].details.documents == ("a.txt", "b.txt", "c.txt")


async def test_prompts_are_sent_as_chats_and_benchmarks_measure(queue: Queue) -> None:
    prompt = queue.add("prompt")
    benchmark = queue.add("benchmark")
    await queue.work()
    answers = queue.store.results(prompt).answers
    assert [one.answer for one in answers] == ["".join(SCRIPT).strip()] * 2
    measured = queue.store.results(benchmark)
    assert measured.job.summary.state == "done", log_of(queue, benchmark)
    assert [one.question for one in measured.answers] == ["512 tokens"]
    (details,) = [one.details for one in measured.answers]
    assert details.prefill_tokens_per_second
    assert details.decode_tokens_per_second
    assert details.receipt is not None
    assert 400 < details.receipt.read_tokens < 700
    assert "tokens/s" in measured.answers[0].answer


async def test_documents_larger_than_the_context_are_asked_in_parts_and_none_twice(
    queue: Queue, contracts: list[Path], home: Path
) -> None:
    states = PreparedStates(Folders.under(home).data / "prepared")
    job = queue.add("passes", *contracts, engine=needs_passes(queue, contracts))
    async with queue.at_work():
        async with asyncio.timeout(120):
            while not (
                queue.store.passes(job, 2) or queue.store.summary(job).progress.steps_done > 1
            ):
                await asyncio.sleep(0.02)
    before = queue.store.passes(job, 2)
    await queue.work()
    results = queue.store.results(job)
    assert results.job.summary.state == "done", log_of(queue, job)
    assert states.entries() == ()  # each was read once for both questions, and nobody else asks
    first, second = results.answers
    assert first.details.planned_passes > 1
    assert len(first.details.passes) >= first.details.planned_passes
    assert first.details.passes[: len(before)] == before
    assert {one.quote for one in first.checked.citations} == {QUOTE}
    assert {one.file for one in first.checked.citations} <= {"a.txt", "b.txt", "c.txt"}
    assert second.question == "Parties"
    assert second.details.receipt is not None
    assert second.details.receipt.reused_tokens > second.details.receipt.read_tokens


async def test_passes_beyond_the_disks_share_are_not_kept_and_room_is_made_at_the_end(
    queue: Queue, contracts: list[Path], home: Path
) -> None:
    states = PreparedStates(Folders.under(home).data / "prepared")
    most = 0

    def look(notice: JobNotice) -> None:
        nonlocal most
        most = max(most, len(states.entries()))

    queue.on_notice = look
    queue.states = JobStates(states, lambda: 1)
    passes = queue.add("passes", *contracts, engine=needs_passes(queue, contracts))
    await queue.work()
    (answer, _) = queue.store.results(passes).answers
    assert answer.details.planned_passes > 1
    assert most == 1
    together = queue.add("questions", contracts[0])  # its state stays for a person, if it may
    await queue.work()
    assert queue.store.state(together) == "done"
    assert states.entries() == ()


async def test_bad_jobs_stop_with_a_reason_and_the_queue_goes_on(
    queue: Queue, contracts: list[Path], tmp_path: Path
) -> None:
    gone = queue.add("table", tmp_path / "gone.pdf")
    missing = LlamaSettings(tmp_path / "deleted.gguf", parallel=2)
    deleted = queue.add("table", contracts[0], engine=EngineChoice(missing))
    unfit = tmp_path / "no-model.gguf"
    unfit.write_bytes(b"GGUF" + bytes(40))
    broken = queue.add("prompt", engine=EngineChoice(LlamaSettings(unfit)))
    long = tmp_path / "long.txt"
    long.write_text("A very long contract. " * 5000)
    narrow = queue.add("table", long, contracts[0])
    no_set = queue.add("questions", corpus=Corpus(set_id=999))
    nothing = queue.add("questions", corpus=Corpus())
    good = queue.add("prompt")
    await queue.work()
    for job, words in (
        (gone, "could be read"),
        (deleted, "There is no file"),
        (broken, "no-model.gguf"),
        (narrow, "do not fit"),
        (no_set, "is gone"),
        (nothing, "needs files"),
    ):
        problem = queue.store.summary(job).problem
        assert problem is not None, log_of(queue, job)
        assert words in f"{problem.what} {problem.why}"
        assert queue.store.state(job) == "failed"
        assert problem.what in log_of(queue, job)
    assert len(queue.store.results(narrow).answers) == 2  # of the document that fits
    assert queue.store.state(good) == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and SIGSTOP are POSIX")
@pytest.mark.parametrize("sent", ["SIGKILL", "SIGSTOP"])
async def test_an_engine_that_dies_or_freezes_in_a_step_is_started_again(
    queue: Queue, contracts: list[Path], sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_step = JobStore.begin_step
    hurt: list[int] = []

    def beginning(store: JobStore, job_id: int, number: int) -> bool:
        begun = begin_step(store, job_id, number)
        if number == 3 and not hurt and queue.engine.status.pid is not None:
            hurt.append(queue.engine.status.pid)
            os.kill(hurt[0], getattr(signal, sent))
        return begun

    monkeypatch.setattr(JobStore, "begin_step", beginning)
    queue.patience = Patience(silence_seconds=2.0, sample_seconds=0.2, grace_seconds=0.2)
    job = queue.add("table", *contracts, retry=RetryPolicy(5, 0.01))
    await queue.work()
    results = queue.store.results(job)
    assert results.job.summary.state == "done", log_of(queue, job)
    assert hurt
    assert len(results.answers) == 6
    assert "tried again" in log_of(queue, job)
    assert [one.attempts for one in queue.store.steps(job)] == [1, 1, 2, 1, 1, 1, 1]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
async def test_a_long_document_is_read_on_from_its_checkpoint_after_a_crash(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / "long.txt"
    long.write_text(" ".join(f"Sentence {number} says nothing much." for number in range(400)))
    settings = LlamaSettings(queue.model, context_tokens=16_384, parallel=2)
    undisturbed = queue.add("questions", long, engine=EngineChoice(settings))
    await queue.work()
    killed: list[int] = []

    async def killing(
        client: EngineClient, documents: DocumentsText, name: str
    ) -> AsyncIterator[PrepareEvent]:
        plan = CheckpointPlan(first_tokens=1024, growth=1.0, seconds=0.0)
        async with aclosing(prepare_text(client, documents, name, plan)) as events:
            async for event in events:
                yield event
                if isinstance(event, StateSaved) and event.tokens > 2048 and not killed:
                    killed.append(event.tokens)
                    os.kill(queue.engine.status.pid or 0, signal.SIGKILL)

    monkeypatch.setattr("m1desk.jobs.work.prepare_text", killing)
    hurt = queue.add("questions", long, engine=EngineChoice(settings))
    await queue.work()
    assert queue.store.state(hurt) == "done", log_of(queue, hurt)
    (saved,) = killed
    read_on = re.search(r"read ([\d,]+) tokens on from ([\d,]+) that", log_of(queue, hurt))
    assert read_on is not None
    read, restored = (int(number.replace(",", "")) for number in read_on.groups())
    before, after = (queue.store.results(one).answers for one in (undisturbed, hurt))
    receipt = before[0].details.receipt
    assert receipt is not None
    assert restored >= saved
    assert read < receipt.taken_tokens - 2048
    assert [one.answer for one in after] == [one.answer for one in before]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
async def test_an_engine_that_always_dies_ends_the_job_and_not_the_queue(
    queue: Queue, contracts: list[Path]
) -> None:
    job = queue.add("table", *contracts, retry=RetryPolicy(2, 0.01))

    def hurt(pid: int) -> None:
        if queue.store.state(job) == "running":
            os.kill(pid, signal.SIGKILL)

    queue.on_ready = hurt
    good = queue.add("prompt")
    await queue.work()
    assert queue.store.state(job) == "failed"
    problem = queue.store.summary(job).problem
    assert problem is not None
    assert problem.todo
    assert "tried again in 0 s" in log_of(queue, job)
    assert queue.store.state(good) == "done"


async def test_a_running_job_is_paused_resumed_and_cancelled(
    queue: Queue, contracts: list[Path]
) -> None:
    job = queue.add("table", *contracts)
    other = queue.add("table", *contracts)
    async with queue.at_work() as runner:
        await queue.until(job, "running")
        queue.store.pause(job)
        await queue.until(other, "running", "done")
        assert queue.store.state(job) == "paused"
        queue.store.cancel(other)
        queue.store.resume(job)
        runner.wake()
        assert (await queue.until(job, "done")).summary.progress.steps_done == 7
        assert queue.store.state(other) in {"cancelled", "done"}
        last = queue.add("table", *contracts)
        runner.wake()
        await queue.until(last, "running")
        queue.store.delete(last)
        async with asyncio.timeout(60):
            while runner.running is not None:
                await asyncio.sleep(0.05)
    assert len(queue.store.results(job).answers) == 6


async def test_only_one_at_a_time_works_the_queue(
    queue: Queue, contracts: list[Path], home: Path
) -> None:
    with FileLock(Folders.under(home).data / "jobs.lock") as other:
        other.acquire()
        job = queue.add("prompt")
        with pytest.raises(QueueTaken, match="process"):
            await queue.work()
        async with queue.at_work():
            await asyncio.sleep(0.3)
            assert queue.store.state(job) == "waiting"
            with Database(Folders.under(home).database) as elsewhere:
                elsewhere.execute("UPDATE jobs SET note = 'by another'")
            other.release()
            await queue.until(job, "done")
    assert JobsChanged() in queue.told


async def test_jobs_wait_for_what_their_schedule_wants(queue: Queue, contracts: list[Path]) -> None:
    now = 1_000_000.0
    queue.clock = lambda: now
    queue.outside.idle = queue.outside.on_mains = False
    tonight = queue.add("prompt", schedule=Schedule(not_before=now + 3600))
    idle = queue.add("prompt", schedule=Schedule(when_idle=True))
    mains = queue.add("table", *contracts, schedule=Schedule(on_mains=True))
    async with queue.at_work() as runner:
        async with asyncio.timeout(60):
            while queue.store.summary(mains).note != MAINS_NOTE:
                await asyncio.sleep(0.05)
        assert queue.store.summary(idle).note == IDLE_NOTE
        queue.outside.on_mains = True
        runner.wake()
        await queue.until(mains, "running")
        queue.outside.on_mains = False
        await queue.until(mains, "waiting")
        assert queue.store.summary(mains).note == MAINS_NOTE
        assert queue.store.state(tonight) == queue.store.state(idle) == "waiting"
        queue.outside.idle = queue.outside.on_mains = True
        now -= 7200  # the clock is set back, then far ahead
        runner.wake()
        await queue.until(mains, "done")
        await queue.until(idle, "done")
        assert queue.store.state(tonight) == "waiting"
        now += 1_000_000
        await queue.until(tonight, "done")


async def test_a_model_that_a_person_uses_is_not_thrown_out_and_comes_back(
    queue: Queue, tiny_llama: Path
) -> None:
    theirs = LlamaSettings(tiny_llama, context_tokens=512, parallel=1)
    await queue.engine.load(theirs)
    queue.is_person_asking = True
    job = queue.add("prompt")
    async with queue.at_work() as runner:
        async with asyncio.timeout(60):
            while "somebody works with tiny-llama-F32" not in queue.store.summary(job).note:
                await asyncio.sleep(0.05)
        assert queue.engine.settings is theirs
        queue.forget_person()
        runner.wake()
        await queue.until(job, "done")
        async with asyncio.timeout(60):
            while queue.engine.settings is not theirs:
                await asyncio.sleep(0.05)


async def test_a_person_s_model_is_shared_and_left_loaded(
    queue: Queue, contracts: list[Path]
) -> None:
    theirs = LlamaSettings(queue.model, context_tokens=4096, parallel=2)
    await queue.engine.load(theirs)
    queue.is_person_asking = True
    job = queue.add("table", contracts[0])
    await queue.work()
    assert queue.store.state(job) == "done", log_of(queue, job)
    assert queue.store.job(job).settings == theirs
    assert queue.engine.settings is theirs


async def test_a_chat_is_answered_while_a_job_reads(queue: Queue, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("It is a very long contract about nothing much. " * 150)
    settings = LlamaSettings(queue.model, context_tokens=16_384, parallel=2)
    job = queue.add("questions", long, engine=EngineChoice(settings))
    reads: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def hear(notice: JobNotice) -> None:
        match notice:
            case JobStepProgress(done=done, total=total) if 0 < done < total and not reads.done():
                reads.set_result(total)

    queue.on_notice = hear
    async with queue.at_work():
        total = await asyncio.wait_for(reads, 120)
        before = await queue.engine.client().metrics()
        request = ChatRequest((ChatMessage("user", "Hello"),), GREEDY)
        async with aclosing(queue.engine.client().stream_turn(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        after = await queue.engine.client().metrics()
        assert queue.store.summary(job).progress.steps_done == 1  # the file is read, no more
        assert after.prompt_tokens - before.prompt_tokens < total / 2
        await queue.until(job, "done")


async def test_an_answer_waits_in_memory_while_the_disk_is_full(
    queue: Queue, contracts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    end_step = type(queue.store).end_step
    refusals = 2

    def refusing(store: JobStore, *what: Any) -> bool:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise StorageError("The disk is full; nothing more could be saved.")
        return end_step(store, *what)

    monkeypatch.setattr("m1desk.jobs.job_run._DISK_WAIT_SECONDS", 0.3)
    job = queue.add("prompt", retry=SOON)
    monkeypatch.setattr(type(queue.store), "end_step", refusing)
    await queue.work()
    assert refusals == 0
    assert queue.store.state(job) == "done"
    assert [one.attempts for one in queue.store.steps(job)] == [1, 1]
    notes = [one.summary.note for one in queue.told if isinstance(one, JobChanged)]
    assert any("The disk is full" in note for note in notes)
    assert notes[-1] == ""


async def test_questions_with_one_name_or_none_are_refused(queue: Queue) -> None:
    spec = queue.store.job(queue.add("prompt")).spec
    check_spec(spec)
    for questions in ((), (JobQuestion("a", " "),), (QUESTIONS[0], QUESTIONS[0])):
        with pytest.raises(BadInput):
            check_spec(replace(spec, questions=questions))
    with pytest.raises(BadInput, match="needs files"):
        check_spec(replace(spec, kind="table"))
