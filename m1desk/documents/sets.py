"""Sets of documents in the database: their files, their pages, and the questions about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from m1desk.documents.reading.names import unique_name
from m1desk.documents.records import (
    details_from,
    details_text,
    document_from,
    document_text,
    report_from,
    report_text,
)
from m1desk.documents.set_values import AskedQuestion, DocumentSet, SetFile
from m1desk.documents.values import ReadResult
from m1desk.errors import BadInput

if TYPE_CHECKING:
    import sqlite3

    from m1desk.documents.set_values import AnswerDetails
    from m1desk.documents.values import Document
    from m1desk.store import Database

_SETS = """SELECT s.*, count(f.id) AS files, coalesce(sum(f.pages), 0) AS pages,
    coalesce(sum(f.characters), 0) AS characters
    FROM document_sets s LEFT JOIN document_files f ON f.set_id = s.id"""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file stands in its set, and how it is known when it is read again."""

    position: int
    origin: str
    included: bool


class DocumentSets:
    """All sets; any thread may use it. Every method raises StorageError."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    # -- sets --------------------------------------------------------------------------------------

    def create(self, name: str) -> int:
        """Make an empty set and return its id; a number is added to a name that is taken."""
        base = " ".join(name.split()) or "Documents"
        with self._database.transaction() as connection:
            taken = {row["name"] for row in connection.execute("SELECT name FROM document_sets")}
            free, count = base, 2
            while free in taken:
                free, count = f"{base} ({count})", count + 1
            now = self._clock()
            made = connection.execute(
                "INSERT INTO document_sets(name, created, updated) VALUES (?, ?, ?)",
                (free, now, now),
            )
            return int(made.lastrowid or 0)

    def all(self) -> tuple[DocumentSet, ...]:
        """All sets, the one used last first."""
        rows = self._database.query(f"{_SETS} GROUP BY s.id ORDER BY s.updated DESC, s.id DESC")
        return tuple(DocumentSet(**dict(row)) for row in rows)

    def get(self, set_id: int) -> DocumentSet:
        """Find one set; raises BadInput when it is gone."""
        row = self._database.query_one(f"{_SETS} WHERE s.id = ? GROUP BY s.id", (set_id,))
        if row is None:
            raise BadInput("This set of documents is gone.", "", "Choose another one.")
        return DocumentSet(**dict(row))

    def named(self, name: str) -> DocumentSet | None:
        """Find a set by its name."""
        row = self._database.query_one("SELECT id FROM document_sets WHERE name = ?", (name,))
        return None if row is None else self.get(int(row["id"]))

    def rename(self, set_id: int, name: str) -> None:
        """Rename a set; raises BadInput when the name is empty or taken."""
        name = " ".join(name.split())
        if not name:
            raise BadInput("A set of documents needs a name.")
        other = self.named(name)
        if other is not None and other.id != set_id:
            raise BadInput(f"There is a set named {name} already.", "", "Choose another name.")
        self._database.execute("UPDATE document_sets SET name = ? WHERE id = ?", (name, set_id))

    def delete(self, set_id: int) -> None:
        """Delete a set with its pages and questions; the files on disk stay."""
        self._database.execute("DELETE FROM document_sets WHERE id = ?", (set_id,))

    # -- files -------------------------------------------------------------------------------------

    def add(self, set_id: int, results: Sequence[ReadResult]) -> None:
        """Add what was read; a file that is there already is replaced, in its place.

        Another file of a name that is taken gets a number into its name.
        """
        with self._database.transaction() as connection:
            self._add(connection, set_id, results)
            self._touch(connection, set_id)

    def replace(self, set_id: int, results: Sequence[ReadResult]) -> None:
        """Put what was read in the place of all that the set holds, or change nothing."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM document_files WHERE set_id = ?", (set_id,))
            self._add(connection, set_id, results)
            self._touch(connection, set_id)

    def _add(
        self, connection: sqlite3.Connection, set_id: int, results: Sequence[ReadResult]
    ) -> None:
        known = self._known_files(connection, set_id)
        taken = {row["name"] for row in known.values()}
        last = max((row["position"] for row in known.values()), default=0)
        for result in results:
            origin = _origin(result)
            old = known.get(origin)
            if old is None:
                last += 1
                name = unique_name(result.report.name, taken)
                place = _Place(last, origin, included=True)
            else:
                connection.execute("DELETE FROM document_files WHERE id = ?", (old["id"],))
                name = old["name"]
                place = _Place(old["position"], origin, included=bool(old["included"]))
            self._insert(connection, set_id, place, _renamed(result, name))

    @staticmethod
    def _known_files(connection: sqlite3.Connection, set_id: int) -> dict[str, sqlite3.Row]:
        rows = connection.execute(
            "SELECT id, position, origin, included, json_extract(report, '$.name') AS name"
            " FROM document_files WHERE set_id = ?",
            (set_id,),
        )
        return {row["origin"]: row for row in rows}

    @staticmethod
    def _insert(
        connection: sqlite3.Connection, set_id: int, place: _Place, result: ReadResult
    ) -> None:
        document = result.document
        pages = document.pages if document else ()
        made = connection.execute(
            "INSERT INTO document_files(set_id, position, origin, included, pages, characters,"
            " document, report) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                set_id,
                place.position,
                place.origin,
                int(place.included),
                len(pages),
                document.characters if document else 0,
                document_text(document) if document else None,
                report_text(result.report),
            ),
        )
        connection.executemany(
            "INSERT INTO document_pages VALUES (?, ?, ?, ?, ?)",
            [(made.lastrowid, one.number, one.kind, one.label, one.text) for one in pages],
        )

    def _touch(self, connection: sqlite3.Connection, set_id: int) -> None:
        connection.execute(
            "UPDATE document_sets SET updated = ? WHERE id = ?", (self._clock(), set_id)
        )

    def files(self, set_id: int) -> tuple[SetFile, ...]:
        """All files of a set in their order, with their pages."""
        with self._database.transaction():  # files and pages of one moment
            rows = self._database.query(
                "SELECT * FROM document_files WHERE set_id = ? ORDER BY position, id", (set_id,)
            )
            documents = [self._document(row) for row in rows]
        return tuple(
            SetFile(row["id"], bool(row["included"]), document, report_from(row["report"]))
            for row, document in zip(rows, documents, strict=True)
        )

    def _document(self, row: sqlite3.Row) -> Document | None:
        if row["document"] is None:
            return None
        pages = self._database.query(
            "SELECT * FROM document_pages WHERE file_id = ? ORDER BY number", (row["id"],)
        )
        return document_from(row["document"], pages)

    def include(self, file_id: int, *, included: bool) -> None:
        """Put a file into the prompt or leave it out."""
        self._database.execute(
            "UPDATE document_files SET included = ? WHERE id = ?", (int(included), file_id)
        )

    def remove_file(self, file_id: int) -> None:
        """Take a file out of its set; the file on disk stays."""
        self._database.execute("DELETE FROM document_files WHERE id = ?", (file_id,))

    # -- questions ---------------------------------------------------------------------------------

    def begin(self, set_id: int, question: str, model: str, text_sha256: str) -> AskedQuestion:
        """Write down a question before it is asked."""
        with self._database.transaction() as connection:
            made = connection.execute(
                "INSERT INTO document_questions(set_id, asked, question, state, model, text_sha256)"
                " VALUES (?, ?, ?, 'streaming', ?, ?)",
                (set_id, self._clock(), question, model, text_sha256),
            )
            self._touch(connection, set_id)
        return self.question(int(made.lastrowid or 0))

    def save_partial(self, question_id: int, answer: str, reasoning: str) -> None:
        """Keep what has arrived of an answer."""
        self._database.execute(
            "UPDATE document_questions SET answer = ?, reasoning = ? WHERE id = ?",
            (answer, reasoning, question_id),
        )

    def save_details(self, question_id: int, details: AnswerDetails) -> None:
        """Keep what is known of an answer on its way, such as the passes that have ended."""
        self._database.execute(
            "UPDATE document_questions SET details = ? WHERE id = ?",
            (details_text(details), question_id),
        )

    def reopen(self, question_id: int) -> AskedQuestion:
        """Begin a question that was cut off once more; its passes stay, its answer goes."""
        self._database.execute(
            "UPDATE document_questions SET state = 'streaming', answer = '', reasoning = '',"
            " error = '' WHERE id = ?",
            (question_id,),
        )
        return self.question(question_id)

    def answer_lengths(self, model: str, most: int = 20) -> tuple[int, ...]:
        """Lengths (tokens) of the last answers that a model wrote to their end, newest first."""
        rows = self._database.query(
            "SELECT json_extract(details, '$.written_tokens') AS tokens FROM document_questions"
            " WHERE model = ? AND state = 'complete' AND tokens > 0"
            " AND coalesce(json_extract(details, '$.planned_passes'), 0) = 0"
            " ORDER BY id DESC LIMIT ?",
            (model, most),
        )
        return tuple(int(row["tokens"]) for row in rows)

    def end(self, ended: AskedQuestion) -> AskedQuestion:
        """Write down how an answer ended, and return it as it is stored."""
        self._database.execute(
            "UPDATE document_questions SET state = ?, answer = ?, reasoning = ?, details = ?,"
            " error = ? WHERE id = ?",
            (
                ended.state,
                ended.answer,
                ended.reasoning,
                details_text(ended.details),
                ended.error,
                ended.id,
            ),
        )
        return self.question(ended.id)

    def question(self, question_id: int) -> AskedQuestion:
        """Find one question; raises BadInput when it is gone."""
        row = self._database.query_one(
            "SELECT * FROM document_questions WHERE id = ?", (question_id,)
        )
        if row is None:
            raise BadInput("This question is gone.")
        return _question(row)

    def questions(self, set_id: int) -> tuple[AskedQuestion, ...]:
        """All questions about a set, oldest first."""
        rows = self._database.query(
            "SELECT * FROM document_questions WHERE set_id = ? ORDER BY id", (set_id,)
        )
        return tuple(_question(row) for row in rows)

    def delete_question(self, question_id: int) -> None:
        """Delete a question and its answer."""
        self._database.execute("DELETE FROM document_questions WHERE id = ?", (question_id,))

    def recover(self) -> int:
        """Mark answers that a crash cut off; returns how many. Call it once at the start."""
        changed = self._database.execute(
            "UPDATE document_questions SET state = CASE WHEN answer = '' AND"
            " coalesce(json_array_length(details, '$.passes'), 0) = 0 THEN 'failed' ELSE"
            " 'interrupted' END, error = 'M1 Desk ended before the answer did.'"
            " WHERE state = 'streaming'"
        )
        return changed.rowcount


def _renamed(result: ReadResult, name: str) -> ReadResult:
    if name == result.report.name:
        return result
    document = result.document and replace(result.document, name=name)
    return ReadResult(document, replace(result.report, name=name))


def _origin(result: ReadResult) -> str:
    """Tell a file that is read again: by its path, and by its place in what it lies in."""
    path, name = result.report.path, result.report.name
    return f"{path}\n{name.partition(path.name)[2]}"


def _question(row: sqlite3.Row) -> AskedQuestion:
    values = dict(row)
    values["details"] = details_from(values["details"])
    return AskedQuestion(**values)
