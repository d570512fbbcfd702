"""Results to be read: as a table, as a document, and two of them side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final, Literal

from m1desk.documents import AnswerRecord, Citation, receipt_words
from m1desk.jobs.values import Job, JobAnswer, JobResults, Problem

CellStatus = Literal["verified", "approximate", "not_found", "no_quote", "failed", "missing"]
"""What bears a cell out.

- verified, approximate, not_found: its quotes; the worst of them counts.
- no_quote: there is an answer, and it quotes nothing.
- failed: the question was asked in vain; the cell's problem says why.
- missing: the question was not asked yet.
"""

Outcome = Literal["equal", "different", "left_missing", "right_missing", "both_missing"]
"""How two answers compare: equal when they say the same but for letter case, blanks and the
punctuation around them."""

STATUS_WORDS: Final[dict[CellStatus, str]] = {
    "verified": "verified",
    "approximate": "approximate",
    "not_found": "QUOTE NOT FOUND",
    "no_quote": "no quote",
    "failed": "FAILED",
    "missing": "no answer yet",
}
_AROUND: Final = " .,;:!?\"'“”„«»‘’()[]*_"


@dataclass(frozen=True, slots=True)
class ResultCell:
    """One question of one document, or of all of them.

    Attributes:
        document: its name, "" when all documents were asked together, or none.
        question: short name of the question.
        question_text: as it was asked, or would have been.
        answer: None when there is none.
        problem: why there is none, None when it was not asked yet.
    """

    document: str
    question: str
    question_text: str
    answer: JobAnswer | None = None
    problem: Problem | None = None

    @property
    def short(self) -> str:
        """The answer in one line without its quotes; "" when there is none."""
        if self.answer is None:
            return ""
        return self.answer.short or " ".join(self.answer.answer.split())

    @property
    def text(self) -> str:
        """The whole answer; "" when there is none."""
        return "" if self.answer is None else self.answer.answer

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The quotes, in the order of the answer."""
        return () if self.answer is None else self.answer.details.citations

    @property
    def quote_lines(self) -> tuple[str, ...]:
        """Each quote in a line, with its place: `"45 days' notice" [a.pdf p.2, verified]`."""
        return tuple(map(_quote_line, self.citations))

    @property
    def status(self) -> CellStatus:
        """What bears the answer out."""
        if self.answer is None:
            return "missing" if self.problem is None else "failed"
        statuses = {one.status for one in self.citations}
        order: tuple[CellStatus, ...] = ("not_found", "approximate", "verified")
        return next((one for one in order if one in statuses), "no_quote")

    @property
    def status_words(self) -> str:
        """The status, and what went wrong where something did."""
        words = STATUS_WORDS[self.status]
        return f"{words}: {self.problem.what}" if self.problem is not None else words

    @property
    def receipt_words(self) -> str:
        """What the engine took in for the answer, in a sentence; "" when there is no answer."""
        if self.answer is None:
            return ""
        receipt = self.answer.details.receipt
        return "no receipt" if receipt is None else receipt_words(receipt)

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """File and page of each quote that was found, each once."""
        found = [one for one in self.citations if one.status != "not_found"]
        return tuple(dict.fromkeys((one.file, one.page) for one in found))

    @property
    def pages(self) -> str:
        """The places in words: "p.2, p.3", with their files where those are not the cell's."""
        return ", ".join(
            f"p.{page}" if file == self.document else f"{file} p.{page}"
            for file, page in self.places
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said loudly of the answer: that it was cut, or read something else."""
        if self.answer is None:
            return ()
        receipt = self.answer.details.receipt
        cut = record_of(self.answer).warning
        differs = receipt_words(receipt) if receipt is not None and not receipt.agrees else ""
        return tuple(words for words in (cut, differs) if words)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A row; read from its first cell to its last it is a section of a document.

    Attributes:
        title: of the row: a document's name, or a question's.
        text: the question as it was asked, where the row is a question; else "".
    """

    title: str
    text: str
    cells: tuple[ResultCell, ...]


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Results as a table.

    A job of kind "table" gives a row for each document and a column for each question; all others
    give a row for each question. Read from the first row to the last it is a document.

    Attributes:
        head: what the titles of the rows are: "Document" or "Question".
        columns: heads of the columns.
        is_by_document: whether its rows are documents.
    """

    head: str
    columns: tuple[str, ...]
    rows: tuple[ResultRow, ...]

    @property
    def is_by_document(self) -> bool:
        """Whether the rows are documents and the columns questions."""
        return self.head == "Document"

    @property
    def cells(self) -> tuple[ResultCell, ...]:
        """All cells, row by row."""
        return tuple(cell for row in self.rows for cell in row.cells)

    def count(self, status: CellStatus) -> int:
        """How many cells have this status."""
        return sum(cell.status == status for cell in self.cells)


def result_table(results: JobResults) -> ResultTable:
    """Lay results out as a table; what was not answered has its cell too."""
    questions, documents, cell = _questions(results), _documents(results), _Cells(results)
    if results.job.spec.kind == "table":
        rows = [
            ResultRow(document, "", tuple(cell.of(document, *one) for one in questions.items()))
            for document in documents
        ]
        return ResultTable("Document", tuple(questions), tuple(rows))
    rows = [
        ResultRow(name, text, tuple(cell.of(document, name, text) for document in documents))
        for name, text in questions.items()
    ]
    return ResultTable("Question", tuple(one or "Answer" for one in documents), tuple(rows))


@dataclass(frozen=True, slots=True)
class ComparedCell:
    """The same question of the same document, answered twice."""

    left: ResultCell
    right: ResultCell

    @property
    def outcome(self) -> Outcome:
        """How the two compare."""
        if self.left.answer is None:
            return "left_missing" if self.right.answer is not None else "both_missing"
        if self.right.answer is None:
            return "right_missing"
        return "equal" if _said(self.left) == _said(self.right) else "different"

    @property
    def is_same_question(self) -> bool:
        """Whether the two were asked in the same words."""
        return self.left.question_text == self.right.question_text

    @property
    def has_same_places(self) -> bool:
        """Whether both quote the same pages."""
        return set(self.left.places) == set(self.right.places)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results side by side, by document and question.

    Attributes:
        left, right: names of the two, different from each other.
    """

    left: str
    right: str
    cells: tuple[ComparedCell, ...]

    def count(self, outcome: Outcome) -> int:
        """How many cells compare like this."""
        return sum(one.outcome == outcome for one in self.cells)


def compare_results(left: JobResults, right: JobResults) -> Comparison:
    """Put two results side by side; what only one of them has is missing in the other."""
    tables = [result_table(left), result_table(right)]
    first, second = ({(c.document, c.question): c for c in one.cells} for one in tables)
    cells = tuple(
        ComparedCell(
            first.get(key) or _without_answer(second[key]),
            second.get(key) or _without_answer(first[key]),
        )
        for key in first | second
    )
    return Comparison(*_names(left.job, right.job), cells)


def record_of(answer: JobAnswer) -> AnswerRecord:
    """Make the record that `m1desk.documents` writes answers from."""
    details = answer.details
    return AnswerRecord(
        question=answer.question_text,
        checked=answer.checked,
        model=answer.model,
        asked=answer.asked,
        documents=details.documents,
        receipt=details.receipt,
        seconds=details.seconds,
        finish_reason=details.finish_reason,
        title=answer.question,
        passes=details.passes,
        outcome=details.outcome,
    )


def model_of(job: Job) -> str:
    """Name the model that answered a job, or would have."""
    settings = job.settings or job.spec.engine.settings
    return job.model or ("" if settings is None else PurePath(settings.model_path).stem)


def _quote_line(citation: Citation) -> str:
    quote = " ".join(citation.quote.split())
    place = f"{citation.file} p.{citation.page}" if citation.file else "no page named"
    words = STATUS_WORDS[citation.status]
    if citation.status == "approximate":
        words += f", {citation.score:.0%} alike"
    return f'"{quote}" [{place}, {words}]'


def _questions(results: JobResults) -> dict[str, str]:
    """All questions by name: those of the job, then others that were answered."""
    asked = {one.question: one.question_text for one in results.answers}
    return {one.name: one.text for one in results.job.spec.questions} | asked


def _documents(results: JobResults) -> tuple[str, ...]:
    """What was asked: each document, or all of them together ("")."""
    answered = [one.document for one in results.answers] + [one[0] for one in results.problems]
    if results.job.spec.kind == "table":
        return tuple(dict.fromkeys((*results.documents, *filter(None, answered))))
    return tuple(dict.fromkeys(("", *answered)))


class _Cells:
    """Finds cells fast: a table has many thousands of them."""

    def __init__(self, results: JobResults) -> None:
        self._answers = {(one.document, one.question): one for one in results.answers}
        self._problems = {(document, name): why for document, name, why in results.problems}

    def of(self, document: str, question: str, text: str) -> ResultCell:
        answer = self._answers.get((document, question))
        if answer is not None:
            return ResultCell(document, question, answer.question_text, answer)
        problems = (self._problems.get((document, name)) for name in (question, ""))
        why = next((one for one in problems if one is not None), None)
        return ResultCell(document, question, text, None, why)


def _without_answer(cell: ResultCell) -> ResultCell:
    return replace(cell, answer=None, problem=None)


def _said(cell: ResultCell) -> str:
    return cell.short.casefold().strip(_AROUND)


def _names(left: Job, right: Job) -> tuple[str, str]:
    """Tell two jobs apart by their models, else by what they are called."""
    names = [(model_of(one), one.summary.title, f"job {one.summary.id}") for one in (left, right)]
    for first, second in zip(*names, strict=True):
        if first and second and first != second:
            return first, second
    return "left", "right"
