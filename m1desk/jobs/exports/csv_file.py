"""Results as CSV that spreadsheets open: a row a document (or a question), quotes beside."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from m1desk.jobs.exports.plain import fitting, is_formula, storable
from m1desk.jobs.exports.run import document_names, run_facts
from m1desk.jobs.results import result_table

if TYPE_CHECKING:
    from m1desk.jobs.results import ResultRow, ResultTable
    from m1desk.jobs.values import JobResults

_ELSEWHERE: Final = "exported as XLSX or JSON it is whole"
_BYTE_ORDER_MARK: Final = "\ufeff"  # without it Excel takes UTF-8 for the system's old encoding


def as_csv(results: JobResults) -> bytes:
    """Write the table as CSV in UTF-8.

    Cells that a spreadsheet might compute begin with an apostrophe; cells longer than Excel takes
    are cut and say so.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    table = result_table(results)
    run = _run(results, table)
    writer.writerow(map(_inert, _heads(table)))
    writer.writerows(map(_inert, (*_row(row, table), run)) for row in table.rows)
    return (_BYTE_ORDER_MARK + file.getvalue()).encode()


def _heads(table: ResultTable) -> Iterator[str]:
    yield table.head
    if not table.is_by_document:
        yield "Asked"
    for column in table.columns:
        yield from (column, f"{column}: pages", f"{column}: status", f"{column}: quotes")
    yield from ("Warnings", "Receipts", "Run")


def _row(row: ResultRow, table: ResultTable) -> Iterator[str]:
    yield row.title
    if not table.is_by_document:
        yield row.text
    for cell in row.cells:
        yield from (cell.short, cell.pages, cell.status_words, "\n".join(cell.quote_lines))
    named = [(f"{cell.question}: " if table.is_by_document else "", cell) for cell in row.cells]
    yield "\n".join(f"{name}{words}" for name, cell in named for words in cell.warnings)
    yield "\n".join(f"{name}{cell.receipt_words}" for name, cell in named if cell.answer)


def _run(results: JobResults, table: ResultTable) -> str:
    """All that made the table, as JSON in one cell; documents that are rows are not named again."""
    made: dict[str, object] = dict(run_facts(results))
    made["Questions"] = {one.name: one.text for one in results.job.spec.questions}
    if not table.is_by_document:
        made["Documents"] = document_names(results)
    return json.dumps(made, ensure_ascii=False)


def _inert(text: str) -> str:
    """Make a cell text, whatever it says."""
    cell = storable(text)
    return fitting(f"'{cell}" if is_formula(cell) else cell, _ELSEWHERE)
