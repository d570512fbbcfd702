"""One message: its parts, its figures and its buttons."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QWidget,
)

from m1desk.chat import Message, MessageStats
from m1desk.engines.turn import PrefillProgress
from m1desk.ui.widgets.markdown_highlight import Highlighter
from m1desk.ui.widgets.markdown_style import MarkdownStyle
from m1desk.ui.widgets.message_widget import LONG_TEXT, MessageWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme

STATS = MessageStats(1234, 256, 1000, 0.42, 38.1, 900.0, "stop")
ANSWER = Message(2, 1, 1, "assistant", "The **answer**.", model="tiny", stats=STATS)
QUESTION = Message(1, 1, None, "user", "The question?")
STREAMING = Message(2, 1, 1, "assistant", "", model="tiny", state="streaming")


@pytest.fixture
def make(qtbot: QtBot, theme: Theme) -> Iterator[Callable[[Message], MessageWidget]]:
    highlighter = Highlighter()
    windows: list[QWidget] = []

    def make_one(message: Message) -> MessageWidget:
        window = QWidget()
        style = MarkdownStyle(theme.palette, theme.metrics)
        widget = MessageWidget(message, theme, style, highlighter)
        widget.setParent(window)
        widget.resize(700, 400)
        window.resize(720, 420)
        qtbot.addWidget(window)
        window.show()
        windows.append(window)
        return widget

    yield make_one
    highlighter.stop()


def button(widget: QWidget, name: str) -> QToolButton | QPushButton:
    """The visible button of that text or accessible name."""
    QApplication.processEvents()  # Qt shows what was put into a layout a moment later
    for one in (*widget.findChildren(QToolButton), *widget.findChildren(QPushButton)):
        if name in {one.text(), one.accessibleName()} and one.isVisibleTo(widget):
            return one
    raise AssertionError(f"no button {name!r}")


def labels(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


def test_an_answer_shows_its_model_its_text_and_its_figures(
    make: Callable[[Message], MessageWidget],
) -> None:
    widget = make(ANSWER)
    assert widget.view.toPlainText() == "The answer."
    assert "tiny" in labels(widget)
    assert widget.footer is not None
    for part in ("1,234 prompt", "1,000 reused", "256 tokens", "0.42 s", "38.1 tok/s"):
        assert part in widget.footer.stats


def test_a_prompt_being_read_shows_tokens_speed_and_time_left(
    make: Callable[[Message], MessageWidget],
) -> None:
    widget = make(STREAMING)
    assert widget.prefill is not None
    assert "Waiting" in widget.prefill.text
    widget.show_prefill(PrefillProgress(2000, 10_000, 1000, 2.0))
    text = widget.prefill.text
    for part in ("2,000 of 10,000 tokens", "1,000 reused", "500 tok/s", "16 s left"):
        assert part in text
    widget.append("Now")
    assert widget.prefill is None


def test_thinking_is_open_while_it_runs_and_folds_when_the_answer_begins(
    qtbot: QtBot, make: Callable[[Message], MessageWidget]
) -> None:
    widget = make(STREAMING)
    widget.append_reasoning("Let me see")
    assert widget.thinking is not None
    assert widget.thinking.is_open
    assert widget.thinking.title.startswith("Thinking")
    widget.append("It is so.")
    assert not widget.thinking.is_open
    assert widget.thinking.title.startswith("Thought for")
    qtbot.mouseClick(button(widget, "Show the model's thinking"), Qt.MouseButton.LeftButton)
    assert widget.thinking.is_open
    assert widget.thinking.text == "Let me see"


def test_thinking_that_was_folded_by_hand_stays_folded(
    qtbot: QtBot, make: Callable[[Message], MessageWidget]
) -> None:
    widget = make(STREAMING)
    widget.append_reasoning("Hm")
    assert widget.thinking is not None
    qtbot.mouseClick(button(widget, "Show the model's thinking"), Qt.MouseButton.LeftButton)
    widget.append_reasoning(" hm")
    assert not widget.thinking.is_open


def test_an_answer_that_ends_shows_its_whole_text(
    qtbot: QtBot, make: Callable[[Message], MessageWidget]
) -> None:
    widget = make(STREAMING)
    widget.append("The **ans")
    widget.append("wer**.")
    widget.show_message(ANSWER)
    qtbot.waitUntil(lambda: widget.view.is_complete)
    assert widget.view.toPlainText() == "The answer."
    assert widget.footer is not None
    assert widget.footer.stats


def test_a_broken_answer_keeps_its_text_says_why_and_offers_what_to_do(
    qtbot: QtBot, make: Callable[[Message], MessageWidget]
) -> None:
    error = "The engine stopped.\nIt was killed.\nLoad the model again."
    widget = make(replace(ANSWER, state="interrupted", error=error, stats=None))
    assert widget.view.toPlainText() == "The answer."
    widget.set_last(True)
    assert widget.error is not None
    for line in error.splitlines():
        assert line in labels(widget.error)
    wishes: list[str] = []
    widget.wished.connect(wishes.append)
    for name in ("Continue", "Answer again", "Load model again"):
        qtbot.mouseClick(button(widget.error, name), Qt.MouseButton.LeftButton)
    assert wishes == ["continue", "regenerate", "load"]


def test_an_answer_of_which_nothing_came_offers_no_continuing(
    make: Callable[[Message], MessageWidget],
) -> None:
    widget = make(replace(ANSWER, content="", state="failed", error="No.", stats=None))
    assert widget.error is not None
    with pytest.raises(AssertionError):
        button(widget.error, "Continue")


def test_a_stopped_answer_is_no_error_and_says_that_it_was_stopped(
    make: Callable[[Message], MessageWidget],
) -> None:
    widget = make(replace(ANSWER, state="stopped", stats=None))
    assert widget.error is None
    assert widget.footer is not None
    assert widget.footer.stats == "You stopped this answer"


def test_all_figures_are_in_the_tooltip_at_any_width(
    make: Callable[[Message], MessageWidget],
) -> None:
    widget = make(ANSWER)
    for width in (700, 300, 700):
        widget.resize(width, 400)
        QApplication.processEvents()
        tips = [label.toolTip() for label in widget.findChildren(QLabel)]
        assert any("Ended with: stop" in tip for tip in tips)


def test_the_buttons_come_with_the_keyboard_and_do_what_they_say(
    qtbot: QtBot, make: Callable[[Message], MessageWidget]
) -> None:
    widget = make(ANSWER)
    widget.activateWindow()
    widget.setFocus(Qt.FocusReason.TabFocusReason)
    wishes: list[str] = []
    widget.wished.connect(wishes.append)
    widget.set_last(True)
    button(widget, "Copy message").click()
    assert QGuiApplication.clipboard().text() == "The **answer**."
    button(widget, "Answer again").click()
    button(widget, "Delete message and what follows it").click()
    assert wishes == ["regenerate", "delete"]


def test_the_branch_switcher_shows_where_one_is(make: Callable[[Message], MessageWidget]) -> None:
    widget = make(replace(ANSWER, sibling_index=1, sibling_count=3))
    assert "2/3" in labels(widget)
    wishes: list[str] = []
    widget.wished.connect(wishes.append)
    button(widget, "Previous alternative").click()
    button(widget, "Next alternative").click()
    assert wishes == ["previous", "next"]
    last = make(replace(ANSWER, sibling_index=2, sibling_count=3))
    assert not button(last, "Next alternative").isEnabled()


def test_ones_own_message_is_edited_in_place(
    qtbot: QtBot, make: Callable[[Message], MessageWidget]
) -> None:
    widget = make(QUESTION)
    widget.set_last(True)
    button(widget, "Edit message").click()
    field = widget.findChild(QPlainTextEdit)
    assert field is not None
    assert field.toPlainText() == "The question?"
    field.setPlainText("Another?")
    with qtbot.waitSignal(widget.edited) as edited:
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert edited.args == ["Another?"]


def test_escape_leaves_a_message_as_it_was(
    qtbot: QtBot, make: Callable[[Message], MessageWidget]
) -> None:
    widget = make(QUESTION)
    widget.start_editing()
    told: list[str] = []
    widget.edited.connect(told.append)
    field = widget.findChild(QPlainTextEdit)
    assert field is not None
    field.setPlainText("Another?")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert told == []
    assert widget.view.isVisibleTo(widget)


def test_a_very_long_message_of_ones_own_is_shown_in_part_until_asked(
    qtbot: QtBot, make: Callable[[Message], MessageWidget]
) -> None:
    text = "word " * LONG_TEXT
    widget = make(replace(QUESTION, content=text))
    assert len(widget.view.toPlainText()) < LONG_TEXT
    button(widget, f"Show all {len(text):,} characters").click()
    assert widget.view.toPlainText().strip() == text.strip()
