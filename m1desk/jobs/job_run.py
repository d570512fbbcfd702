"""One job on its way: its open steps in their order, each written down before and after."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from m1desk.documents import read_documents
from m1desk.errors import (
    BadInput,
    EngineFailed,
    EngineRefused,
    EngineUnreachable,
    M1DeskError,
    StorageError,
)
from m1desk.jobs.corpus import JobDocuments
from m1desk.jobs.desk import EngineTaken
from m1desk.jobs.loads import Course
from m1desk.jobs.plan import (
    check_spec,
    first_step,
    later_steps,
    loads,
    measured_depth,
    measuring_steps,
    needed_tokens,
)
from m1desk.jobs.records import problem_of
from m1desk.jobs.step_report import StepReport
from m1desk.jobs.values import JobProgress, JobStep, JobStepProgress, Problem
from m1desk.jobs.vigil import Vigil
from m1desk.jobs.work import Asked, ask_documents, ask_passes, chat, measure, state_of

if TYPE_CHECKING:
    from m1desk.documents import (
        DocumentSets,
        DocumentsText,
        PassAnswer,
        ReadProgress,
        ReadResult,
    )
    from m1desk.engines import Patience
    from m1desk.jobs.desk import EngineDesk, JobEngine
    from m1desk.jobs.states import JobStates
    from m1desk.jobs.store import JobStore
    from m1desk.jobs.tell import Teller
    from m1desk.jobs.values import Job
    from m1desk.jobs.work import Hear, StepDone, StepEvent

_log = logging.getLogger(__name__)

_LOADING: Final = 0
"""Stands for the number of a step while the model is loaded."""
_DISK_WAIT_SECONDS: Final = 2.0
_LONGEST_DISK_WAIT_SECONDS: Final = 60.0
_LONGEST_WAIT_SECONDS: Final = 3600.0
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of what gets better by itself."""

_SHUT: Final = frozenset({401, 403})
"""HTTP statuses of a server that lets nobody in: no other step would fare better."""

_Result = TypeVar("_Result")
Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a job works with."""

    store: JobStore
    sets: DocumentSets
    desk: EngineDesk
    tell: Teller
    states: JobStates
    patience: Patience


class JobRun:
    """Works one job to its end; cancelling `run` leaves it, and what is done stays done."""

    def __init__(self, job: Job, parts: Parts) -> None:
        self._job = job
        self._id = job.summary.id
        self._spec = job.spec
        self._store = parts.store
        self._sets = parts.sets
        self._desk = parts.desk
        self._tell = parts.tell
        self._states = parts.states
        self._to_forget: set[str] = set()
        self._patience = parts.patience
        self._failures: Counter[int] = Counter()
        self._step = _LOADING
        self._began = time.monotonic()

    async def run(self) -> None:
        """Work until the job has ended, well or not; what went wrong is written down, not raised.

        Raises:
            EngineTaken: it has to wait for an engine.
        """
        problem: Problem | None
        try:
            problem = await self._work()
        except EngineTaken:
            raise
        except M1DeskError as error:
            problem = problem_of(error)
        except Exception as error:  # noqa: BLE001 - the queue goes on, whatever it is
            _log.exception("job %d ended with a fault of the program", self._id)
            problem = Problem(
                "The job ended with an error of M1 Desk itself.",
                f"{type(error).__name__}: {error}",
                "Retry it; the program's log tells more.",
            )
        if problem is not None:
            await self._note_end(problem)
        try:
            await self._write(partial(self._store.end, self._id, problem))
        except BadInput as gone:  # it was deleted meanwhile
            _log.info("job %d is not ended: %s", self._id, gone)

    async def _work(self) -> Problem | None:
        check_spec(self._spec)
        documents = await self._documents()
        await self._plan(documents)
        while not await self._with_engine(documents):
            pass  # the engine was lost; it has been waited for
        return _verdict(await asyncio.to_thread(self._store.steps, self._id))

    # -- documents ---------------------------------------------------------------------------------

    async def _documents(self) -> JobDocuments | None:
        corpus = self._spec.corpus
        if corpus.set_id is None and not corpus.files:
            return None
        if corpus.files:
            await self._read()
        else:
            await self._write(partial(self._store.set_documents, self._id, corpus.set_id or 0))
        set_id = (await asyncio.to_thread(self._store.job, self._id)).set_id
        return await asyncio.to_thread(JobDocuments, self._sets, set_id or 0)

    async def _read(self) -> None:
        """Do the reading steps that are open: the first one, or files that are tried again."""
        steps = await asyncio.to_thread(self._store.steps, self._id)
        if not steps:
            steps = (first_step(),)
            await self._write(partial(self._store.plan_steps, self._id, steps))
        for step in steps:
            if step.kind == "read" and step.state in {"waiting", "running"}:
                if step.document:
                    await self._try(step, partial(self._read_again, step))
                else:
                    await self._attempt(step, partial(self._read_all, step))

    async def _read_all(self, step: JobStep) -> None:
        files = self._spec.corpus.files
        results = await read_documents(files, on_progress=self._on_reading)
        if not any(one.document for one in results):
            raise _unread(results)
        await self._write(partial(self._keep, step, results, self._spent()))
        await self._say_unread(results)

    def _keep(self, step: JobStep, results: tuple[ReadResult, ...], spent: JobProgress) -> None:
        """Store documents, their set and the step's end; all or nothing, so never twice."""
        with self._store.transaction():
            set_id = self._sets.create(self._spec.title)
            self._sets.add(set_id, results)
            self._store.set_documents(self._id, set_id)
            self._store.end_step(self._id, step.number, None, spent)
            failed = [one.report for one in self._sets.files(set_id) if one.document is None]
            steps = [
                JobStep(number, "read", one.name, "", "failed", problem=problem_of(one.problem))
                for number, one in enumerate(failed, step.number + 1)
                if one.problem is not None and one.outcome != "skipped"
            ]
            self._store.plan_steps(self._id, steps)

    async def _read_again(self, step: JobStep) -> None:
        """Try a file again that could not be read, and plan the questions about it."""
        set_id = (await asyncio.to_thread(self._store.job, self._id)).set_id or 0
        files = await asyncio.to_thread(self._sets.files, set_id)
        report = next((one.report for one in files if one.report.name == step.document), None)
        if report is None:
            raise BadInput(f"{step.document} is not among the documents any more.")
        results = await read_documents([report.path], on_progress=self._on_reading)
        await self._write(partial(self._sets.add, set_id, results))
        files = await asyncio.to_thread(self._sets.files, set_id)
        again = next(one for one in files if one.report.name == step.document)
        if again.document is None:
            raise again.report.problem or BadInput(f"There is no text in {step.document}.")
        if await self._write(partial(self._keep_again, step, self._spent())):
            await self._note(f"{step.document} is read now; what was asked is asked anew.")

    def _keep_again(self, step: JobStep, spent: JobProgress) -> bool:
        """Store that a file is read now, and have it asked about; tells whether answers went."""
        with self._store.transaction():
            self._store.end_step(self._id, step.number, None, spent)
            known = self._store.steps(self._id)
            if self._spec.kind != "table":
                return self._store.ask_again(self._id)
            if any(one.kind == "ask" for one in known):
                more = later_steps(self._spec, (step.document,), known[-1].number + 1)
                self._store.plan_steps(self._id, more)
            return False

    async def _say_unread(self, results: tuple[ReadResult, ...]) -> None:
        for report in (one.report for one in results):
            if report.problem is not None:
                await self._note(f"{report.name}: {report.problem}")

    def _on_reading(self, progress: ReadProgress) -> None:
        words = f"reads files: {progress.files_done} of {progress.files_total}"
        self._tell.progress(JobStepProgress(self._id, self._step, words))

    async def _plan(self, documents: JobDocuments | None) -> None:
        steps = await asyncio.to_thread(self._store.steps, self._id)
        if self._spec.kind == "benchmark" or any(one.kind != "read" for one in steps):
            return
        names = documents.names if documents is not None else ()
        later = later_steps(self._spec, names, len(steps) + 1)
        await self._write(partial(self._store.plan_steps, self._id, later))

    # -- the engine --------------------------------------------------------------------------------

    async def _with_engine(self, documents: JobDocuments | None) -> bool:
        """Do the open steps with one engine; False when it was lost and has been waited for."""
        steps = await asyncio.to_thread(self._store.steps, self._id)
        if steps and not any(_is_open(one) for one in steps):
            return True
        self._step = _LOADING
        try:
            needed = needed_tokens(self._spec, documents)
            choice = self._spec.engine
            if choice.settings is None and self._job.settings is not None:
                # It was whatever was loaded; from the first step to the last it is the same.
                choice = replace(choice, settings=replace(self._job.settings, context_tokens=0))
            async with self._desk.engine(choice, needed) as engine:
                await self._note_engine(engine)
                await self._steps(engine, documents)
        except M1DeskError as error:
            if not _is_passing(error):
                raise
            await self._wait_after(error)
            return False
        return True

    async def _note_engine(self, engine: JobEngine) -> None:
        await self._write(partial(self._store.set_engine, self._id, engine.model, engine.settings))
        self._job = await asyncio.to_thread(self._store.job, self._id)
        room = f" with {engine.context_tokens:,} tokens of context" if engine.context_tokens else ""
        await self._note(f"{engine.model} answers{room}.")
        if self._spec.sampling.thinking_tokens is not None and not engine.limits_thinking:
            await self._note("This server can't limit how long the model thinks.")
        await self._write(partial(self._store.note, self._id, ""))

    async def _wait_after(self, error: M1DeskError) -> None:
        """Wait before the next try, twice as long each time; raises `error` after the last one."""
        policy = self._spec.retry
        self._failures[self._step] += 1
        failures = self._failures[self._step]
        if failures >= policy.attempts:
            raise error
        seconds = min(_LONGEST_WAIT_SECONDS, policy.wait_seconds * 2 ** (failures - 1))
        await self._note(f"{error} It is tried again in {seconds:.0f} s.")
        await self._write(
            partial(self._store.note, self._id, f"tries again in {seconds:.0f} s: {error.what}")
        )
        await asyncio.sleep(seconds)

    async def _steps(self, engine: JobEngine, documents: JobDocuments | None) -> None:
        steps = await asyncio.to_thread(self._store.steps, self._id)
        if self._spec.kind == "benchmark" and not steps:
            steps = measuring_steps(engine.context_tokens)
            await self._write(partial(self._store.plan_steps, self._id, steps))
        still = [one for one in steps if _is_open(one)]
        found = loads(self._spec, still, documents)
        course = Course(engine.forecast, found.values())
        for step, following in zip(still, [*still[1:], None], strict=True):
            report = StepReport(self._id, step.number, course, found[step.number])
            await self._try(step, partial(self._ask, engine, documents, step, report))
            is_last = following is None or following.document != step.document
            if is_last and documents is not None:
                await self._forget(engine)

    async def _ask(
        self, engine: JobEngine, documents: JobDocuments | None, step: JobStep, report: StepReport
    ) -> None:
        """Do one step with the engine and write down what came."""
        vigil = Vigil(engine, self._patience)

        def hear(event: StepEvent) -> None:
            vigil.hear()
            report.hear(event)
            self._tell.progress(report)

        done = await vigil.over(self._do(engine, documents, step, hear))
        for line in report.lines:
            await self._note(f"Step {step.number}: {line}")
        await self._write(
            partial(self._store.end_step, self._id, step.number, done.answer, done.spent)
        )
        self._failures.pop(_LOADING, None)  # what an engine did not come for before is over
        report.learn(done)

    async def _do(
        self,
        engine: JobEngine,
        documents: JobDocuments | None,
        step: JobStep,
        hear: Hear,
    ) -> StepDone:
        if step.kind == "measure":
            return await measure(engine, measured_depth(step), hear)
        question = next(one for one in self._spec.questions if one.name == step.question)
        set_id = documents.set_id if documents is not None else 0
        name_state = partial(self._state_of, engine, set_id)
        asked = Asked(step.document, question, self._spec.sampling, hear, name_state)
        if documents is None:
            return await chat(engine, asked)
        if self._spec.kind == "passes":
            done = await asyncio.to_thread(self._store.passes, self._id, step.number)
            return await ask_passes(
                engine, documents, asked, done, partial(self._keep_passes, step)
            )
        laid_out = await asyncio.to_thread(documents.laid_out, step.document)
        return await ask_documents(engine, laid_out, asked)

    async def _keep_passes(self, step: JobStep, passes: Sequence[PassAnswer]) -> None:
        await self._write(partial(self._store.save_passes, self._id, step.number, passes))

    def _state_of(self, engine: JobEngine, set_id: int, text: DocumentsText) -> str | None:
        """Name the state to be kept of a text, and note those that nobody wants after the job.

        That of all documents together, on this machine, stays for a person's own questions. Passes
        after those that fill the disk's share are not kept: each would push out one that the next
        question could use.
        """
        name = state_of(engine, set_id, text)
        if name is None or (self._spec.kind == "questions" and engine.settings is not None):
            return name
        others = self._to_forget - {name}
        if others and not self._states.has_room(others):
            return None
        self._to_forget.add(name)
        return name

    async def _forget(self, engine: JobEngine) -> None:
        """Delete the states of what nothing more is asked about."""
        while self._to_forget:
            name = self._to_forget.pop()
            try:
                await engine.client.delete_prepared(name)
            except M1DeskError as error:  # it goes when room is needed
                _log.info("job %d: the state %s is not deleted: %s", self._id, name, error)

    # -- writing down ------------------------------------------------------------------------------

    async def _try(self, step: JobStep, work: Work) -> None:
        """Do a step that the others don't depend on; raises what may get better, or hits all."""
        try:
            await self._attempt(step, work)
        except M1DeskError as error:
            if _is_passing(error) or _is_shut(error):
                raise
            await self._note(f"Step {step.number} failed. {error}")

    async def _attempt(self, step: JobStep, work: Work) -> None:
        """Begin a step, do it, and write down how it failed if it did; raises what it raised."""
        self._step = step.number
        self._began = time.monotonic()
        try:
            if await self._write(partial(self._store.begin_step, self._id, step.number)):
                self._tell.changed(self._id)
                await work()
        except asyncio.CancelledError:
            with contextlib.suppress(StorageError):  # it counts as open anyhow
                await asyncio.to_thread(self._leave, step, None)
            raise
        except M1DeskError as error:
            problem = None if self._may_get_better(error) else problem_of(error)
            await self._write(partial(self._leave, step, problem))
            raise
        finally:
            self._tell.changed(self._id)

    def _may_get_better(self, error: M1DeskError) -> bool:
        return _is_passing(error) and self._failures[self._step] + 1 < self._spec.retry.attempts

    def _leave(self, step: JobStep, problem: Problem | None) -> None:
        self._store.fail_step(self._id, step.number, problem, self._spent().seconds)

    def _spent(self) -> JobProgress:
        return JobProgress(seconds=time.monotonic() - self._began)

    async def _note(self, line: str) -> None:
        await self._write(partial(self._store.log, self._id, line))

    async def _note_end(self, problem: Problem) -> None:
        words = (problem.what, problem.why, problem.todo)
        await self._note(f"It stopped. {' '.join(word for word in words if word)}")

    async def _write(self, action: Callable[[], _Result]) -> _Result:
        """Write something down, however long the disk is full; what is to be written waits."""
        seconds = _DISK_WAIT_SECONDS
        while True:
            try:
                result = await _to_the_end(action)
            except StorageError as error:
                _log.warning("job %d can't be written down: %s", self._id, error)
                note = f"waits to write down what is done: {error.what}"
                self._tell.unwritten(self._id, note)
                await asyncio.sleep(seconds)
                seconds = min(_LONGEST_DISK_WAIT_SECONDS, seconds * 2)
            else:
                self._tell.written(self._id)
                return result


async def _to_the_end(action: Callable[[], _Result]) -> _Result:
    """Run on a thread, to its end when this is cancelled too: what comes after must come after."""
    running = asyncio.ensure_future(asyncio.to_thread(action))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # it has nobody left to be told to
        raise


def _is_open(step: JobStep) -> bool:
    return step.kind != "read" and step.state in {"waiting", "running"}


def _is_passing(error: M1DeskError) -> bool:
    """Tell whether it may get better by waiting and trying again."""
    if isinstance(error, EngineRefused):
        return error.status in _PASSING
    return isinstance(error, EngineFailed | EngineUnreachable | StorageError)


def _is_shut(error: M1DeskError) -> bool:
    return isinstance(error, EngineRefused) and error.status in _SHUT


def _verdict(steps: tuple[JobStep, ...]) -> Problem | None:
    """Say what is wrong with a job whose steps have all been tried."""
    failed = [one.problem for one in steps if one.state == "failed" and one.problem is not None]
    if not failed:
        return None
    first = failed[0]
    count = f"{len(failed)} of {len(steps)} steps failed" if len(steps) > 1 else "Its step failed"
    return Problem(f"{count}: {first.what}", first.why, first.todo or "Retry the job.")


def _unread(results: tuple[ReadResult, ...]) -> BadInput:
    problems = [one.report.problem for one in results if one.report.problem is not None]
    why = str(problems[0]) if problems else "They hold no text."
    files = f"none of its {len(results)} files" if len(results) != 1 else "its file not"
    return BadInput(
        f"The job can't begin: {files} could be read.",
        why,
        "Put the files back where they were, or make the job anew; then retry it.",
    )
