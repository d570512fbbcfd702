"""The chat page on the real store, the real turn runner and the real bridge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar, cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QWidget
from support.scripted_source import FINISHED, ScriptedSource

from m1desk.chat import ConversationStore, TurnRunner
from m1desk.engines.status import EngineState, EngineStatus
from m1desk.engines.turn import (
    PrefillProgress,
    ReasoningDelta,
    SamplingParameters,
    TextDelta,
)
from m1desk.errors import EngineFailed
from m1desk.store import Database
from m1desk.ui.pages.chat_page import ChatPage
from m1desk.ui.viewmodels.chat import ChatViewModel
from m1desk.ui.viewmodels.context_usage import usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.chat import Message
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

T = TypeVar("T")

READY = EngineStatus(EngineState.READY, context_tokens=4096, model_name="tiny-llama")


class Desk:
    """The page and what a test does with it."""

    def __init__(self, qtbot: QtBot, bridge: Bridge, theme: Theme, folder: Path) -> None:
        self.qtbot = qtbot
        self.bridge = bridge
        self.database = self.run(lambda: Database(folder / "chat.db"))
        self.store = ConversationStore(self.database)
        self.runner = TurnRunner(self.store, bridge.post)
        self.models = ChatViewModel(bridge, self.store, self.runner)
        self.page = ChatPage(self.models, theme)
        self.failures: list[Exception] = []
        self.page.failed.connect(self.failures.append)
        self.page.resize(1100, 700)
        qtbot.addWidget(self.page)
        self.page.show()
        self.models.start()

    def run(self, work: Callable[[], T]) -> T:
        """Do something on the loop's thread, where the store lives."""
        done: list[T] = []

        async def on_loop() -> T:
            return work()

        self.bridge.submit(on_loop(), done.append)
        self.qtbot.waitUntil(lambda: bool(done), timeout=20_000)
        return done[0]

    def ready(self, source: ScriptedSource) -> None:
        self.models.set_engine(READY, source)

    def ask(self, text: str) -> None:
        self.page.composer.set_text(text)
        self.qtbot.keyClick(self.page.composer.field, Qt.Key.Key_Return)

    def ask_and_wait(self, text: str) -> Message:
        self.ask(text)
        self.wait_for_end()
        return self.page.view.messages[-1]

    def wait_for_end(self) -> None:
        self.qtbot.waitUntil(lambda: not self.models.conversation.is_any_answering)

    def texts(self) -> list[str]:
        return [message.content for message in self.page.view.messages]

    def press(self, name: str, inside: QWidget | None = None) -> None:
        """Press the last visible button of that text or accessible name."""
        QApplication.processEvents()
        place = inside or self.page
        buttons = [
            b
            for b in place.findChildren(QWidget)
            if hasattr(b, "click") and b.isVisible() and name in {b.text(), b.accessibleName()}
        ]
        assert buttons, f"no button {name!r}"
        cast("QPushButton", buttons[-1]).click()

    def answer_box(self, name: str) -> str:
        """Press a button of the question that is asked; return its text."""
        self.qtbot.waitUntil(lambda: bool(self.page.findChildren(QMessageBox)))
        box = self.page.findChildren(QMessageBox)[-1]
        text = f"{box.text()}\n{box.informativeText()}"
        next(b for b in box.buttons() if b.text() == name).click()
        return text


@pytest.fixture
def desk(qtbot: QtBot, bridge: Bridge, theme: Theme, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(qtbot, bridge, theme, tmp_path)
    yield made
    made.page.release()
    bridge.stop()
    made.database.close()


def test_without_a_model_it_offers_to_load_one_and_says_why_nothing_can_be_sent(
    qtbot: QtBot, desk: Desk
) -> None:
    assert desk.page.empty.isVisible()
    assert desk.page.composer.field.placeholderText() == "Load a model to start"
    with qtbot.waitSignal(desk.page.load_wished):
        desk.press("Load model…")
    desk.models.set_engine(EngineStatus(EngineState.LOADING, load_fraction=0.45), None)
    assert "45 %" in desk.page.composer.field.placeholderText()
    assert not desk.page.empty.offers_loading


def test_an_example_is_put_into_the_field_not_sent(desk: Desk) -> None:
    examples = desk.page.empty.findChildren(QPushButton)
    next(one for one in examples if "SQLite" in one.accessibleName()).click()
    assert "SQLite" in desk.page.composer.text
    assert desk.texts() == []


def test_a_question_is_answered_and_everything_is_on_the_screen(desk: Desk) -> None:
    desk.ready(
        ScriptedSource(
            PrefillProgress(600, 1200, 0, 1.0),
            ReasoningDelta("Hmm."),
            TextDelta("An **ans"),
            TextDelta("wer**."),
            FINISHED,
        )
    )
    desk.ask_and_wait("What is it?")
    assert desk.texts() == ["What is it?", "An **answer**."]
    answer = desk.page.view.realised[-1]
    desk.qtbot.waitUntil(lambda: answer.view.toPlainText() == "An answer.")
    assert answer.thinking is not None
    assert not answer.thinking.is_open
    assert answer.footer is not None
    assert "38.1 tok/s" in answer.footer.stats
    assert desk.page.composer.gauge.text == "1,500 / 4,096"
    desk.qtbot.waitUntil(lambda: len(desk.models.library.conversations) == 1)
    assert desk.models.library.conversations[0].title == "What is it?"


def test_stop_keeps_what_has_arrived(desk: Desk) -> None:
    desk.ready(ScriptedSource(TextDelta("Half an"), wait=True))
    desk.ask("Say something")
    desk.qtbot.waitUntil(
        lambda: any("Half an" in w.view.toPlainText() for w in desk.page.view.realised)
    )
    assert desk.page.composer.button.accessibleName() == "Stop the answer (Esc)"
    desk.page.stop()
    desk.wait_for_end()
    assert desk.page.view.messages[-1].state == "stopped"
    assert desk.texts()[-1] == "Half an"
    assert desk.page.composer.button.accessibleName() == "Send message (Enter)"


def test_an_engine_that_dies_leaves_the_partial_answer_and_a_way_on(
    qtbot: QtBot, desk: Desk
) -> None:
    died = EngineFailed("The engine died.", "It was killed.", "Load the model again.")
    desk.ready(ScriptedSource(TextDelta("Partial"), error=died))
    desk.ask_and_wait("Go")
    widget = desk.page.view.realised[-1]
    assert widget.message.state == "interrupted"
    assert widget.error is not None
    desk.models.set_engine(EngineStatus(EngineState.FAILED), None)
    with qtbot.waitSignal(desk.page.load_again_wished):
        desk.press("Load model again")
    desk.ready(ScriptedSource(TextDelta("The rest."), FINISHED))
    load = next(b for b in widget.findChildren(QPushButton) if b.text() == "Load model again")
    assert not load.isVisible(), "it is loaded"
    desk.press("Continue")
    desk.qtbot.waitUntil(lambda: len(desk.texts()) == 4)
    desk.wait_for_end()
    assert desk.texts()[-1] == "The rest."
    assert "Continue" not in {
        b.text() for b in widget.findChildren(QPushButton) if b.isVisible()
    }, "only the newest answer can be continued"


def test_continuing_without_a_model_loads_it_and_then_goes_on(qtbot: QtBot, desk: Desk) -> None:
    died = EngineFailed("The engine died.", "It was killed.", "Load the model again.")
    desk.ready(ScriptedSource(TextDelta("Partial"), error=died))
    desk.ask_and_wait("Go")
    desk.models.set_engine(EngineStatus(EngineState.FAILED), None)
    with qtbot.waitSignal(desk.page.load_again_wished):
        desk.press("Continue")
    desk.models.set_engine(EngineStatus(EngineState.STARTING), None)
    assert desk.texts() == ["Go", "Partial"]
    desk.ready(ScriptedSource(TextDelta("The rest."), FINISHED))
    desk.qtbot.waitUntil(lambda: len(desk.texts()) == 4)
    desk.wait_for_end()
    assert desk.texts()[-1] == "The rest."


def test_what_waits_for_a_model_is_dropped_when_loading_fails(qtbot: QtBot, desk: Desk) -> None:
    died = EngineFailed("The engine died.", "It was killed.", "Load the model again.")
    desk.ready(ScriptedSource(TextDelta("Partial"), error=died))
    desk.ask_and_wait("Go")
    desk.models.set_engine(EngineStatus(EngineState.STOPPED), None)
    with qtbot.waitSignal(desk.page.load_again_wished):
        desk.press("Continue")
    desk.models.set_engine(EngineStatus(EngineState.STARTING), None)
    desk.models.set_engine(EngineStatus(EngineState.FAILED), None)
    desk.ready(ScriptedSource(TextDelta("The rest."), FINISHED))
    assert not desk.models.conversation.is_any_answering


def test_a_start_says_what_it_waits_for(desk: Desk) -> None:
    starting = EngineStatus(EngineState.STARTING)
    desk.models.conversation.set_engine(starting, None, waiting_for="Measuring first…")
    assert desk.page.composer.field.placeholderText() == "Measuring first…"
    desk.models.set_engine(starting, None)
    assert desk.page.composer.field.placeholderText() == "Starting the engine…"
    assert not desk.page.empty.offers_loading


def test_the_gauge_grows_with_the_answer(qtbot: QtBot, desk: Desk) -> None:
    pieces = [TextDelta(f"{number} ") for number in range(50)]
    desk.ready(ScriptedSource(PrefillProgress(30, 30, 0, 0.1), *pieces, wait=True))
    desk.ask("Count")
    qtbot.waitUntil(lambda: desk.page.composer.gauge.text == "~80 / 4,096")
    desk.page.stop()
    desk.wait_for_end()


def test_escape_empties_the_search_and_then_leaves_it(qtbot: QtBot, desk: Desk) -> None:
    desk.page.activateWindow()
    desk.page.focus_search()
    qtbot.keyClicks(desk.page.list.field, "word")
    qtbot.keyClick(desk.page.list.field, Qt.Key.Key_Escape)
    assert desk.page.list.field.text() == ""
    with qtbot.waitSignal(desk.page.list.left):
        qtbot.keyClick(desk.page.list.field, Qt.Key.Key_Escape)


def test_regenerating_makes_a_branch_and_the_switcher_goes_back(desk: Desk) -> None:
    desk.ready(ScriptedSource(TextDelta("First"), FINISHED))
    desk.ask_and_wait("Q")
    desk.ready(ScriptedSource(TextDelta("Second"), FINISHED))
    desk.press("Answer again")
    desk.qtbot.waitUntil(lambda: desk.texts() == ["Q", "Second"])
    desk.wait_for_end()
    desk.press("Previous alternative")
    desk.qtbot.waitUntil(lambda: desk.texts() == ["Q", "First"])
    desk.press("Next alternative")
    desk.qtbot.waitUntil(lambda: desk.texts() == ["Q", "Second"])


def test_editing_a_question_asks_it_on_a_branch_of_its_own(desk: Desk) -> None:
    source = ScriptedSource(TextDelta("A"), FINISHED)
    desk.ready(source)
    desk.ask_and_wait("One")
    desk.ask_and_wait("Two")
    first = desk.page.view.realised[0]
    first.edited.emit("Another one")
    desk.qtbot.waitUntil(lambda: desk.texts() == ["Another one", "A"])
    desk.wait_for_end()
    assert source.requests[-1].messages[-1].content == "Another one"
    assert desk.page.view.messages[0].sibling_count == 2


def test_deleting_a_message_asks_first(desk: Desk) -> None:
    desk.ready(ScriptedSource(TextDelta("A"), FINISHED))
    desk.ask_and_wait("One")
    desk.ask_and_wait("Two")
    desk.page.view.realised[2].wished.emit("delete")
    assert "can't be undone" in desk.answer_box("Cancel")
    assert len(desk.texts()) == 4
    desk.page.view.realised[2].wished.emit("delete")
    desk.answer_box("Delete")
    desk.qtbot.waitUntil(lambda: desk.texts() == ["One", "A"])


def test_an_answer_goes_on_while_another_conversation_is_read(desk: Desk) -> None:
    desk.ready(ScriptedSource(TextDelta("Slow"), wait=True))
    desk.ask("First chat")
    desk.qtbot.waitUntil(lambda: len(desk.texts()) == 2)
    first = desk.models.conversation.conversation
    assert first is not None
    desk.page.new_chat()
    assert desk.page.empty.isVisible()
    assert not desk.models.conversation.is_answering
    assert desk.models.conversation.is_any_answering
    desk.models.conversation.open(first.id)
    desk.qtbot.waitUntil(lambda: desk.texts() == ["First chat", "Slow"])
    assert desk.models.conversation.is_answering
    desk.page.stop()
    desk.wait_for_end()


def test_search_finds_words_in_all_conversations_and_enter_goes_there(desk: Desk) -> None:
    desk.ready(ScriptedSource(TextDelta("The capital is Reykjavik."), FINISHED))
    desk.ask_and_wait("Iceland?")
    wanted = desk.page.view.messages[-1].id
    desk.ready(ScriptedSource(TextDelta("Something else."), FINISHED))
    desk.page.new_chat()
    desk.ask_and_wait("Other?")
    desk.page.focus_search()
    desk.qtbot.keyClicks(desk.page.list.field, "reykja")
    desk.qtbot.waitUntil(lambda: len(desk.page.list.results.hits) == 1)
    hit = desk.page.list.results.hits[0]
    assert any("Reykja" in hit.snippet[start:end] for start, end in hit.marks)
    desk.qtbot.keyClick(desk.page.list.field, Qt.Key.Key_Return)
    desk.qtbot.waitUntil(lambda: desk.texts() == ["Iceland?", "The capital is Reykjavik."])
    assert desk.page.view.widget_of(wanted) is not None
    desk.page.list.field.clear()
    desk.qtbot.waitUntil(desk.page.list.rows.isVisible)


def test_renaming_and_deleting_a_conversation(desk: Desk) -> None:
    desk.ready(ScriptedSource(TextDelta("A"), FINISHED))
    desk.ask_and_wait("Old title")
    opened = desk.models.conversation.conversation
    assert opened is not None
    desk.page.list.renamed.emit(opened.id, "New title")
    desk.qtbot.waitUntil(
        lambda: [c.title for c in desk.models.library.conversations] == ["New title"]
    )
    desk.page.list.delete_wished.emit(opened.id)
    assert "New title" in desk.answer_box("Delete")
    desk.qtbot.waitUntil(lambda: desk.models.library.conversations == ())
    assert desk.page.empty.isVisible()


def test_exports_are_written_and_a_folder_that_is_missing_is_told(
    desk: Desk, tmp_path: Path
) -> None:
    desk.ready(ScriptedSource(TextDelta("An answer."), FINISHED))
    desk.ask_and_wait("A question")
    opened = desk.models.conversation.conversation
    assert opened is not None
    for kind, name in (("markdown", "a.md"), ("json", "a.json")):
        with desk.qtbot.waitSignal(desk.models.library.exported):
            desk.models.library.export(opened.id, kind, tmp_path / name)  # type: ignore[arg-type]
    assert "An answer." in (tmp_path / "a.md").read_text()
    assert json.loads((tmp_path / "a.json").read_text())
    with desk.qtbot.waitSignal(desk.page.failed):
        desk.models.library.export(opened.id, "json", tmp_path / "no" / "b.json")
    assert "could not be written" in str(desk.failures[-1])


def test_system_prompt_and_sampling_belong_to_the_conversation(desk: Desk) -> None:
    source = ScriptedSource(TextDelta("A"), FINISHED)
    desk.ready(source)
    desk.page.panel.system_prompt_changed.emit("Be brief.")
    desk.page.panel.sampling_changed.emit(SamplingParameters(temperature=0.2))
    desk.ask_and_wait("Hi")
    request = source.requests[-1]
    assert request.messages[0].content == "Be brief."
    assert request.sampling.temperature == 0.2
    opened = desk.models.conversation.conversation
    assert opened is not None
    desk.page.new_chat()
    assert desk.page.panel.prompt.toPlainText() == ""
    desk.models.conversation.open(opened.id)
    desk.qtbot.waitUntil(lambda: desk.page.panel.prompt.toPlainText() == "Be brief.")
    assert desk.page.panel.field("temperature").text() == "0.2"


def test_a_link_opens_only_after_its_whole_address_was_confirmed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    address = "https://example.org/a?secret=1"
    desk.page.view.link_clicked.emit(address)
    assert address in desk.answer_box("Cancel")
    assert opened == []
    desk.page.view.link_clicked.emit(address)
    desk.answer_box("Open")
    assert opened == [address]


def test_earlier_messages_come_from_the_store_on_scrolling_up(desk: Desk) -> None:
    def fill() -> int:
        conversation = desk.store.create("Long")
        for number in range(200):
            desk.store.append(
                conversation.id, "assistant" if number % 2 else "user", f"Message {number}"
            )
        return conversation.id

    desk.models.conversation.open(desk.run(fill))
    desk.qtbot.waitUntil(lambda: len(desk.page.view.messages) == 60)
    bar = desk.page.view.verticalScrollBar()

    def all_there() -> bool:
        bar.setValue(5)
        bar.setValue(0)
        return len(desk.page.view.messages) == 200

    desk.qtbot.waitUntil(all_there, timeout=10_000)
    assert desk.texts()[0] == "Message 0"
    assert desk.texts() == [f"Message {number}" for number in range(200)]


def test_every_control_has_a_name(desk: Desk) -> None:
    desk.ready(ScriptedSource(TextDelta("```\ncode\n```"), FINISHED))
    desk.ask_and_wait("Hi")
    desk.page.show_panels(conversations=True, parameters=True)
    QApplication.processEvents()
    kinds = ("QToolButton", "QPushButton", "QLineEdit", "QPlainTextEdit", "QListView")
    nameless = [
        widget
        for widget in desk.page.findChildren(QWidget)
        if any(widget.inherits(kind) for kind in kinds)
        and widget.isVisible()
        and widget.objectName() != "qt_spinbox_lineedit"
        and not widget.accessibleName()
        and not getattr(widget, "text", str)()
        and not (widget.parent() is not None and widget.parent().inherits("QLineEdit"))
    ]
    assert nameless == []


def test_usage_is_exact_after_an_answer_and_a_guess_before() -> None:
    assert usage([], "") == (0, True)
    assert usage([], "abcdefgh") == (2, False)
