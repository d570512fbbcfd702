"""Jobs as values: what is to be done, how far it is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from m1desk.documents import AnswerDetails, CheckedAnswer
from m1desk.engines import LlamaSettings
from m1desk.engines.turn import SamplingParameters
from m1desk.hardware import Energy

JobKind = Literal["questions", "table", "passes", "prompt", "benchmark"]
"""What a job does.

- questions: asks each question of all documents together; they are read once.
- table: asks each question of each document alone: a row a document, a column a question.
- passes: asks each question of documents that are larger than the context, part by part, and
    combines the answers.
- prompt: sends each question as a chat without documents.
- benchmark: measures how fast the engine reads and writes.
"""

JobState = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
"""A paused job waits for the person; a failed one has a problem, and can be tried again."""

StepKind = Literal["read", "ask", "combine", "chat", "measure"]
"""What a step does: read files to pages, ask documents, combine answers, chat, or measure."""

StepState = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class JobQuestion:
    """A question, and the short name that it has as the head of a column."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """The documents of a job: a set that there is already, or files still to be read into one.

    Attributes:
        set_id: of the set in `DocumentSets`; None when `files` are to be read.
        files: files and folders, read when the job's turn comes.
    """

    set_id: int | None = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What answers.

    Attributes:
        settings: the model and how it is loaded; None for whatever model is loaded when the job's
            turn comes. A context of 0 tokens is chosen to fit.
        unload_after: whether the model is unloaded when the job has ended and it was the job that
            loaded it.
        server: name of a server's profile; "" for an engine of this machine.
    """

    settings: LlamaSettings | None = None
    unload_after: bool = True
    server: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job may run; all of it must hold.

    Attributes:
        not_before: seconds since the epoch; None for now.
        when_idle: only while nobody chats and the machine has little else to do.
        on_mains: only while the machine is not on its battery.
    """

    not_before: float | None = None
    when_idle: bool = False
    on_mains: bool = False


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a step is tried, and how long (seconds) to wait before the second try.

    The wait doubles with every further try. What can't get better by waiting, such as a file that
    is gone, is not tried again.
    """

    attempts: int = 3
    wait_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What is to be done; with the same engine and documents it can be repeated.

    Attributes:
        template: name of the template that it was made from, "" for none.
    """

    title: str
    kind: JobKind
    questions: tuple[JobQuestion, ...] = ()
    corpus: Corpus = field(default_factory=Corpus)
    engine: EngineChoice = field(default_factory=EngineChoice)
    schedule: Schedule = field(default_factory=Schedule)
    priority: int = 0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    template: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a job stopped: what, why, and what to do."""

    what: str
    why: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class JobEstimate:
    """What a job will probably take, as it was said before it was added; None where unknown.

    Attributes:
        read_tokens, written_tokens: over all steps.
        seconds: as (low, high).
        watt_hours, usd: electricity, as (low, high).
        why: what the figures rest on, or why there are none.
    """

    read_tokens: int | None = None
    written_tokens: int | None = None
    seconds: tuple[float, float] | None = None
    watt_hours: tuple[float, float] | None = None
    usd: tuple[float, float] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes:
        steps_done, steps_total: of its steps; the total is known once the documents are read.
        read_tokens, written_tokens: by the engine, in steps that are done.
        seconds: of work, over all runs of the job.
    """

    steps_done: int = 0
    steps_total: int = 0
    read_tokens: int = 0
    reused_tokens: int = 0
    written_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job in the list.

    Attributes:
        created, started, ended: seconds since the epoch; None for what was not yet.
        position: its place among waiting jobs of its priority; smaller is sooner.
        note: what it waits for, in words ("waits for mains power"), "" for nothing.
    """

    id: int
    title: str
    kind: JobKind
    state: JobState
    priority: int
    position: int
    created: float
    started: float | None
    ended: float | None
    progress: JobProgress
    note: str
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Job:
    """A job with all that is known of it but its steps.

    Attributes:
        set_id: of the documents that it works on; None before they are read, or without any.
        model: name of the model that answers, "" before its first step.
        settings: what that model was loaded with; None for a server.
        energy: measured while it ran; None where the machine does not tell.
    """

    summary: JobSummary
    spec: JobSpec
    estimate: JobEstimate
    set_id: int | None
    model: str
    settings: LlamaSettings | None
    energy: Energy | None = None


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """What a step brought: an answer to one question.

    Attributes:
        document: name of the one document that was asked; "" when it was all of them, or none.
        question: the question's short name.
        details: citations, receipt, figures (`m1desk.documents`).
        text_sha256: fingerprint of the documents' text that the citations' positions hold for.
        asked: when its step was begun, seconds since the epoch; None where that is not known.
    """

    document: str
    question: str
    question_text: str
    answer: str
    reasoning: str
    model: str
    details: AnswerDetails
    text_sha256: str = ""
    asked: float | None = None

    @property
    def checked(self) -> CheckedAnswer:
        """The answer with its citations."""
        return CheckedAnswer(self.answer, self.details.citations, self.details.unquoted)

    @property
    def short(self) -> str:
        """The answer without its quotes and page marks, for a cell of a table."""
        text, end = "", 0
        for one in sorted(self.details.citations, key=lambda citation: citation.start):
            text += self.answer[end : one.start]
            end = max(end, one.end)
        return " ".join((text + self.answer[end:]).split()).strip()


@dataclass(frozen=True, slots=True)
class JobStep:
    """A step, written down before it is begun and after it has ended.

    Attributes:
        number: from 1, in the order in which they are done.
        document, question: what it asks; "" where it does not apply.
        attempts: how often it was begun.
        started, ended: of its last try, seconds since the epoch.
        problem: of its last try.
        answer: what it brought; None before its end, and for steps that bring none.
    """

    number: int
    kind: StepKind
    document: str
    question: str
    state: StepState
    attempts: int = 0
    started: float | None = None
    ended: float | None = None
    problem: Problem | None = None
    answer: JobAnswer | None = None


@dataclass(frozen=True, slots=True)
class JobResults:
    """All that a job brought, with what is needed to repeat it."""

    job: Job
    answers: tuple[JobAnswer, ...]
    documents: tuple[str, ...] = ()
    problems: tuple[tuple[str, str, Problem], ...] = ()
    """Steps that failed: document, question, why."""

    def answer(self, document: str, question: str) -> JobAnswer | None:
        """The cell of a table."""
        for one in self.answers:
            if (one.document, one.question) == (document, question):
                return one
        return None


@dataclass(frozen=True, slots=True)
class JobTemplate:
    """Questions for a purpose that people name, as a file in resources/ or the user's folder.

    Attributes:
        name: of the file, without ending; unique among templates of one place.
        is_own: whether it lies in the user's folder and can be changed.
    """

    name: str
    title: str
    description: str
    kind: JobKind
    questions: tuple[JobQuestion, ...]
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A notice: a job was added, moved, or is further on."""

    summary: JobSummary


@dataclass(frozen=True, slots=True)
class JobRemoved:
    """A notice: a job is gone."""

    job_id: int


@dataclass(frozen=True, slots=True)
class JobStepProgress:
    """A notice: how far the running step is; sent a few times a second at most.

    Attributes:
        done, total: tokens of the prompt read and to be read; 0, 0 when not known.
        tokens_per_second: of reading, or of writing once it writes; None before it is known.
        eta_seconds: of the whole job, None before it is known.
        written: what has come of the answer, to be shown while it grows.
    """

    job_id: int
    step: int
    words: str
    done: int = 0
    total: int = 0
    tokens_per_second: float | None = None
    eta_seconds: float | None = None
    written: str = ""


@dataclass(frozen=True, slots=True)
class JobsChanged:
    """A notice: many jobs changed, or another process changed some: read the list anew."""


JobNotice = JobChanged | JobRemoved | JobStepProgress | JobsChanged


@dataclass(frozen=True, slots=True)
class JobLogLine:
    """A line of a job's log.

    Attributes:
        at: seconds since the epoch.
    """

    at: float
    text: str
