"""Sets of documents in a real database: what is put in comes out the same, and crashes are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from m1desk.documents.answers import Citation, ReadReceipt, UnquotedClaim
from m1desk.documents.set_values import AnswerDetails
from m1desk.documents.sets import DocumentSets
from m1desk.documents.values import (
    Document,
    ExtractionReport,
    Page,
    PageProblem,
    ReadingError,
    ReadResult,
)
from m1desk.errors import BadInput
from m1desk.store import Database

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sets(tmp_path: Path) -> Iterator[DocumentSets]:
    with Database(tmp_path / "m1desk.sqlite3") as database:
        yield DocumentSets(database)


def _read(name: str, *pages: str) -> ReadResult:
    path = Path("/docs") / name
    made = tuple(Page(number, "page", text, "") for number, text in enumerate(pages, 1))
    document = Document(name, path, "pdf", made, "ab" * 32, 1234, 5.5)
    report = ExtractionReport(path, name, "pdf", "read", pages_total=len(pages), notes=("a note",))
    return ReadResult(document, report)


def _unread(name: str) -> ReadResult:
    error = ReadingError("Locked.", "It has a password.", "Unlock it.", code="encrypted")
    problems = (PageProblem(3, "failed", "damaged"),)
    report = ExtractionReport(
        Path("/docs") / name, name, "pdf", "unreadable", problem=error, page_problems=problems
    )
    return ReadResult(None, report)


def test_what_was_read_comes_back_as_it_was(sets: DocumentSets) -> None:
    set_id = sets.create("Case 12")
    read, unread = _read("a.pdf", "One.", "Two."), _unread("b.pdf")
    sets.add(set_id, [read, unread])
    first, second = sets.files(set_id)
    assert first.document == read.document
    assert first.report == read.report
    assert first.is_used
    assert second.document is None
    assert not second.is_used
    problem, wanted = second.report.problem, unread.report.problem
    assert isinstance(problem, ReadingError)
    assert isinstance(wanted, ReadingError)
    assert (problem.args, problem.code) == (wanted.args, wanted.code)
    assert replace(second.report, problem=None) == replace(unread.report, problem=None)
    (listed,) = sets.all()
    assert (listed.name, listed.files, listed.pages, listed.characters) == ("Case 12", 2, 2, 8)


def test_a_file_read_again_takes_the_old_one_s_place(sets: DocumentSets) -> None:
    set_id = sets.create("Case")
    sets.add(set_id, [_read("a.pdf", "Old."), _read("b.pdf", "Other.")])
    sets.add(set_id, [_read("a.pdf", "New.", "Newer.")])
    again, other = sets.files(set_id)
    assert (again.report.name, other.report.name) == ("a.pdf", "b.pdf")
    assert again.document is not None
    assert [page.text for page in again.document.pages] == ["New.", "Newer."]


def test_files_of_one_name_stay_apart_and_keep_what_was_chosen(sets: DocumentSets) -> None:
    set_id = sets.create("Case")
    here, there = _read("plan.md", "Here."), _read("plan.md", "There.")
    other = Path("/elsewhere/plan.md")
    assert there.document is not None
    there = ReadResult(replace(there.document, path=other), replace(there.report, path=other))
    sets.add(set_id, [here])
    sets.add(set_id, [there])
    sets.include(sets.files(set_id)[1].id, included=False)
    sets.add(set_id, [there])
    first, second = sets.files(set_id)
    assert (first.report.name, second.report.name) == ("plan.md", "plan (2).md")
    assert (first.included, second.included) == (True, False)
    sets.replace(set_id, [there])
    assert [one.report.name for one in sets.files(set_id)] == ["plan.md"]


def test_names_are_unique(sets: DocumentSets) -> None:
    first, second = sets.create("Case"), sets.create(" Case ")
    assert {sets.get(first).name, sets.get(second).name} == {"Case", "Case (2)"}
    with pytest.raises(BadInput, match="already"):
        sets.rename(second, "Case")
    sets.rename(second, "Other")
    found = sets.named("Other")
    assert found is not None
    assert found.id == second


def test_deleting_a_set_takes_its_pages_and_questions(sets: DocumentSets) -> None:
    set_id = sets.create("Case")
    sets.add(set_id, [_read("a.pdf", "One.")])
    asked = sets.begin(set_id, "Why?", "m", "00")
    sets.delete(set_id)
    assert sets.all() == ()
    with pytest.raises(BadInput, match="gone"):
        sets.question(asked.id)
    with pytest.raises(BadInput, match="gone"):
        sets.get(set_id)


def test_leaving_a_file_out_is_remembered(sets: DocumentSets) -> None:
    set_id = sets.create("Case")
    sets.add(set_id, [_read("a.pdf", "One."), _read("b.pdf", "Two.")])
    first, _ = sets.files(set_id)
    sets.include(first.id, included=False)
    assert [one.is_used for one in sets.files(set_id)] == [False, True]
    sets.remove_file(first.id)
    assert [one.report.name for one in sets.files(set_id)] == ["b.pdf"]


def test_an_answer_comes_back_with_all_its_details(sets: DocumentSets) -> None:
    set_id = sets.create("Case")
    asked = sets.begin(set_id, "Why?", "demo", "00ff")
    details = AnswerDetails(
        citations=(Citation("q", 0, 3, "verified", 1.0, "a.pdf", 1, "a.pdf", 2, 5, 6),),
        unquoted=(UnquotedClaim(4, 9),),
        receipt=ReadReceipt(100, 10, 90),
        documents=("a.pdf",),
        predicted_seconds=(1.0, 2.5),
        first_token_seconds=1.5,
        seconds=3.0,
        written_tokens=12,
    )
    ended = sets.end(
        replace(asked, state="complete", answer="Because.", reasoning="hm", details=details)
    )
    assert ended.details == details
    assert ended.checked.citations[0].is_misplaced
    assert sets.questions(set_id) == (ended,)


def test_answers_cut_off_by_a_crash_are_told(sets: DocumentSets) -> None:
    set_id = sets.create("Case")
    begun = sets.begin(set_id, "One?", "m", "00")
    silent = sets.begin(set_id, "Two?", "m", "00")
    sets.save_partial(begun.id, "It is", "")
    assert sets.recover() == 2
    assert sets.question(begun.id).state == "interrupted"
    assert sets.question(begun.id).answer == "It is"
    assert sets.question(silent.id).state == "failed"
    assert sets.question(silent.id).error
    assert sets.recover() == 0


def test_another_file_of_the_same_name_gets_a_number_and_replaces_nothing(
    sets: DocumentSets,
) -> None:
    set_id = sets.create("Two reports")
    first, again = _read("report.pdf", "Of May."), _read("report.pdf", "Of May, mended.")
    assert again.document is not None
    elsewhere = Path("/other/report.pdf")
    other = ReadResult(
        replace(again.document, path=elsewhere), replace(again.report, path=elsewhere)
    )
    sets.add(set_id, [first])
    sets.add(set_id, [again, other])
    files = sets.files(set_id)
    names = [(file.report.name, file.document and file.document.name) for file in files]
    assert names == [("report.pdf", "report.pdf"), ("report (2).pdf", "report (2).pdf")]
    kept = sets.files(set_id)[0].document
    assert kept == again.document
