"""Jobs in all states in a real database, with documents, answers and checked quotes."""

from __future__ import annotations

import time
from pathlib import Path

from m1desk.documents import (
    AnswerDetails,
    CitationChecker,
    Document,
    DocumentSets,
    ExtractionReport,
    Page,
    ReadReceipt,
    ReadResult,
    lay_out,
)
from m1desk.jobs.store import JobStore
from m1desk.jobs.values import (
    Corpus,
    JobAnswer,
    JobEstimate,
    JobKind,
    JobProgress,
    JobQuestion,
    JobSpec,
    JobStep,
    Problem,
    Schedule,
)

QUESTIONS = (
    JobQuestion("Parties", "Who are the parties to this contract?"),
    JobQuestion("Notice period", "What is the notice period for termination?"),
    JobQuestion("Liability cap", "What is the cap on liability, and what is excluded from it?"),
)
ESTIMATE = JobEstimate(
    read_tokens=48_000,
    written_tokens=2_400,
    seconds=(240.0, 420.0),
    watt_hours=(6.0, 11.0),
    usd=(0.002, 0.004),
    why="Reading at 1,900 to 2,600 tokens a second, as measured here yesterday.",
)


SPENT = JobProgress(read_tokens=392, reused_tokens=20, written_tokens=31, seconds=4.2)


def document(name: str, *pages: str) -> Document:
    """A text document; a page a text."""
    made = tuple(Page(number, "page", text) for number, text in enumerate(pages, 1))
    return Document(name, Path("/contracts") / name, "text", made, "0" * 64, 10, 0.0)


def contract(number: int) -> Document:
    return document(
        f"contract-{number:02}.txt",
        f"This agreement is made between Northwind Trading {number} Ltd and Blue Harbour GmbH.",
        f"Either party may terminate with {30 + number} days' notice in writing.",
        f"Liability is limited to {number * 10_000} euros in any year.",
    )


def make_set(sets: DocumentSets, name: str, documents: list[Document]) -> int:
    set_id = sets.create(name)
    sets.add(
        set_id,
        [
            ReadResult(
                one,
                ExtractionReport(
                    one.path, one.name, one.kind, "read", len(one.pages), len(one.pages)
                ),
            )
            for one in documents
        ],
    )
    return set_id


def spec(title: str, kind: JobKind = "table", **more: object) -> JobSpec:
    return JobSpec(title=title, kind=kind, questions=QUESTIONS, **more)  # type: ignore[arg-type]


def answer(asked: Document, question: JobQuestion, text: str) -> JobAnswer:
    """An answer about one document, checked against it."""
    laid_out = lay_out([asked])
    checked = CitationChecker(laid_out).check(text)
    details = AnswerDetails(
        checked.citations,
        checked.unquoted,
        ReadReceipt(412, 20, 392),
        (asked.name,),
        first_token_seconds=1.4,
        seconds=4.2,
        written_tokens=31,
        decode_tokens_per_second=22.5,
    )
    return JobAnswer(
        asked.name,
        question.name,
        question.text,
        text,
        "",
        "m1desk-demo",
        details,
        text_sha256=laid_out.sha256,
    )


def texts_of(asked: Document, number: int) -> tuple[str, ...]:
    """Answers to QUESTIONS: quoted, quoted wrongly on one document, and without a quote."""
    name = asked.name
    quote = asked.pages[1].text if number % 4 else "Either party may terminate at any time."
    parties = f'Northwind Trading {number} Ltd, Blue Harbour GmbH. "{asked.pages[0].text}"'
    return (
        f"{parties} [{name} p.1]",
        f'{30 + number} days. "{quote}" [{name} p.2]',
        f"It is limited to {number * 10_000} euros in any year; nothing is said to be excluded.",
    )


def fill_table_job(store: JobStore, job_id: int, documents: list[Document], done: int) -> None:
    """Plan a step for each cell and do the first ones; the job must be running."""
    cells = [(one, question) for one in documents for question in QUESTIONS]
    steps = [
        JobStep(number, "ask", one.name, question.name, "waiting")
        for number, (one, question) in enumerate(cells, 1)
    ]
    store.plan_steps(job_id, steps)
    store.log(job_id, f"{len(documents)} documents, {len(steps)} steps")
    for number, (one, question) in enumerate(cells[:done], 1):
        store.begin_step(job_id, number)
        place = QUESTIONS.index(question)
        text = texts_of(one, documents.index(one) + 1)[place]
        store.end_step(job_id, number, answer(one, question, text), SPENT)
        store.log(job_id, f"Step {number} done: {question.name}, {one.name}")


def fill_queue(store: JobStore, sets: DocumentSets) -> dict[str, int]:
    """Put a job of each state into the queue; ids by state."""
    documents = [contract(number) for number in range(1, 9)]
    set_id = make_set(sets, "Supply contracts", documents)
    corpus = Corpus(set_id=set_id)
    ids: dict[str, int] = {}

    def add(name: str, made: JobSpec) -> int:
        ids[name] = store.add(made, ESTIMATE)
        return ids[name]

    done = add("done", spec("Contract portfolio, second quarter", corpus=corpus))
    store.start(done)
    store.set_documents(done, set_id)
    store.set_engine(done, "m1desk-demo", None)
    fill_table_job(store, done, documents, len(documents) * len(QUESTIONS))
    store.end(done)
    failed = add("failed", spec("Tender 2026/114: compliance of all bidders", corpus=corpus))
    store.start(failed)
    store.set_documents(failed, set_id)
    fill_table_job(store, failed, documents, 4)
    store.begin_step(failed, 5)
    problem = Problem(
        "The model MiniMax-M1-80k-Q4_K_M is not there any more.",
        "The file /models/MiniMax-M1-80k-Q4_K_M.gguf was deleted.",
        "Choose another model, or put the file back and try again.",
    )
    store.fail_step(failed, 5, problem)
    store.end(failed, problem)
    cancelled = add("cancelled", spec("Support tickets of May to knowledge-base articles"))
    store.cancel(cancelled)
    running = add("running", spec("Discovery in Hollister v. Greenfield", corpus=corpus))
    store.start(running)
    store.set_documents(running, set_id)
    fill_table_job(store, running, documents, 11)
    store.begin_step(running, 12)
    add("waiting", spec("Literature review: attention that is linear in the length of the text"))
    add(
        "waiting_night",
        spec(
            "Code base review of the whole monorepository, with its third-party libraries",
            "passes",
            schedule=Schedule(not_before=time.time() + 30_000, when_idle=True),
        ),
    )
    mains = add("waiting_mains", spec("Benchmark", "benchmark", schedule=Schedule(on_mains=True)))
    store.note(mains, "waits for mains power")
    paused = add("paused", spec("Chronology of the merger files", "questions"))
    store.pause(paused)
    return ids


def fill_many(store: JobStore, count: int) -> None:
    """Put many waiting jobs into the queue."""
    for number in range(count):
        store.add(spec(f"Job number {number:05}"), ESTIMATE)
