"""Results as a report in Markdown, which Markdown, HTML and Word files are made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from m1desk.documents import (
    AnswerParts,
    answer_html,
    answer_parts,
    escape_markdown,
    html_of,
    html_page,
    markdown_of,
)
from m1desk.jobs.exports.plain import storable
from m1desk.jobs.exports.run import document_names, run_facts
from m1desk.jobs.results import STATUS_WORDS, record_of, result_table

if TYPE_CHECKING:
    from m1desk.jobs.results import ResultCell, ResultRow, ResultTable
    from m1desk.jobs.values import JobResults

ReportPart = str | AnswerParts
"""Markdown that is ours, or an answer, which must be rendered by itself."""


def report_parts(results: JobResults) -> Iterator[ReportPart]:
    """Write the report: the table, each answer with its quotes, and how they came about."""
    table = result_table(results)
    yield _lines(f"# {escape_markdown(results.job.summary.title)}", _tally(table))
    if table.is_by_document:
        yield _table(table)
    for row in table.rows:
        yield from _section(row, is_by_document=table.is_by_document)
    yield _run(results)


def as_markdown(results: JobResults) -> bytes:
    """Write the report as Markdown."""
    parts = (one if isinstance(one, str) else markdown_of(one) for one in report_parts(results))
    return storable("\n".join(parts)).encode()


def as_html(results: JobResults) -> bytes:
    """Write the report as a page of HTML that loads nothing from anywhere."""
    parts = (
        html_of(one) if isinstance(one, str) else answer_html(one) for one in report_parts(results)
    )
    return storable(html_page(results.job.summary.title, "\n".join(parts))).encode()


def _tally(table: ResultTable) -> str:
    counts = Counter(cell.status for cell in table.cells)
    words = [
        f"{counts[status]:,} {STATUS_WORDS[status]}" for status in STATUS_WORDS if counts[status]
    ]
    return f"Of {len(table.cells):,} answers: {', '.join(words)}." if words else "No answers."


def _table(table: ResultTable) -> str:
    heads = [escape_markdown(one) for one in (table.head, *table.columns)]
    rows = [[escape_markdown(row.title), *map(_cell, row.cells)] for row in table.rows]
    lines = (f"| {' | '.join(one)} |" for one in (heads, ["---"] * len(heads), *rows))
    return _lines("## Results", "\n".join(lines))


def _cell(cell: ResultCell) -> str:
    """A cell in a line: what was answered, where that stands, and what is wrong with it."""
    words = [escape_markdown(cell.short)]
    if cell.pages:
        words.append(f"({escape_markdown(cell.pages)})")
    if cell.status != "verified":
        words.append(f"**{STATUS_WORDS[cell.status]}**")
    if cell.warnings:
        words.append("**WARNING: see below**")
    return " ".join(filter(None, words))


def _section(row: ResultRow, *, is_by_document: bool) -> Iterator[ReportPart]:
    if is_by_document:
        yield _lines(f"## {escape_markdown(row.title)}")
    for cell in row.cells:
        title = " – ".join(filter(None, (cell.question, "" if is_by_document else cell.document)))
        level = 3 if is_by_document else 2
        if cell.answer is None:
            yield _unanswered(cell, f"{'#' * level} {escape_markdown(title)}")
        else:
            record = replace(record_of(cell.answer), title=title, documents=())
            yield answer_parts(record, level)


def _unanswered(cell: ResultCell, heading: str) -> str:
    words = [f"**{STATUS_WORDS[cell.status]}**"]
    if cell.problem is not None:
        words += map(escape_markdown, (cell.problem.what, cell.problem.why, cell.problem.todo))
    return _lines(
        heading, f"*{escape_markdown(cell.question_text)}*", " ".join(filter(None, words))
    )


def _run(results: JobResults) -> str:
    facts = [f"{label}: {escape_markdown(words)}" for label, words in run_facts(results)]
    questions = [
        f"{escape_markdown(one.name)}: {escape_markdown(one.text)}"
        for one in results.job.spec.questions
    ]
    documents = [escape_markdown(one) for one in document_names(results)]
    return _lines(
        "## How this was made",
        _list(facts),
        "### Questions",
        _list(questions),
        "### Documents",
        _list(documents),
    )


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "None."


def _lines(*blocks: str) -> str:
    return "\n\n".join(blocks) + "\n"
