"""The messages of a conversation: which are widgets, and what stays in view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import QPushButton

from m1desk.chat import Message
from m1desk.ui.widgets.conversation_view import FIRST, MOST, REALISED, ConversationView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme


def messages(count: int, first: int = 1) -> list[Message]:
    return [
        Message(
            number,
            1,
            number - 1 or None,
            "user" if number % 2 else "assistant",
            f"Message {number}\n\nwith two paragraphs",
        )
        for number in range(first, first + count)
    ]


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> Iterator[ConversationView]:
    made = ConversationView(theme)
    made.resize(700, 500)
    qtbot.addWidget(made)
    made.show()
    yield made
    made.highlighter.stop()


def settle(qtbot: QtBot, view: ConversationView, count: int) -> None:
    qtbot.waitUntil(lambda: len(view.realised) >= count)
    qtbot.waitUntil(lambda: view.verticalScrollBar().maximum() > 0)


def is_at_bottom(view: ConversationView) -> bool:
    bar = view.verticalScrollBar()
    return bar.maximum() > 0 and bar.value() == bar.maximum()


def test_a_long_conversation_opens_at_its_end_with_few_widgets(
    qtbot: QtBot, view: ConversationView
) -> None:
    view.set_messages(messages(10_000), has_earlier=False)
    assert len(view.realised) == FIRST
    assert view.realised[-1].message.id == 10_000
    settle(qtbot, view, REALISED)
    assert len(view.realised) == REALISED
    qtbot.waitUntil(lambda: is_at_bottom(view))


def test_scrolling_up_brings_earlier_messages_without_a_jump(
    qtbot: QtBot, view: ConversationView
) -> None:
    view.set_messages(messages(1000), has_earlier=False)
    settle(qtbot, view, REALISED)
    bar = view.verticalScrollBar()
    top = next(w for w in view.realised if w.geometry().bottom() >= 300)
    offset = top.y() - 300
    bar.setValue(300)
    qtbot.waitUntil(lambda: len(view.realised) > REALISED)
    qtbot.waitUntil(lambda: top.y() - bar.value() == offset and top.y() > 1000)


def test_scrolling_up_while_messages_are_still_made_brings_earlier_ones_too(
    qtbot: QtBot, view: ConversationView
) -> None:
    view.set_messages(messages(1000), has_earlier=False)
    settle(qtbot, view, FIRST)
    view.verticalScrollBar().setValue(0)
    qtbot.waitUntil(lambda: len(view.realised) > REALISED)


def test_never_more_than_some_messages_are_widgets(qtbot: QtBot, view: ConversationView) -> None:
    view.set_messages(messages(1000), has_earlier=False)
    settle(qtbot, view, REALISED)
    bar = view.verticalScrollBar()
    for _ in range(12):
        bar.setValue(0)
        qtbot.wait(5)
        assert len(view.realised) <= MOST
    assert view.realised[-1].message.id < 1000
    view.jump_to_latest()
    assert view.realised[-1].message.id == 1000
    qtbot.waitUntil(lambda: is_at_bottom(view))


def test_the_first_message_asks_for_earlier_ones_once(qtbot: QtBot, view: ConversationView) -> None:
    asked: list[int] = []
    view.earlier_wished.connect(lambda: asked.append(1))
    view.set_messages(messages(40, first=41), has_earlier=True)
    settle(qtbot, view, 40)
    qtbot.wait(10)
    view.verticalScrollBar().setValue(10)
    view.verticalScrollBar().setValue(0)
    assert asked == [1]
    view.prepend(messages(40), has_earlier=False)
    qtbot.waitUntil(lambda: len(view.realised) > 40)
    assert [w.message.id for w in view.realised] == sorted(w.message.id for w in view.realised)


def test_it_follows_a_growing_answer_until_one_scrolls_up(
    qtbot: QtBot, view: ConversationView
) -> None:
    view.set_messages(messages(20), has_earlier=False)
    settle(qtbot, view, 20)
    view.append(Message(21, 1, 20, "assistant", "", state="streaming"))
    for _ in range(10):
        view.feed(21, "text", "A new paragraph of the answer.\n\n")
        qtbot.wait(35)
    qtbot.waitUntil(lambda: is_at_bottom(view))
    bar = view.verticalScrollBar()
    bar.setValue(bar.maximum() - 300)
    held = bar.value()
    assert not view.is_at_latest
    before = bar.maximum()
    for _ in range(10):
        view.feed(21, "text", "A new paragraph of the answer.\n\n")
        qtbot.wait(35)
    assert bar.maximum() > before
    assert bar.value() == held
    view.jump_to_latest()
    qtbot.waitUntil(lambda: is_at_bottom(view))


def test_a_place_far_back_is_brought_to_the_top(qtbot: QtBot, view: ConversationView) -> None:
    view.set_messages(messages(2000), has_earlier=False)
    settle(qtbot, view, FIRST)
    assert view.scroll_to(300)
    widget = view.widget_of(300)
    assert widget is not None
    bar = view.verticalScrollBar()
    qtbot.waitUntil(lambda: 0 <= widget.y() - bar.value() <= 40)
    assert not view.scroll_to(9999)


def test_from_a_place_far_back_a_button_leads_to_the_latest(
    qtbot: QtBot, view: ConversationView
) -> None:
    view.set_messages(messages(500), has_earlier=False)
    settle(qtbot, view, FIRST)
    view.scroll_to(40)
    button = next(b for b in view.findChildren(QPushButton) if b.text() == "Jump to latest")
    assert button.isVisible()
    button.click()
    qtbot.waitUntil(lambda: is_at_bottom(view))
    assert not button.isVisible()


def test_scrolling_down_from_there_leads_back_to_the_end(
    qtbot: QtBot, view: ConversationView
) -> None:
    view.set_messages(messages(300), has_earlier=False)
    settle(qtbot, view, FIRST)
    view.scroll_to(200)
    bar = view.verticalScrollBar()

    def reach_end() -> bool:
        bar.setValue(bar.maximum())
        return view.is_at_latest

    qtbot.waitUntil(reach_end)
    assert view.realised[-1].message.id == 300


def test_an_answer_grows_on_while_its_place_is_far_away(
    qtbot: QtBot, view: ConversationView
) -> None:
    view.set_messages(messages(300), has_earlier=False)
    view.append(Message(301, 1, 300, "assistant", "", state="streaming"))
    view.feed(301, "text", "Begun")
    view.scroll_to(10)
    assert view.widget_of(301) is None
    view.feed(301, "text", ", and gone on")
    view.jump_to_latest()
    widget = view.widget_of(301)
    assert widget is not None
    view.feed(301, "text", ".")
    qtbot.waitUntil(lambda: widget.view.toPlainText() == "Begun, and gone on.")


def test_another_branch_takes_the_place_of_what_was_there(
    qtbot: QtBot, view: ConversationView
) -> None:
    view.set_messages(messages(6), has_earlier=False)
    view.cut_after(3)
    view.append(Message(7, 1, 3, "assistant", "Another"))
    assert [m.id for m in view.messages] == [1, 2, 3, 7]
    assert [w.message.id for w in view.realised] == [1, 2, 3, 7]
    view.cut_after(None)
    assert view.realised == ()
