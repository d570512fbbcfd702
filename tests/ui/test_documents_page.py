"""The Documents page without an engine: sets, files, reports, answers, what can't be asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from documents_desk import (
    SENTENCE,
    WAIT,
    Desk,
    answered,
    open_desks,
    press,
    with_files,
    write_files,
)
from naming import unnamed_controls
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QMessageBox

from m1desk.documents import (
    QuestionDelta,
    QuestionEnded,
    QuestionPreparing,
    QuestionStarted,
    ReadProgress,
    ReadReceipt,
    read_documents,
)
from m1desk.engines import (
    EngineState,
    EngineStatus,
    StateRefusal,
    StateSaved,
)
from m1desk.engines.turn import PrefillProgress
from m1desk.errors import BadInput, StorageError
from m1desk.ui.widgets.document_files import NAME, OUTCOME, PAGES, TOKENS
from m1desk.ui.widgets.document_prepared import PreparedDialog
from m1desk.ui.widgets.document_quotes import QuoteList
from m1desk.ui.widgets.document_receipt import ReceiptWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytestqt.qtbot import QtBot

    from m1desk.documents import ReadResult
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    return write_files(tmp_path / "files")


@pytest.fixture
def make(theme: Theme, bridge: Bridge, tmp_path: Path, qtbot: QtBot) -> Iterator[Any]:
    with open_desks(theme, bridge, tmp_path, qtbot) as begin:
        yield begin


@pytest.fixture
def desk(make: Callable[[], Desk], files: tuple[Path, ...], qtbot: QtBot) -> Desk:
    """A page with a set of the files, read."""
    return with_files(make(), files, qtbot)


def test_without_documents_the_page_explains_itself_and_offers_samples(
    make: Callable[[], Desk], qtbot: QtBot
) -> None:
    desk = make()
    assert desk.page.empty.isVisible()
    with qtbot.waitSignal(desk.page.sample_wished):
        desk.page.empty.sample.click()
    assert desk.model.reason == "Add documents to ask about them"
    assert unnamed_controls(desk.page) == []


def test_without_documents_the_page_says_where_they_would_go(make: Callable[[], Desk]) -> None:
    desk = make()

    def said() -> str:
        return " ".join(label.text() for label in desk.page.empty.findChildren(QLabel))

    assert "Nothing leaves this computer." in said()
    server = EngineStatus(EngineState.READY, server="lab", context_tokens=4096)
    desk.model.set_engine(server, None)
    assert "While lab is in use, they are sent to it with each question." in said()
    assert "Nothing leaves" not in said()
    desk.model.set_engine(EngineStatus(EngineState.STOPPED), None)
    assert "Nothing leaves this computer." in said()


def test_files_are_listed_with_what_became_of_them(desk: Desk, qtbot: QtBot) -> None:
    rows = {desk.cell(row, NAME): row for row in range(4)}
    assert list(rows) == ["contract.txt", "empty.txt", "noise.bin", "notes.md"]
    assert desk.cell(rows["contract.txt"], OUTCOME) == "Read"
    assert desk.cell(rows["contract.txt"], PAGES) == "2"
    assert desk.cell(rows["empty.txt"], OUTCOME) == "Empty"
    assert desk.cell(rows["noise.bin"], OUTCOME) == "Skipped"
    desk.view.table.select("noise.bin")
    assert desk.view.report.isVisible()
    problem = desk.model.files.files[rows["noise.bin"]].report.problem
    assert problem is not None
    assert problem.what in desk.view.report.text
    assert problem.todo in desk.view.report.text
    assert "tokens are counted when a model is loaded" in desk.view.bar.text
    assert desk.view.composer.hint == ""
    assert desk.view.composer.field.placeholderText() == "Load a model to ask"


def test_leaving_a_file_out_changes_the_text_and_the_budget(desk: Desk, qtbot: QtBot) -> None:
    desk.load(16_384)
    model = desk.model
    qtbot.waitUntil(lambda: model.budget.is_exact, timeout=WAIT)
    budget = model.budget.budget
    assert budget is not None
    assert set(budget.documents) == {"contract.txt", "notes.md"}
    assert desk.cell(0, TOKENS) == f"{budget.documents['contract.txt']:,}"
    before = model.files.text
    table = desk.view.table.model()
    table.setData(table.index(0, NAME), Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    qtbot.waitUntil(lambda: model.files.text is not before, timeout=WAIT)
    assert "contract.txt" not in model.files.text.text
    qtbot.waitUntil(lambda: model.budget.is_exact, timeout=WAIT)
    less = model.budget.budget
    assert less is not None
    assert set(less.documents) == {"notes.md"}
    assert less.prompt_tokens < budget.prompt_tokens
    model.files.reload()  # it is kept
    qtbot.waitUntil(lambda: not model.files.files[0].included, timeout=WAIT)
    model.files.include([one.id for one in model.files.files], included=False)
    assert model.reason == "All files are left out: take one in to ask about it"


def test_what_does_not_fit_offers_choices_and_can_not_be_sent(desk: Desk, qtbot: QtBot) -> None:
    desk.load(1_100)
    qtbot.waitUntil(lambda: desk.model.budget.is_exact, timeout=WAIT)
    budget = desk.model.budget.budget
    assert budget is not None
    assert not budget.fits
    assert desk.view.fit.isVisible()
    assert f"{budget.missing_tokens:,} tokens are too many" in desk.view.fit.text
    assert "too many for 1,100" in desk.view.bar.rest
    desk.view.composer.set_text("How long?")
    assert not desk.view.composer.can_send
    assert "do not fit" in desk.view.composer.hint
    assert desk.view.composer.note == ""
    with qtbot.waitSignal(desk.page.context_wished) as wished:
        desk.view.fit.reload.click()
    assert wished.args[0] >= budget.needed_tokens
    with qtbot.waitSignal(desk.page.model_wished):
        press(desk.view.fit, "another model")
    desk.view.show_files(shown=False)
    press(desk.view.fit, "Leave files out")
    assert desk.view.table.isVisible()


def test_an_answer_shows_quotes_receipt_and_times(desk: Desk, qtbot: QtBot) -> None:
    said = f'It is 45 days. "{SENTENCE}" [contract.txt p.1] "It ends on the Moon." [notes.md p.1]'
    ended = answered(
        desk, qtbot, said, predicted_seconds=(1.0, 4.0), predicted_total_seconds=(2.0, 9.0),
        first_token_seconds=2.5, seconds=3.0,
    )  # fmt: skip
    (answer,) = desk.view.questions.answers
    assert [c.status for c in ended.details.citations] == ["verified", "not_found"]
    quotes = answer.findChild(QuoteList)
    assert isinstance(quotes, QuoteList)
    assert quotes.text.startswith("2 quotes: 1 verified, 1 not found")
    texts = [getattr(part, "whole_text", "") for part in answer.parts]
    assert texts[-1] == (
        "400 tokens: 20 read, 380 reused · first token 2.50 s (predicted 1–4 s) · "
        "all 3.00 s (predicted 2–9 s)"
    )
    assert answer.findChild(ReceiptWarning) is None
    assert not desk.view.shows_files  # the answers have the room


def test_a_receipt_that_does_not_agree_is_loud(desk: Desk, qtbot: QtBot) -> None:
    ended = answered(desk, qtbot, "It is so.")
    wrong = replace(ended.details, receipt=ReadReceipt(400, 20, 100))
    desk.core.sets.end(replace(ended, details=wrong))
    desk.model.questions.open(desk.model.files.set_id)

    def warnings() -> list[ReceiptWarning]:
        shown = [a.findChildren(ReceiptWarning) for a in desk.view.questions.answers]
        return [one for one in chain.from_iterable(shown) if one.isVisible()]

    qtbot.waitUntil(lambda: bool(warnings()), timeout=WAIT)
    (warning,) = warnings()
    assert "400 tokens were sent, the engine took in 120" in warning.accessibleName()


def test_a_citation_opens_its_passage_and_says_when_the_text_is_another(
    desk: Desk, qtbot: QtBot
) -> None:
    ended = answered(desk, qtbot, f'"{SENTENCE}" [contract.txt p.2]')
    (citation,) = ended.details.citations
    (answer,) = desk.view.questions.answers
    answer.citation_chosen.emit(1)
    viewer = desk.page.viewer
    assert desk.page.shows_viewer
    assert viewer.text.passage == (citation.text_start, citation.text_end)
    assert viewer.text.text[citation.text_start : citation.text_end] == SENTENCE
    qtbot.waitUntil(lambda: viewer.place.startswith("contract.txt · p."), timeout=WAIT)
    notes = next(f.id for f in desk.model.files.files if f.report.name == "notes.md")
    with qtbot.waitSignal(desk.model.files.text_changed, timeout=WAIT):
        desk.model.files.include([notes], included=False)
    answer.citation_chosen.emit(1)
    assert viewer.note.startswith("The documents were changed after this answer.")
    answer.wished.emit("sent_text")
    assert "not what was sent then" in viewer.note


def test_the_exact_text_sent_can_be_seen(desk: Desk, qtbot: QtBot) -> None:
    answered(desk, qtbot, "It is so.")
    (answer,) = desk.view.questions.answers
    answer.wished.emit("sent_text")
    viewer = desk.page.viewer
    assert viewer.shows_sent_text
    assert viewer.text.text.startswith("[contract.txt p.1]\n")
    assert viewer.text.text.endswith("\n\nHow long is the notice?")
    viewer._back.click()
    assert not viewer.shows_sent_text


@pytest.mark.parametrize(("kind", "said"), [("markdown", "# How"), ("html", "<h1>"), ("json", "{")])
def test_answers_are_exported(
    desk: Desk, qtbot: QtBot, tmp_path: Path, kind: Any, said: str
) -> None:
    ended = answered(desk, qtbot, f'"{SENTENCE}" [contract.txt p.1]')
    path = tmp_path / "answer"
    with qtbot.waitSignal(desk.model.questions.exported, timeout=WAIT):
        desk.model.questions.export(ended.id, kind, path)
    assert said in path.read_text()
    desk.model.questions.export(ended.id, kind, tmp_path / "nowhere" / "answer")
    qtbot.waitUntil(lambda: bool(desk.failures), timeout=WAIT)
    assert "could not be written" in str(desk.failures[0])


def test_an_answer_on_its_way_shows_the_reading_and_then_the_words(
    desk: Desk, qtbot: QtBot
) -> None:
    set_id = desk.model.files.set_id
    assert set_id is not None
    asked = desk.core.sets.begin(set_id, "And then?", "tiny", desk.model.files.text_sha256)
    post = desk.bridge.post
    post(QuestionStarted(asked))
    post(QuestionPreparing(asked.id, set_id, StateRefusal("key", "Another model.")))
    post(QuestionPreparing(asked.id, set_id, StateSaved(4096, 10)))
    post(QuestionPreparing(asked.id, set_id, PrefillProgress(5000, 9000, 0, 10.0)))
    qtbot.waitUntil(lambda: bool(desk.view.questions.answers), timeout=WAIT)
    (answer,) = desk.view.questions.answers
    qtbot.waitUntil(lambda: "5,000 of 9,000" in answer.progress.text, timeout=WAIT)
    assert "saved up to 4,096 tokens" in answer.progress.text
    assert desk.model.questions.is_asking
    assert desk.view.composer.button.toolTip().startswith("Stop")
    post(QuestionDelta(asked.id, set_id, "text", "So it "))
    post(QuestionDelta(asked.id, set_id, "text", "goes."))
    qtbot.waitUntil(lambda: answer.view.markdown == "So it goes.", timeout=WAIT)
    assert answer.progress is None
    desk.model.files.open(None)  # leave the set, and come back while it is being written
    desk.model.files.open(set_id)
    qtbot.waitUntil(lambda: bool(desk.view.questions.answers), timeout=WAIT)
    (again,) = desk.view.questions.answers
    assert again.view.markdown == "So it goes."
    ended = desk.core.sets.end(replace(asked, state="failed", error="It died.\nWhy."))
    post(QuestionEnded(ended))
    qtbot.waitUntil(lambda: not desk.model.questions.is_asking, timeout=WAIT)
    with qtbot.waitSignal(again.wished) as wished:
        press(again, "Answer again")
    assert wished.args == ["again"]
    assert desk.view.composer.text == "And then?"  # no model is loaded


def test_an_answer_that_was_cut_or_read_anew_says_so(desk: Desk, qtbot: QtBot) -> None:
    answered(
        desk, qtbot, "It is so.", finish_reason="length", prepared_note="It was made by another."
    )
    (answer,) = desk.view.questions.answers
    said = [part.text() for part in answer.parts if isinstance(part, QLabel)]
    assert any("its room was used up" in text for text in said)
    assert "The documents were read again: It was made by another." in said


def test_many_questions_come_bit_by_bit_and_hold_the_place(desk: Desk, qtbot: QtBot) -> None:
    set_id = desk.model.files.set_id
    assert set_id is not None
    for number in range(20):
        asked = desk.core.sets.begin(set_id, f"Question {number}?", "tiny", "")
        desk.core.sets.end(replace(asked, state="complete", answer="Words.\n\n" * 20))
    desk.model.questions.open(set_id)
    thread = desk.view.questions
    qtbot.waitUntil(lambda: len(thread.answers) == 8, timeout=WAIT)
    assert [a.question.question for a in thread.answers] == [
        f"Question {number}?" for number in range(12, 20)
    ]
    press(thread, "earlier")
    qtbot.waitUntil(lambda: len(thread.answers) == 16, timeout=WAIT)
    press(thread, "earlier")
    qtbot.waitUntil(lambda: len(thread.answers) == 20, timeout=WAIT)
    assert thread.answers[0].question.question == "Question 0?"


def test_sets_are_made_searched_renamed_and_deleted(desk: Desk, qtbot: QtBot) -> None:
    sets, page = desk.model.sets, desk.page
    press(page.list, "New set")
    qtbot.waitUntil(lambda: len(sets.all) == 2, timeout=WAIT)
    qtbot.waitUntil(page.empty.isVisible, timeout=WAIT)  # nothing is in it yet
    page.list.field.setText("case")
    assert [one.name for one in sets.shown] == ["Case 12"]
    page.list.field.setText("")
    first = next(one for one in sets.all if one.name == "Case 12")
    page.list.rows.renamed.emit(first.id, "Case 13")
    qtbot.waitUntil(lambda: any(o.name == "Case 13" for o in sets.all), timeout=WAIT)
    page.list.rows.renamed.emit(first.id, "New set")
    qtbot.waitUntil(lambda: bool(desk.failures), timeout=WAIT)
    assert isinstance(desk.failures.pop(), BadInput)
    page.list.open_wished.emit(first.id)
    qtbot.waitUntil(lambda: desk.model.files.set_id == first.id, timeout=WAIT)
    page.list.delete_wished.emit(first.id)
    box = page.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    assert "Case 13" in box.text()
    press(box, "Delete")
    qtbot.waitUntil(lambda: len(sets.all) == 1, timeout=WAIT)
    assert desk.model.files.info is None


def test_reading_can_be_cancelled_and_what_waits_is_dropped(
    make: Callable[..., Desk], files: tuple[Path, ...], qtbot: QtBot
) -> None:
    async def endless(paths: Sequence[Path], *, on_progress: Any) -> tuple[ReadResult, ...]:
        on_progress(ReadProgress(1, 4, ("contract.txt",), 2, 10, 40, 99))
        await asyncio.Event().wait()
        return ()

    desk = make(endless)
    desk.model.add_to_new(files, "Endless")
    progress = desk.view.progress
    qtbot.waitUntil(lambda: "1 of 4 files" in progress.text, timeout=WAIT)
    assert progress.isVisible()
    assert "contract.txt" in progress.text
    assert desk.model.reason == "Reading the files…"
    desk.model.add(files)
    press(progress, "Cancel")
    assert desk.model.files.reading is None
    assert desk.page.empty.isVisible()


def test_documents_that_come_in_quick_succession_go_each_to_its_own_set(
    make: Callable[[], Desk], files: tuple[Path, ...], qtbot: QtBot
) -> None:
    desk = make()
    desk.model.add_to_new(files[:1], "First")
    desk.model.add_to_new(files[1:], "Second")
    qtbot.waitUntil(
        lambda: {one.name: one.files for one in desk.model.sets.all} == {"First": 1, "Second": 3},
        timeout=WAIT,
    )
    assert desk.model.files.info is not None
    assert desk.model.files.info.name == "Second"


def test_documents_of_a_set_that_could_not_be_made_are_not_put_into_the_next_one(
    make: Callable[[], Desk],
    files: tuple[Path, ...],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_name: str) -> int:
        raise StorageError("The database can't be written.", "The disk is full.")

    desk = make()
    with monkeypatch.context() as broken:
        broken.setattr(desk.core.sets, "create", refuse)
        desk.model.add_to_new(files, "First")
        qtbot.waitUntil(lambda: bool(desk.failures), timeout=WAIT)
    with qtbot.waitSignal(desk.model.sets.created, timeout=WAIT):
        desk.page.list.new_wished.emit()
    assert desk.model.files.reading is None
    qtbot.waitUntil(lambda: desk.model.files.set_id is not None, timeout=WAIT)
    assert desk.model.files.files == ()


def test_a_reading_that_fails_is_told_and_the_next_one_goes_on(
    make: Callable[..., Desk], files: tuple[Path, ...], qtbot: QtBot
) -> None:
    calls: list[Sequence[Path]] = []

    async def once_broken(paths: Sequence[Path], *, on_progress: Any) -> tuple[ReadResult, ...]:
        calls.append(paths)
        if len(calls) == 1:
            raise BadInput("The reader broke.")
        return await read_documents(paths, on_progress=on_progress)

    desk = make(once_broken)
    desk.model.add_to_new(files, "Case")
    qtbot.waitUntil(lambda: bool(desk.failures), timeout=WAIT)
    desk.model.add(files)
    qtbot.waitUntil(lambda: len(desk.model.files.files) == 4, timeout=WAIT)


def test_files_are_removed_after_a_question(desk: Desk, qtbot: QtBot) -> None:
    desk.view.table.select("notes.md")
    notes = next(f.id for f in desk.model.files.files if f.report.name == "notes.md")
    desk.view.table.remove_wished.emit([notes])
    box = desk.page.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    assert "notes.md" in box.text()
    press(box, "Remove")
    qtbot.waitUntil(lambda: len(desk.model.files.files) == 3, timeout=WAIT)


def test_a_narrow_page_gives_its_room_to_the_set(desk: Desk, qtbot: QtBot) -> None:
    assert desk.page.list.isVisible()
    desk.page.resize(820, 520)
    desk.page.show_viewer(shown=True)
    assert not desk.page.list.isVisible()
    assert desk.page.viewer.isVisible()
    assert desk.view.questions.isVisible()
    desk.page.show_viewer(shown=False)
    assert desk.page.list.isVisible()


def test_the_panel_of_prepared_documents_sets_their_budget(desk: Desk, qtbot: QtBot) -> None:
    desk.page.show_prepared()
    dialog = desk.page.findChild(PreparedDialog)
    assert isinstance(dialog, PreparedDialog)
    assert dialog.rows == ()
    dialog.budget.setValue(3)
    assert desk.model.prepared.budget_bytes == 3 << 30
    assert unnamed_controls(dialog) == []
    dialog.close()


def test_all_controls_have_names(desk: Desk, qtbot: QtBot) -> None:
    answered(desk, qtbot, f'"{SENTENCE}" [contract.txt p.1]')
    desk.page.show_viewer(shown=True)
    assert unnamed_controls(desk.page) == []
