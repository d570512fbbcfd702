"""Documents in the whole window with a real engine: dropped, asked, cited, and after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication
from test_app import OPTIONS, SLOW, App, wait_ready

from m1desk.documents import PreparedStates
from m1desk.engines import LlamaSettings
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.models.demo import SAMPLE_QUESTION, sample_documents
from m1desk.store import Folders
from m1desk.ui.widgets.document_passes import PassList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.documents import AskedQuestion
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.documents import DocumentsViewModel

QUOTE = "Either party may terminate this agreement with 45 days' notice."
SCRIPT = ("It is 45 days. ", f'"{QUOTE}" ', "[service-contract.pdf p.3]", " Nobody knows more.")
CONTEXT = 8192


@pytest.fixture(scope="session")
def quoting_model(tiny_models: Path) -> Path:
    """M1's architecture; it quotes the sample contract whatever it is asked."""
    spec = TinyModelSpec(
        architecture="minimax-01", name="quoting", script=SCRIPT, context_tokens=32_768
    )
    return write_tiny_model(tiny_models / "quoting-samples-F32.gguf", spec)


@pytest.fixture
def start(theme: Theme, home: Path, qtbot: QtBot) -> Iterator[Callable[[], App]]:
    running: list[App] = []

    def begin() -> App:
        app = App(theme, Folders.under(home), OPTIONS)
        running.append(app)
        return app

    yield begin
    for app in running:
        if app.bridge.is_running:
            app.close(qtbot)


def documents(app: App) -> DocumentsViewModel:
    return app.parts.documents_desk.documents


def drop(app: App, paths: tuple[Path, ...]) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
    none = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(app.window, QDragEnterEvent(QPoint(5, 5), *how, none))
    QApplication.sendEvent(app.window, QDropEvent(QPointF(5, 5), *how, none))


def load(app: App, model: Path, qtbot: QtBot, context_tokens: int = CONTEXT) -> None:
    app.parts.engine.load(LlamaSettings(model, context_tokens=context_tokens, parallel=2))
    wait_ready(app, qtbot)
    qtbot.waitUntil(lambda: documents(app).budget.is_exact, timeout=SLOW)


def ask(app: App, question: str, qtbot: QtBot) -> AskedQuestion:
    model = documents(app)
    composer = app.parts.documents_desk.page.set_view.composer
    composer.set_text(question)
    assert composer.can_send, composer.hint
    composer.button.click()
    qtbot.waitUntil(
        lambda: any(one.question == question for one in model.questions.questions), timeout=SLOW
    )
    qtbot.waitUntil(lambda: not model.questions.is_asking, timeout=SLOW)
    ended = model.questions.questions[-1]
    assert ended.state == "complete", ended.error
    return ended


def test_samples_are_asked_with_a_checked_quote_and_after_a_restart_only_the_question_is_read(
    start: Callable[[], App], quoting_model: Path, home: Path, qtbot: QtBot
) -> None:
    app = start()
    drop(app, sample_documents())
    qtbot.waitUntil(lambda: len(documents(app).files.files) == 5, timeout=SLOW)
    assert app.window.page == "documents"
    load(app, quoting_model, qtbot)
    page = app.parts.documents_desk.page
    qtbot.waitUntil(lambda: page.set_view.composer.note != "", timeout=SLOW)  # a prediction
    first = ask(app, SAMPLE_QUESTION, qtbot)
    (citation,) = first.details.citations
    assert (citation.status, citation.file, citation.page) == (
        "verified", "service-contract.pdf", 3,
    )  # fmt: skip
    assert first.details.predicted_seconds is not None
    (answer,) = page.set_view.questions.answers
    answer.citation_chosen.emit(1)
    start_, end = page.viewer.text.passage or (0, 0)
    shown = page.viewer.text.text[start_:end].replace("’", "'")
    assert shown == QUOTE
    (state,) = PreparedStates(home / "data" / "prepared").entries()
    assert state.is_complete
    app.close(qtbot)

    again = start()
    qtbot.waitUntil(lambda: documents(again).files.set_id == first.set_id, timeout=SLOW)
    qtbot.waitUntil(lambda: len(documents(again).questions.questions) == 1, timeout=SLOW)
    load(again, quoting_model, qtbot)
    qtbot.waitUntil(lambda: (documents(again).tokens_to_read or CONTEXT) < 60, timeout=SLOW)
    second = ask(again, "And who may give notice?", qtbot)
    receipt = second.details.receipt
    assert receipt is not None
    assert receipt.agrees
    assert receipt.reused_tokens == state.tokens
    assert receipt.read_tokens < 60
    dialog_model = documents(again).prepared
    qtbot.waitUntil(lambda: len(dialog_model.entries) == 1, timeout=SLOW)
    documents(again).sets.delete(first.set_id)
    qtbot.waitUntil(lambda: dialog_model.entries == (), timeout=SLOW)


def test_documents_that_do_not_fit_are_loaded_with_a_longer_context(
    start: Callable[[], App], quoting_model: Path, qtbot: QtBot
) -> None:
    app = start()
    app.parts.documents_desk.page.empty.sample.click()
    qtbot.waitUntil(lambda: len(documents(app).files.files) == 5, timeout=SLOW)
    load(app, quoting_model, qtbot, context_tokens=2048)
    fit = app.parts.documents_desk.page.set_view.fit
    assert not fit.isHidden()
    qtbot.waitUntil(fit.reload.isEnabled, timeout=SLOW)  # it is known that it fits
    fit.reload.click()
    qtbot.waitUntil(lambda: not app.parts.engine.status.is_ready, timeout=SLOW)
    wait_ready(app, qtbot)
    assert app.parts.engine.status.context_tokens > 4096
    qtbot.waitUntil(lambda: documents(app).reason == "", timeout=SLOW)


def test_an_answer_about_documents_can_be_stopped_and_closing_asks(
    start: Callable[[], App], tiny_llama: Path, qtbot: QtBot
) -> None:
    app = start()
    drop(app, sample_documents()[:1])
    qtbot.waitUntil(lambda: len(documents(app).files.files) == 1, timeout=SLOW)
    load(app, tiny_llama, qtbot)
    questions = documents(app).questions
    with qtbot.waitSignal(questions.added, timeout=SLOW):
        documents(app).ask("Write without end.")
    app.window.close()
    question = app.parts.closing.question
    if question is not None:  # the answer may have ended by itself
        assert "documents is being answered" in question.text()
        next(b for b in question.buttons() if "Cancel" in b.text()).click()
    app.window.command.emit("stop")
    qtbot.waitUntil(lambda: not questions.is_asking, timeout=SLOW)
    assert questions.questions[-1].state in {"stopped", "complete"}


def test_documents_too_long_are_asked_in_passes_and_prepared_ones_say_so(
    start: Callable[[], App], quoting_model: Path, qtbot: QtBot
) -> None:
    app = start()
    drop(app, sample_documents())
    qtbot.waitUntil(lambda: len(documents(app).files.files) == 5, timeout=SLOW)
    load(app, quoting_model, qtbot, context_tokens=2048)
    view = app.parts.documents_desk.page.set_view
    qtbot.waitUntil(view.fit.passes.isEnabled, timeout=SLOW)
    view.fit.passes.click()
    ended = ask(app, SAMPLE_QUESTION, qtbot)
    passes = documents(app).passes.passes
    assert passes is not None
    assert ended.details.planned_passes == len(passes) > 1
    assert ended.details.outcome == "combined"
    assert ended.details.disagreeing is None
    assert ended.details.predicted_total_seconds is not None
    assert {one.status for one in ended.details.citations} == {"verified"}
    (answer,) = view.questions.answers
    assert any(isinstance(part, PassList) for part in answer.parts)
    load(app, quoting_model, qtbot, context_tokens=16_384)
    qtbot.waitUntil(view.prepare.isVisible, timeout=SLOW)
    assert view.prepare.text() == "Prepare now"
    view.prepare.click()
    qtbot.waitUntil(lambda: view.prepare.text().startswith("Prepared"), timeout=SLOW)
    assert (documents(app).tokens_to_read or CONTEXT) < 60
