"""What made the results: the model, its settings, the questions and the documents, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

import m1desk
from m1desk.documents import time_words
from m1desk.jobs.energy import actual_energy
from m1desk.jobs.results import model_of

if TYPE_CHECKING:
    from m1desk.engines import LlamaSettings
    from m1desk.engines.turn import SamplingParameters
    from m1desk.jobs.values import Job, JobResults

_KINDS: Final = {
    "questions": "questions about all documents together",
    "table": "the same questions about each document",
    "passes": "questions about documents in several passes",
    "prompt": "prompts without documents",
    "benchmark": "a benchmark",
}


def run_facts(results: JobResults) -> tuple[tuple[str, str], ...]:
    """Name all that is needed to repeat a job, but its questions and documents."""
    return tuple(_facts(results))


def document_names(results: JobResults) -> tuple[str, ...]:
    """Name the documents that were asked; before any was, the files that were given."""
    read = (name for one in results.answers for name in one.details.documents)
    names = dict.fromkeys((*results.documents, *read))
    return tuple(names) or tuple(path.name for path in results.job.spec.corpus.files)


def _facts(results: JobResults) -> Iterator[tuple[str, str]]:
    job = results.job
    spec, summary = job.spec, job.summary
    yield "Job", f"{summary.title} (number {summary.id})"
    yield "Kind", f"{spec.kind}: {_KINDS[spec.kind]}"
    if spec.template:
        yield "Template", spec.template
    yield "State", summary.state
    if summary.problem is not None:
        problem = summary.problem
        yield "Problem", " ".join(filter(None, (problem.what, problem.why, problem.todo)))
    for label, moment in (
        ("Added", summary.created), ("Started", summary.started), ("Ended", summary.ended)
    ):  # fmt: skip
        if moment is not None:
            yield label, time_words(moment)
    yield from _engine(job)
    yield "Sampling", _sampling(spec.sampling)
    done = summary.progress
    yield "Read", f"{done.read_tokens:,} tokens, and {done.reused_tokens:,} reused"
    yield "Written", f"{done.written_tokens:,} tokens"
    yield "Time", f"{done.seconds:,.1f} s"
    energy = actual_energy(job)
    if energy is not None:
        words = f"{energy.watt_hours:,.2f} Wh, {energy.usd:,.4f} USD"
        yield "Energy", f"{words}. {energy.why}"
    yield "Receipts", _receipts(results)
    yield "Made with", f"M1 Desk {m1desk.__version__}"


def _engine(job: Job) -> Iterator[tuple[str, str]]:
    yield "Model", model_of(job) or "not known"
    if job.spec.engine.server:
        yield "Server", job.spec.engine.server
    settings = job.settings or job.spec.engine.settings
    if settings is not None:
        yield "Model file", settings.model_path.name
        yield "Settings", _settings(settings)


def _settings(settings: LlamaSettings) -> str:
    """All settings but the file and the port, which say nothing about the answers."""
    return ", ".join(
        f"{field.name} {_value(getattr(settings, field.name))}"
        for field in fields(settings)
        if field.name not in {"model_path", "port"}
    )


def _sampling(sampling: SamplingParameters) -> str:
    """What was chosen; what was not is the model's or the engine's own default."""
    chosen = [(field.name, getattr(sampling, field.name)) for field in fields(sampling)]
    words = [f"{name} {_value(value)}" for name, value in chosen if value not in (None, ())]
    return ", ".join(words) or "the model's own defaults"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(repr, value)) or "none"
    if isinstance(value, Path):
        return value.name
    return "automatic" if value is None else str(value)


def _receipts(results: JobResults) -> str:
    receipts = [one.details.receipt for one in results.answers]
    agreeing = sum(one is not None and one.agrees for one in receipts)
    differing = sum(one is not None and not one.agrees for one in receipts)
    if differing:
        return (
            f"WARNING: for {differing:,} of {len(receipts):,} answers the engine had something "
            "else before it than was sent; do not rely on these"
        )
    return f"{agreeing:,} of {len(receipts):,} answers rest on just what was sent"
