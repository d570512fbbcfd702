"""Results of jobs as tests need them: a portfolio with every status, and hostile texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from m1desk.documents import AnswerDetails, Citation, ReadReceipt, UnquotedClaim
from m1desk.engines import LlamaSettings
from m1desk.engines.turn import SamplingParameters
from m1desk.jobs.values import (
    Job,
    JobAnswer,
    JobEstimate,
    JobKind,
    JobProgress,
    JobQuestion,
    JobResults,
    JobSpec,
    JobSummary,
    Problem,
)

PASSAGE = "The page has other words."
NOTICE = JobQuestion("Notice period", "What is the notice period?")
CAP = JobQuestion("Liability cap", "What is the liability cap?")
SETTINGS = LlamaSettings(Path("/models/demo-model.gguf"), context_tokens=4096, kv_type="q8_0")
RECEIPT = ReadReceipt(expected_tokens=1200, read_tokens=200, reused_tokens=1000)


def answered(
    document: str,
    question: JobQuestion,
    said: str,
    quotes: tuple[Citation, ...] = (),
    *,
    model: str = "demo-model",
    receipt: ReadReceipt | None = RECEIPT,
    finish_reason: str = "stop",
) -> JobAnswer:
    """An answer that says `said` and then its quotes, each where its citation says it is."""
    text, placed = said, []
    for one in quotes:
        quoted = f'"{one.quote}" [{one.file} p.{one.page}]'
        start = len(text) + 1
        text = f"{text} {quoted}"
        placed.append(replace(one, start=start, end=len(text)))
    unquoted = () if quotes else (UnquotedClaim(0, len(said)),)
    details = AnswerDetails(
        citations=tuple(placed),
        unquoted=unquoted,
        receipt=receipt,
        documents=(document,) if document else ("a.pdf", "b.pdf"),
        seconds=2.5,
        written_tokens=31,
        finish_reason=finish_reason,
    )
    name, wording = question.name, question.text
    return JobAnswer(document, name, wording, text, "I look.", model, details, "ab12", asked=1e9)


def quote(text: str, file: str, page: int, score: float = 1.0) -> Citation:
    """A quote that was found, verified when its score is 1; none was found for a score of 0."""
    status = "verified" if score == 1.0 else "approximate" if score else "not_found"
    passage = PASSAGE if status == "approximate" else ""
    return Citation(text, 0, 0, status, score, file, page, file, page, passage=passage)  # type: ignore[arg-type]


def results_of(
    answers: tuple[JobAnswer, ...],
    questions: tuple[JobQuestion, ...] = (NOTICE, CAP),
    *,
    kind: JobKind = "table",
    documents: tuple[str, ...] = (),
    problems: tuple[tuple[str, str, Problem], ...] = (),
    title: str = "Contracts of 2027",
    model: str = "demo-model",
    job_id: int = 7,
) -> JobResults:
    """Results of a job that has ended."""
    sampling = SamplingParameters(temperature=0.0, seed=11)
    spec = JobSpec(title, kind, questions, sampling=sampling, template="contract-portfolio")
    progress = JobProgress(3, 3, 1200, 1000, 90, 12.5)
    summary = JobSummary(
        job_id, title, kind, "done", 0, 1, 1e9, 1e9 + 10, 1e9 + 60, progress, "", None
    )
    job = Job(summary, spec, JobEstimate(), None, model, SETTINGS)
    return JobResults(job, answers, documents, problems)


def portfolio() -> JobResults:
    """Three contracts and two questions: every status that a cell can have."""
    found = quote("with 45 days' notice", "a.pdf", 2)
    alike = quote("limit of EUR 5,000", "a.pdf", 3, 0.91)
    invented = quote("nine weeks it is", "", 0, 0.0)
    return results_of(
        (
            answered("a.pdf", NOTICE, "It is 45 days.", (found,)),
            answered("a.pdf", CAP, "It is EUR 5,000.", (alike,)),
            answered("b.pdf", NOTICE, "It is 9 weeks.", (invented,)),
            answered("b.pdf", CAP, "That is not in the documents."),
            answered("c.pdf", NOTICE, "It is a year.", finish_reason="length",
                     receipt=replace(RECEIPT, read_tokens=100)),
        ),
        documents=("a.pdf", "b.pdf", "c.pdf", "d.pdf"),
        problems=(
            ("c.pdf", "Liability cap", Problem("The engine was lost.", "It ended.", "Try again.")),
        ),
    )  # fmt: skip
