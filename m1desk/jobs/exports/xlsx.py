"""Results as a workbook: the table, whole answers, quotes with their pages, and what made them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from m1desk.errors import BadInput
from m1desk.jobs.exports.plain import fitting, is_formula, parts_of, storable
from m1desk.jobs.exports.run import document_names, run_facts
from m1desk.jobs.results import STATUS_WORDS, result_table

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

    from m1desk.jobs.results import CellStatus, ResultCell, ResultTable
    from m1desk.jobs.values import JobResults

_MOST_ROWS: Final = 1_048_576
_MOST_COLUMNS: Final = 16_384
_NOTE_CHARACTERS: Final = 2_000
_IN_ANSWERS: Final = "all of it is in the sheet Answers"
_IN_QUOTES: Final = "all of it is in the sheet Quotes"
_WRAPPED: Final = Alignment(wrap_text=True, vertical="top")
_BOLD: Final = Font(bold=True)
_YELLOW, _RED, _GREY = (
    PatternFill("solid", fgColor=colour) for colour in ("FFF2CC", "F8CBAD", "E7E6E6")
)
_FILLS: Final[dict[CellStatus, PatternFill]] = {
    "approximate": _YELLOW,
    "not_found": _RED,
    "failed": _RED,
    "missing": _GREY,
}
"""Of cells that one should look at; a verified cell needs no colour."""

Value = str | int | float


def as_xlsx(results: JobResults) -> bytes:
    """Write the workbook.

    Every text is stored as text, so that none is computed. Texts longer than a cell takes go on in
    the rows below, on the sheet Answers.

    Raises:
        BadInput: there are more rows or columns than a sheet can have.
    """
    table = result_table(results)
    book = Workbook()
    book.remove(book.active)
    _results_sheet(book, table)
    answers = _Sheet(
        book, "Answers", (22, 22, 40, 8, 90, 18, 22, 60),
        ("Document", "Question", "Asked", "Part", "Answer", "Status", "Model", "Receipt"),
    )  # fmt: skip
    quotes = _Sheet(
        book, "Quotes", (22, 22, 80, 22, 8, 18, 10, 22, 10, 80),
        ("Document", "Question", "Quote", "File", "Page", "Status", "Likeness", "Named file",
         "Named page", "The page says"),
    )  # fmt: skip
    for cell in table.cells:
        answers.add_all(_answer_rows(cell))
        quotes.add_all(_quote_rows(cell))
    run = _Sheet(book, "Run", (22, 100), ("What", "Value"))
    run.add_all(run_facts(results))
    run.add_all((f"Question: {one.name}", one.text) for one in results.job.spec.questions)
    run.add_all(("Document", name) for name in document_names(results))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


class _Sheet:
    """A sheet that is written row by row, with a head that stays in sight."""

    def __init__(
        self, book: Workbook, title: str, widths: Iterable[int], heads: Sequence[str]
    ) -> None:
        if len(heads) > _MOST_COLUMNS:
            raise _too_large("columns", _MOST_COLUMNS)
        self._sheet: Worksheet = book.create_sheet(title)
        self._rows = 0
        for number, width in enumerate(widths, 1):
            self._sheet.column_dimensions[get_column_letter(number)].width = width
        self._sheet.freeze_panes = "B2"
        cells = [self.cell(head) for head in heads]
        for cell in cells:
            cell.font = _BOLD
        self.add_cells(cells)

    def cell(self, value: Value, elsewhere: str = _IN_ANSWERS) -> Cell:
        """Make a cell; text stays text, whatever it says."""
        if not isinstance(value, str):
            return Cell(self._sheet, value=value)
        text = fitting(storable(value), elsewhere)
        made = Cell(self._sheet, value=text)
        made.data_type = "s"  # openpyxl took "=1" for a formula and "#N/A" for an error
        made.quotePrefix = is_formula(text)  # so that it is none after being edited either
        made.alignment = _WRAPPED
        return made

    def add_cells(self, cells: Sequence[Cell]) -> None:
        """Add a row."""
        if self._rows == _MOST_ROWS:
            raise _too_large("rows", _MOST_ROWS)
        self._rows += 1
        self._sheet.append(cells)

    def add_all(self, rows: Iterable[Sequence[Value]]) -> None:
        """Add rows of values."""
        for row in rows:
            self.add_cells([self.cell(value) for value in row])

    def filter_on(self, columns: int) -> None:
        """Let a person filter by what stands in the columns."""
        self._sheet.auto_filter.ref = f"A1:{get_column_letter(columns)}{self._rows}"


def _results_sheet(book: Workbook, table: ResultTable) -> None:
    """Write a row a document and a column a question, or a row a question."""
    heads = [table.head, *table.columns]
    if not table.is_by_document:
        heads.append("Asked")
    sheet = _Sheet(book, "Results", [30] * len(heads), heads)
    for row in table.rows:
        cells = [sheet.cell(row.title), *(_result(sheet, cell) for cell in row.cells)]
        sheet.add_cells(cells if table.is_by_document else [*cells, sheet.cell(row.text)])
    sheet.filter_on(len(heads))


def _result(sheet: _Sheet, cell: ResultCell) -> Cell:
    """Make a cell that shows the answer, its quotes as a comment, and in colour what to look at."""
    made = sheet.cell(cell.short or STATUS_WORDS[cell.status].upper())
    fill = _RED if cell.warnings else _FILLS.get(cell.status)
    if fill is not None:
        made.fill = fill
    note = _note(cell)
    if note:
        made.comment = Comment(note, "M1 Desk", height=160, width=360)
    return made


def _note(cell: ResultCell) -> str:
    lines = list(cell.warnings)
    if cell.problem is not None and cell.answer is None:
        lines += filter(None, (cell.problem.what, cell.problem.why, cell.problem.todo))
    lines += cell.quote_lines
    return fitting(storable("\n".join(lines)), _IN_QUOTES, _NOTE_CHARACTERS)


def _answer_rows(cell: ResultCell) -> Iterable[Sequence[Value]]:
    """A row for each part of an answer; nearly all have one part."""
    model = receipt = ""
    if cell.answer is not None:
        model = cell.answer.model
        receipt = "\n".join(dict.fromkeys((*cell.warnings, cell.receipt_words)))
    for number, part in enumerate(parts_of(storable(cell.text)), 1):
        yield (
            cell.document, cell.question, cell.question_text, number, part, cell.status_words,
            model, receipt,
        )  # fmt: skip


def _quote_rows(cell: ResultCell) -> Iterable[Sequence[Value]]:
    for one in cell.citations:
        page = one.page if one.file else ""
        named = one.cited_page if one.cited_file else ""
        yield (
            cell.document, cell.question, one.quote, one.file, page, STATUS_WORDS[one.status],
            round(one.score, 3), one.cited_file, named, one.passage,
        )  # fmt: skip


def _too_large(what: str, most: int) -> BadInput:
    return BadInput(
        "The results are too large for a workbook.",
        f"A sheet has at most {most:,} {what}.",
        "Export them as CSV or JSON.",
    )
