"""What is said and offered before a question is asked: times, passes, a longer context."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from documents_desk import (
    WAIT,
    Desk,
    answered,
    open_desks,
    press,
    with_files,
    write_files,
)
from naming import unnamed_controls
from PySide6.QtWidgets import QLabel

from m1desk.documents import (
    AnswerDetails,
    PageSpan,
    PassAnswer,
    PassStarted,
    PreparedState,
    PreparingEnded,
    PreparingStarted,
    PreparingStep,
    QuestionDelta,
    QuestionEnded,
    QuestionPass,
    QuestionPassed,
    QuestionPrefill,
    QuestionStarted,
    ReadReceipt,
    Wish,
    state_name,
)
from m1desk.engines import (
    LlamaSettings,
)
from m1desk.engines.turn import PrefillProgress, SamplingParameters
from m1desk.ui.viewmodels.document_times import Reading, UsualLength
from m1desk.ui.widgets.document_passes import PassList
from m1desk.ui.widgets.document_receipt import ReceiptWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.documents import AskedQuestion
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme


@pytest.fixture
def desk(theme: Theme, bridge: Bridge, tmp_path: Path, qtbot: QtBot) -> Iterator[Desk]:
    """A page with a set of files, read."""
    with open_desks(theme, bridge, tmp_path, qtbot) as begin:
        yield with_files(begin(), write_files(tmp_path / "files"), qtbot)


def test_before_a_question_is_sent_its_time_is_predicted(desk: Desk, qtbot: QtBot) -> None:
    desk.load(16_384)
    qtbot.waitUntil(lambda: desk.view.composer.note != "", timeout=WAIT)
    budget = desk.model.budget.budget
    assert budget is not None
    assert desk.predicted[-1] == Reading(budget.prompt_tokens)
    assert desk.view.composer.note.startswith("First token in ")
    assert ", 200 tokens in " in desk.view.composer.note
    desk.view.composer.set_text("How long is the notice, and who may give it?")
    before = budget.prompt_tokens
    qtbot.waitUntil(lambda: desk.predicted[-1].read_tokens > before, timeout=WAIT)


def test_the_time_of_an_answer_rests_on_the_answers_before_it(desk: Desk, qtbot: QtBot) -> None:
    for tokens in (90, 30, 60):
        answered(desk, qtbot, "It is so.", written_tokens=tokens)
    desk.load(16_384)  # answers of another model don't count
    qtbot.waitUntil(lambda: ", 200 tokens in" in desk.view.composer.note, timeout=WAIT)
    desk.load(16_000, name="tiny")
    qtbot.waitUntil(lambda: ", 60 tokens in" in desk.view.composer.note, timeout=WAIT)
    assert desk.model.usual_length == UsualLength(60, 3)


def test_a_longer_context_is_offered_only_where_it_can_be_had(desk: Desk, qtbot: QtBot) -> None:
    desk.refusal = "This model was trained for 1,100 tokens at most."
    desk.load(1_100)
    qtbot.waitUntil(lambda: desk.model.budget.is_exact, timeout=WAIT)
    fit = desk.view.fit
    assert not fit.reload.isEnabled()
    assert desk.refusal in fit.refusal
    desk.refusal = None  # not known yet
    desk.view.show_outlook()
    assert not fit.reload.isEnabled()
    assert fit.refusal == ""
    desk.refusal = ""
    desk.view.show_outlook()
    assert fit.reload.isEnabled()


def test_what_does_not_fit_can_be_asked_in_passes(desk: Desk, qtbot: QtBot) -> None:
    desk.load(1_700)
    fit, model, composer = desk.view.fit, desk.model, desk.view.composer
    model.set_sampling(SamplingParameters(max_tokens=800))
    qtbot.waitUntil(lambda: model.budget.is_exact, timeout=WAIT)
    qtbot.waitUntil(lambda: fit.passes.text() == "Ask in 2 passes", timeout=WAIT)
    composer.set_text("How long?")
    assert not composer.can_send
    fit.passes.click()
    assert composer.can_send
    assert "read in 2 parts" in fit.meaning
    assert "can be missed" in fit.meaning
    assert composer.note.startswith("2 passes in ")
    passes = model.passes.passes
    assert passes is not None
    *read, combining = model.readings
    question = model.budget.question_tokens
    assert [one.read_tokens for one in read] == [one.tokens + question for one in passes]
    assert combining.read_tokens > 2 * model.usual_length.tokens
    fit.passes.click()
    assert not composer.can_send
    model.files.include([one.id for one in model.files.files[3:]], included=False)
    model.budget.set_answer_tokens(100)
    qtbot.waitUntil(lambda: model.budget.is_exact and model.reason == "", timeout=WAIT)
    assert not fit.isVisible()


def test_on_a_low_page_the_choices_have_the_room_of_the_files(desk: Desk, qtbot: QtBot) -> None:
    desk.page.resize(700, 544)  # of a window of 900 × 600
    desk.load(1_100)
    qtbot.waitUntil(lambda: desk.model.budget.is_exact, timeout=WAIT)
    assert desk.view.fit.isVisible()
    assert not desk.view.table.isVisible()
    assert desk.page.minimumSizeHint().height() <= 544
    press(desk.view.fit, "Leave files out")
    assert desk.view.table.isVisible()


def test_a_context_too_small_for_any_part_says_so(desk: Desk, qtbot: QtBot) -> None:
    desk.load(1_100)
    fit = desk.view.fit
    qtbot.waitUntil(lambda: "too small for any part" in fit.meaning, timeout=WAIT)
    assert not fit.passes.isEnabled()


def passed(number: int, answer: str, **more: Any) -> PassAnswer:
    span = PageSpan("contract.txt", number, number, **more)
    absent = answer.startswith("That is not")
    details = AnswerDetails(receipt=ReadReceipt(100, 100, 0), seconds=2.0)
    return PassAnswer(number, (span,), "ab", answer, "", details, is_absent=absent)


def test_an_answer_in_passes_shows_which_one_runs_and_then_what_each_said(
    desk: Desk, qtbot: QtBot
) -> None:
    model, post = desk.model, desk.bridge.post
    set_id = model.files.set_id
    assert set_id is not None
    asked = desk.core.sets.begin(set_id, "How long?", "tiny", model.files.text_sha256)
    post(QuestionStarted(asked))
    first = passed(1, "That is not in the documents.")
    post(QuestionPass(asked.id, set_id, PassStarted(1, 3, first.spans)))
    post(QuestionPrefill(asked.id, set_id, PrefillProgress(50, 100, 0, 1.0)))
    qtbot.waitUntil(lambda: bool(desk.view.questions.answers), timeout=WAIT)
    (answer,) = desk.view.questions.answers
    qtbot.waitUntil(lambda: "50 of 100" in answer.progress.text, timeout=WAIT)
    assert answer.pass_text == "Pass 1 of 3 · contract.txt p.1"
    post(QuestionDelta(asked.id, set_id, "text", "That is not"))
    qtbot.waitUntil(lambda: answer.view.markdown == "That is not", timeout=WAIT)
    one = replace(asked, details=AnswerDetails(passes=(first,), planned_passes=3))
    post(QuestionPassed(one))
    second = passed(2, "It is 45 days.", part=1, parts=2)
    post(QuestionPass(asked.id, set_id, PassStarted(2, 3, second.spans)))
    qtbot.waitUntil(lambda: "part 1 of 2" in answer.pass_text, timeout=WAIT)
    assert answer.view.markdown == ""
    passes = answer.findChild(PassList)
    assert isinstance(passes, PassList)
    assert passes.text == "1 of 3 passes done"
    model.questions.open(set_id)  # leave it, and come back while the second pass runs
    qtbot.waitUntil(lambda: answer not in (desk.view.questions.answers or (answer,)), timeout=WAIT)
    (again,) = desk.view.questions.answers
    assert "part 1 of 2" in again.pass_text
    known = AnswerDetails(
        passes=(first, second), planned_passes=2, outcome="single", receipt=ReadReceipt(200, 200, 0)
    )
    ended = desk.core.sets.end(
        replace(one, state="complete", answer="It is 45 days.", details=known)
    )
    post(QuestionEnded(ended))
    qtbot.waitUntil(lambda: again.pass_text == "", timeout=WAIT)
    passes = next(part for part in again.parts if isinstance(part, PassList))
    assert passes.text.startswith("Only pass 2 of 2 found something")
    passes.show_rows(shown=True)
    said = [label.text() for label in passes.findChildren(QLabel)]
    assert "Pass 1: contract.txt p.1 (not found there)" in said
    assert "It is 45 days." in said
    assert any("contract.txt p.2 (in 2 parts)" in text for text in said)
    assert unnamed_controls(desk.page) == []


def test_passes_that_were_cut_off_can_be_gone_on_with(
    desk: Desk, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes: list[Wish] = []

    async def hear(wish: Wish) -> AskedQuestion:
        wishes.append(wish)
        return desk.core.sets.question(wish.goes_on or 0)

    monkeypatch.setattr(desk.model.questions, "_ask", hear)
    set_id = desk.model.files.set_id
    assert set_id is not None
    sha256 = desk.model.files.text_sha256
    asked = desk.core.sets.begin(set_id, "How long?", "tiny", sha256)
    known = AnswerDetails(passes=(passed(1, "It is 45 days."),), planned_passes=3)
    desk.core.sets.end(replace(asked, state="stopped", details=known))
    desk.model.questions.open(set_id)
    qtbot.waitUntil(lambda: bool(desk.view.questions.answers), timeout=WAIT)
    (answer,) = desk.view.questions.answers
    press(answer, "Go on")
    qtbot.waitUntil(lambda: bool(wishes), timeout=WAIT)
    assert (wishes[0].goes_on, wishes[0].in_passes, wishes[0].question) == (
        asked.id, True, "How long?",
    )  # fmt: skip


def test_a_receipt_of_one_pass_that_does_not_agree_is_loud(desk: Desk, qtbot: QtBot) -> None:
    wrong = replace(passed(2, "So."), details=AnswerDetails(receipt=ReadReceipt(100, 90, 0)))
    more = replace(passed(1, "Yes."), details=AnswerDetails(receipt=ReadReceipt(100, 110, 0)))
    answered(desk, qtbot, "It is so.", passes=(more, wrong), outcome="combined")
    (answer,) = desk.view.questions.answers
    assert isinstance(answer.findChild(ReceiptWarning), ReceiptWarning)


def test_documents_are_prepared_with_progress_and_a_stop(
    desk: Desk, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def prepare(set_id: int) -> None:
        desk.bridge.post(PreparingStarted(set_id))
        desk.bridge.post(PreparingStep(set_id, PrefillProgress(512, 2048, 0, 4.0)))
        begun.set()
        await stopped.wait()
        desk.bridge.post(PreparingEnded(set_id))

    async def stop(_set_id: int) -> None:
        stopped.set()

    model, view = desk.model, desk.view
    monkeypatch.setattr(model.preparing, "_prepare", prepare)
    monkeypatch.setattr(desk.core.runner, "stop", stop)
    assert not view.prepare.isVisible()
    settings = LlamaSettings(Path("counting.gguf"))
    desk.load(16_384, settings)
    qtbot.waitUntil(lambda: view.prepare.isVisible() and view.prepare.isEnabled(), timeout=WAIT)
    view.prepare.click()
    qtbot.waitUntil(lambda: "512 of 2,048" in view.preparing.text, timeout=WAIT)
    assert view.preparing.isVisible()
    assert not view.prepare.isVisible()
    assert model.reason == "The documents are being prepared…"
    assert unnamed_controls(desk.page) == []
    press(view.preparing, "Stop")
    qtbot.waitUntil(lambda: not view.preparing.isVisible(), timeout=WAIT)
    assert model.reason == ""
    name = state_name(
        model.files.set_id or 0, model.files.text_sha256, settings.model_path, settings.kv_type
    )
    state = PreparedState(name, 1, 2040, 3 << 20, "counting", 0.0, 0.0, is_complete=True)
    model.prepared._on_read((state,))
    assert view.prepare.text() in {"Prepared", "Prepared: 2,040 tokens, 3.00 MiB"}
    with qtbot.waitSignal(view.prepared_wished):
        view.prepare.click()
    assert "2,040 tokens, 3.00 MiB" in view.prepare.toolTip()
