"""Results as JSON: complete, in a form that stays (docs/templates.md names its keys)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import m1desk
from m1desk.documents import as_json as answer_json
from m1desk.documents import time_words
from m1desk.jobs.energy import actual_energy
from m1desk.jobs.exports.run import document_names
from m1desk.jobs.results import model_of, record_of, result_table

if TYPE_CHECKING:
    from m1desk.jobs.results import ResultCell
    from m1desk.jobs.values import Job, JobAnswer, JobResults

FORMAT: Final = "m1desk-results"
FORMAT_VERSION: Final = 1


def as_json(results: JobResults) -> bytes:
    """Write all there is as JSON."""
    job = results.job
    table = result_table(results)
    document = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "made_with": f"M1 Desk {m1desk.__version__}",
        "job": _job(job),
        "spec": asdict(job.spec),
        "documents": list(document_names(results)),
        "answers": [_answer(cell, cell.answer) for cell in table.cells if cell.answer is not None],
        "problems": [
            {"document": document, "name": name, **asdict(problem)}
            for document, name, problem in results.problems
        ],
    }
    text = json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n"
    # Half a character (a lone surrogate) can stand in JSON as an escape only, which is just what
    # Python's backslash is for it.
    return text.encode("utf-8", "backslashreplace")


def _job(job: Job) -> dict[str, object]:
    summary, energy = job.summary, actual_energy(job)
    return {
        "id": summary.id,
        "title": summary.title,
        "state": summary.state,
        "problem": None if summary.problem is None else asdict(summary.problem),
        "created": _time(summary.created),
        "started": _time(summary.started),
        "ended": _time(summary.ended),
        "model": model_of(job),
        "settings": None if job.settings is None else asdict(job.settings),
        "progress": asdict(summary.progress),
        "estimate": asdict(job.estimate),
        "energy": None if energy is None else asdict(energy),
    }


def _answer(cell: ResultCell, answer: JobAnswer) -> dict[str, object]:
    details = answer.details
    return {
        "document": cell.document,
        "name": cell.question,
        "short": cell.short,
        "status": cell.status,
        "places": [{"file": file, "page": page} for file, page in cell.places],
        **answer_json(record_of(answer)),
        "reasoning": answer.reasoning,
        "written_tokens": details.written_tokens,
        "first_token_seconds": details.first_token_seconds,
        "text_sha256": answer.text_sha256,
    }


def _time(moment: float | None) -> str | None:
    return None if moment is None else time_words(moment)
